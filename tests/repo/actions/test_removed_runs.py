"""Subscribers get removed runs: on any replica, at once and when they resume."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from repo import (
    Access,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Frame,
    FrameKind,
    Grant,
    Role,
    RunFilter,
    RunNotFound,
    open_repository,
)
from repo.tables import removal_horizon, removed_runs
from tests.repo.actions.test_pruning import make_ended, named, prune
from tests.support.making import (
    ADA,
    RUN,
    action,
    at,
    event,
    new,
    update,
)

T = TypeVar("T")
Frames = AsyncGenerator[Frame[Any], None]
SECONDS = 40
SNAPSHOT, SYNCED, CHANGE, RESYNC = FrameKind


async def next_of(stream: AsyncGenerator[T, None]) -> T:
    async with asyncio.timeout(SECONDS):
        return await anext(stream)


async def begin(stream: AsyncGenerator[Frame[Any], None]) -> Frame[Any]:
    """Reads frames up to SYNCED and returns the last."""
    while (frame := await next_of(stream)).kind is not SYNCED:
        pass
    return frame


@pytest.fixture(params=["here", "on another replica"])
async def pruner(
    request: pytest.FixtureRequest, repository: ActionRepo, database_url: str
) -> AsyncIterator[ActionRepo]:
    """The pruning repository: the watched replica itself, or one that it notices only by polling."""
    if request.param == "here":
        yield repository
    else:
        async with open_repository(database_url) as other:
            yield other


async def test_watches_of_runs_get_the_ids_of_removed_ones_that_their_filter_may_match(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository)
    await make_ended(repository, named("other", "elsewhere"))
    async with AsyncExitStack() as stack:
        everything, mine, others = [
            await stack.enter_async_context(aclosing(repository.watch_all_run_updates(wanted)))
            for wanted in (None, RunFilter(project=RUN.project), RunFilter(domain="another"))
        ]
        for stream in (everything, mine, others):
            await begin(stream)
        await prune(pruner)
        change = await next_of(everything)
        assert (change.kind, change.items) == (CHANGE, [])
        assert {run.name for run in change.removed} == {RUN.name, "other"}
        assert [run.name for run in (await next_of(mine)).removed] == [RUN.name]
        await repository.actions.create([new(run=named("n", domain="another"))])
        assert [run.name for run in (await next_of(others)).items] == ["n"]


@pytest.mark.slow
async def test_a_stream_of_a_removed_run_ends_with_not_found(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository)
    await make_ended(repository, named("stays"), ended_at=at(300 * 86400))
    single: dict[AsyncGenerator[Any, None], type[Exception]] = {
        repository.watch_run_updates(RUN): RunNotFound,
        repository.watch_action_updates(action("m0")): ActionNotFound,
    }
    framed: list[Frames] = [
        repository.watch_all_action_updates(RUN),
        repository.watches.watch_events(RUN),
        repository.watches.watch_events(RUN, "m0", 1),
        repository.watch_state_updates(RUN),
    ]
    staying = repository.watch_all_action_updates(named("stays"))
    async with AsyncExitStack() as stack:
        for one in single:
            await stack.enter_async_context(aclosing(one))
            await next_of(one)
        for stream in (*framed, staying):
            await stack.enter_async_context(aclosing(stream))
            await begin(stream)
        await prune(pruner)
        for one, error in (single | dict.fromkeys(framed, RunNotFound)).items():
            with pytest.raises(error):
                await next_of(one)
        await repository.actions.create([new("late", "a0", named("stays"))])
        assert [each.name for each in (await next_of(staying)).items] == ["late"]


async def test_a_resumed_stream_gets_the_runs_that_were_removed_meanwhile(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository)
    async with aclosing(repository.watch_all_run_updates()) as stream:
        runs = (await begin(stream)).cursor
    async with aclosing(repository.watch_all_action_updates(RUN)) as stream:
        members = (await begin(stream)).cursor
    async with aclosing(repository.watches.watch_events(RUN)) as stream:
        events = (await begin(stream)).cursor
    async with aclosing(repository.watch_state_updates(RUN)) as stream:
        states = (await begin(stream)).cursor
    await prune(pruner)
    async with aclosing(repository.watch_all_run_updates(after=runs)) as stream:
        change = await next_of(stream)
        assert (change.kind, [run.name for run in change.removed]) == (CHANGE, [RUN.name])
    for again in (
        repository.watch_state_updates(RUN),
        repository.watch_state_updates(RUN, after=states),
        repository.watch_all_action_updates(RUN, after=members),
        repository.watches.watch_events(RUN, after=events),
    ):
        async with aclosing(again) as ended:
            with pytest.raises(RunNotFound):
                await next_of(ended)


async def test_a_run_that_was_removed_and_created_again_is_sent_as_new(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository, members=2)
    async with aclosing(repository.watch_all_run_updates()) as stream:
        runs = (await begin(stream)).cursor
    async with aclosing(repository.watch_all_action_updates(RUN)) as stream:
        members = (await begin(stream)).cursor
    async with aclosing(repository.watches.watch_events(RUN)) as stream:
        events = (await begin(stream)).cursor
    await prune(pruner)
    await repository.actions.create([new(), new("m1", "a0")])
    await repository.insert_events([event("m1")])
    async with aclosing(repository.watch_all_run_updates(after=runs)) as stream:
        change = await next_of(stream)
        assert ([run.phase for run in change.items], change.removed) == ([ActionPhase.QUEUED], [])
    again_and_wanted: list[tuple[Frames, list[str]]] = [
        (repository.watch_all_action_updates(RUN, after=members), ["a0", "m1"]),
        (repository.watches.watch_events(RUN, after=events), ["m1"]),
    ]
    for again, wanted in again_and_wanted:
        async with aclosing(again) as frames:
            assert (await next_of(frames)).kind is RESYNC
            snapshot = await next_of(frames)
            found = [getattr(each, "name", None) or each.action.name for each in snapshot.items]
            assert (snapshot.kind, found) == (SNAPSHOT, wanted)


async def test_a_cursor_before_the_removal_horizon_restarts_with_a_snapshot(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository)
    await make_ended(repository, named("stays"), ended_at=at(300 * 86400))
    streams: list[Any] = [
        repository.watch_all_run_updates,
        lambda **rest: repository.watch_all_action_updates(named("stays"), **rest),
        lambda **rest: repository.watches.watch_events(named("stays"), **rest),
        repository.watch_state_updates,
        repository.watches.watch_abort_requests,
    ]
    cursors = []
    for watch in streams:
        async with aclosing(watch()) as stream:
            cursors.append((await begin(stream)).cursor)
    await prune(pruner)
    database = pruner.database
    ago = database.is_sqlite and "removed_at - 700000000000" or "removed_at - interval '8 days'"
    async with database.engine.begin() as connection:
        await connection.execute(text(f"UPDATE removed_runs SET removed_at = {ago}"))
    await prune(pruner)
    async with database.read() as connection:
        assert (await connection.execute(removed_runs.select())).all() == []
        assert await connection.scalar(
            removal_horizon.select().with_only_columns(removal_horizon.c.transaction_id)
        )
    for watch, cursor in zip(streams, cursors, strict=True):
        async with aclosing(watch(after=cursor)) as stream:
            assert (await next_of(stream)).kind is RESYNC
            again = await begin(stream)
        # A cursor after it is valid.
        async with aclosing(watch(after=again.cursor)) as stream:
            await repository.actions.create([new(again.cursor[-40:], "a0", named("stays"))])
            await repository.update_action_state(action(run=named("stays")), "x")
            await repository.insert_events(
                [event("m0", run=named("stays"), version=streams.index(watch) + 1)]
            )
            await repository.abort_action(action(again.cursor[-40:], named("stays")), None, ADA)
            await repository.actions.update_phases([update("a0", ActionPhase.RUNNING, run=named("stays"))])
            kinds = {(await next_of(stream)).kind}
            assert kinds == {CHANGE}


async def test_a_resuming_executor_does_not_keep_an_abort_of_a_removed_run(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await repository.actions.create([new(created_at=at(0))])
    await repository.abort_run(RUN, None, ADA)
    async with aclosing(repository.watches.watch_abort_requests()) as stream:
        first = await next_of(stream)
        assert [each.name for each in first.items] == ["a0"]
        cursor = (await begin(stream)).cursor
    await repository.clear_abort_request(action())
    await prune(pruner, timedelta(0))
    async with aclosing(repository.watches.watch_abort_requests(after=cursor)) as stream:
        assert [frame.kind for frame in (await next_of(stream), await next_of(stream))] == [RESYNC, SYNCED]


@pytest.mark.slow
async def test_a_snapshot_of_a_run_removed_while_reading_is_not_completed(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository, members=2000)
    streams: list[Frames] = [repository.watch_all_action_updates(RUN), repository.watches.watch_events(RUN)]
    for stream in streams:
        if not await repository.runs.find([RUN.key]):
            await make_ended(repository, members=2000)
        async with aclosing(stream) as frames:
            assert (await next_of(frames)).kind is SNAPSHOT
            await prune(pruner)
            with pytest.raises(RunNotFound):
                await begin(frames)


async def test_removed_runs_are_sent_only_to_callers_who_may_read_them(
    repository: ActionRepo, pruner: ActionRepo
) -> None:
    await make_ended(repository)
    await make_ended(repository, named("secret", "elsewhere"))
    mine = repository.on_behalf_of(Access(frozenset({Grant(Role.VIEWER, RUN.project)})))
    async with aclosing(mine.watch_all_run_updates()) as stream:
        cursor = (await begin(stream)).cursor
        await prune(pruner)
        assert [run.name for run in (await next_of(stream)).removed] == [RUN.name]
    async with aclosing(mine.watch_all_run_updates(after=cursor)) as stream:
        assert [run.name for run in (await next_of(stream)).removed] == [RUN.name]
