"""Streams of aborts: requests for executors, and the progress of a batch."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from repo import (
    AbortProgress,
    AbortState,
    Action,
    ActionRepo,
    Frame,
    FrameKind,
    NotFound,
    RemovedRun,
    RunFilter,
    RunIdentifier,
)
from repo.aborts import claims as claims_module
from repo.domain.authorization import includes
from repo.watch.matching import Match, match_pending_abort
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
    new,
)

SECONDS = 40
SNAPSHOT, SYNCED, CHANGE = FrameKind.SNAPSHOT, FrameKind.SYNCED, FrameKind.CHANGE
OTHER = RunIdentifier("ml", "production", "training")


async def frame(stream: AsyncGenerator[Frame[Action], None]) -> Frame[Action]:
    async with asyncio.timeout(SECONDS):
        return await anext(stream)


def names(found: Sequence[Action | RemovedRun]) -> list[tuple[str, str, int]]:
    return [(one.project, one.name, one.abort_attempt_count) for one in found if isinstance(one, Action)]


async def test_an_executor_gets_pending_aborts_then_changes_and_removals(
    repository: ActionRepo,
) -> None:
    await make_run(repository, b="a0", c="a0")
    await repository.abort_action(action("c"), "first", ADA)
    await repository.abort_action(action("b"), "second", ADA)
    async with aclosing(repository.watches.watch_abort_requests()) as stream:
        first, second = await frame(stream), await frame(stream)
        assert (first.kind, names(first.items)) == (SNAPSHOT, [("etl", "c", 0), ("etl", "b", 0)])
        assert (first.items[0].abort_reason, first.items[0].abort and first.items[0].abort.requested_by) == (
            "first",
            ADA,
        )
        assert second.kind is SYNCED

        await repository.abort_run(RUN, "third", ADA)
        new_one = await frame(stream)
        assert (new_one.kind, names(new_one.items)) == (CHANGE, [("etl", "a0", 0)])

        await repository.aborts.resend([(None, None)], 1, 10)
        change = await frame(stream)
        assert (change.kind, names(change.items)) == (CHANGE, [("etl", "c", 1)])

        await repository.clear_abort_request(action("c"))
        deleted = await frame(stream)
        assert (deleted.items, names(deleted.removed)) == ([], [("etl", "c", 1)])


async def test_a_failed_abort_leaves_the_stream_and_returns_on_retry(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 0 * claims_module.FIRST_DELAY)
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    async with aclosing(repository.watches.watch_abort_requests()) as stream:
        await frame(stream)
        await frame(stream)
        await repository.aborts.resend([(None, None)], 10, 1)
        assert names((await frame(stream)).items) == [("etl", "a0", 1)]
        await repository.aborts.resend([(None, None)], 10, 1)
        assert names((await frame(stream)).removed) == [("etl", "a0", 1)]
        await repository.aborts.retry(action())
        assert names((await frame(stream)).items) == [("etl", "a0", 0)]


@pytest.mark.parametrize(
    ("project", "domain", "count"),
    [("etl", None, 1), ("ml", None, 1), (None, "production", 2), ("etl", "staging", 0), ("ETL", None, 0)],
)
async def test_an_executor_gets_only_aborts_of_its_project_and_domain(
    repository: ActionRepo, project: str | None, domain: str | None, count: int
) -> None:
    for run in (RUN, OTHER):
        await make_run(repository, run, child="a0")
        await repository.abort_run(run, None, ADA)
    async with aclosing(repository.watches.watch_abort_requests(project, domain)) as stream:
        found: list[Action] = []
        while (part := await frame(stream)).kind is not SYNCED:
            found += part.items
        assert len(found) == count
        for run in (RUN, OTHER):
            await repository.abort_action(action("child", run), None, ADA)
        if count:
            changed: list[Action] = []
            while len(changed) < count:
                changed += (await frame(stream)).items
            assert {one.project for one in changed} == {one.project for one in found}
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await anext(stream)


async def test_a_resuming_executor_continues_after_its_cursor(repository: ActionRepo) -> None:
    await make_run(repository, b="a0", c="a0")
    await repository.abort_action(action("b"), None, ADA)
    async with aclosing(repository.watches.watch_abort_requests("etl")) as stream:
        await frame(stream)
        cursor = (await frame(stream)).cursor
    await repository.abort_action(action("c"), None, ADA)
    await repository.clear_abort_request(action("b"))
    async with aclosing(repository.watches.watch_abort_requests("etl", after=cursor)) as stream:
        missed = await frame(stream)
        assert missed.kind is CHANGE
        assert names(missed.items) == [("etl", "c", 0)]
        assert names(missed.removed) == [("etl", "b", 0)]


async def test_changes_match_the_same_aborts_as_the_statement(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 0 * claims_module.FIRST_DELAY)
    runs = [RunIdentifier(project, domain, "r") for project in ("a", "A") for domain in ("x", "y")]
    states = ["none", "requested", "sent", "confirmed", "failed"]
    await repository.actions.create(
        [*(new(run=run) for run in runs), *(new(name, "a0", run) for run in runs for name in states)]
    )
    ids = {name: [action(name, run) for run in runs] for name in states}
    for id in ids["failed"]:
        await repository.abort_action(id, None, None)
    for _ in range(2):
        await repository.aborts.resend([(None, None)], 100, 1)
    for id in ids["sent"]:
        await repository.abort_action(id, None, None)
    await repository.aborts.resend([(None, None)], 100, 9)
    for id in (*ids["requested"], *ids["confirmed"]):
        await repository.abort_action(id, None, None)
    for id in ids["confirmed"]:
        await repository.clear_abort_request(id)
    rows = [row for run in runs for row in (await repository.list_actions(run)).items]
    assert {row.abort_state for row in rows} == {None, *AbortState}
    for project, domain in itertools.product([None, "a", "A", "b"], [None, "x", "y"]):
        scopes = frozenset({(project, domain)})
        matches = {
            row.key: match_pending_abort(row) for row in rows if includes(scopes, row.project, row.domain)
        }
        matched = {key for key, match in matches.items() if match is Match.NOW}
        selected: set[bytes] = set()
        async with aclosing(repository.watches.watch_abort_requests(project, domain)) as stream:
            while (part := await frame(stream)).kind is not SYNCED:
                selected |= {one.key for one in part.items}
        assert selected == matched
        assert len(matched) == (
            0 if project == "b" else 2 * (2 if project is None else 1) * (2 - bool(domain))
        )
        never = {key for key, match in matches.items() if match is Match.NEVER}
        assert never == {row.key for row in rows if row.key in matches and row.abort_state is None}


async def test_watched_scopes_are_those_of_open_streams(repository: ActionRepo) -> None:
    watches = repository.watches
    assert watches.abort_scopes == frozenset()
    runs = repository.watch_all_run_updates()
    await anext(runs)
    one, two = watches.watch_abort_requests("etl"), watches.watch_abort_requests(None, "production")
    await frame(one)
    await frame(two)
    assert watches.abort_scopes == {("etl", None), (None, "production")}
    await one.aclose()
    assert watches.abort_scopes == {(None, "production")}
    await two.aclose()
    await runs.aclose()
    assert watches.abort_scopes == frozenset()


async def test_the_progress_of_a_batch_ends_when_none_is_pending(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 0 * claims_module.FIRST_DELAY)
    runs = [RunIdentifier("etl", "production", f"run-{number}") for number in range(4)]
    await repository.actions.create([*(new(run=run) for run in runs), new("child", "a0", runs[0])])
    await make_run(repository, OTHER)
    aborted = await repository.aborts.abort_runs(RunFilter(project="etl"), "all", ADA, dry_run=False)
    rest = await repository.aborts.abort_runs(RunFilter(project="ml"), "other", ADA, dry_run=False)
    assert aborted.batch is not None
    assert rest.batch not in (None, aborted.batch)
    seen: list[AbortProgress] = []

    async def watch(batch: str) -> None:
        async with asyncio.timeout(SECONDS):
            async for progress in repository.watches.watch_abort_progress(batch):
                seen.append(progress)

    async def saw(progress: AbortProgress) -> None:
        async with asyncio.timeout(SECONDS):
            while progress not in seen:  # noqa: ASYNC110 - a stream of its own fills it
                await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch(aborted.batch))
    await saw(AbortProgress(4, 4, 0, 0))
    # With a descendant, which is not one of the requested runs.
    await repository.clear_abort_request(action(run=runs[0]))
    await saw(AbortProgress(4, 3, 1, 0))
    await repository.clear_abort_request(action(run=OTHER))
    await repository.clear_abort_request(action(run=runs[1]))
    for _ in range(2):
        await repository.aborts.claim("x", 0 * claims_module.FIRST_DELAY, 10, 1)
    async with asyncio.timeout(SECONDS):
        await watching
    assert seen[-1] == AbortProgress(4, 0, 2, 2)
    assert all(before != after for before, after in zip(seen, seen[1:], strict=False))
    assert repository.watches.metrics().watches == 0

    # A late subscriber gets the final counts immediately, and a retry makes the batch pending again.
    seen.clear()
    await watch(aborted.batch)
    assert seen == [AbortProgress(4, 0, 2, 2)]
    assert {one.abort_state for one in await repository.list_pending_aborts()} == {AbortState.FAILED}
    await repository.aborts.retry(action(run=runs[2]))
    async with aclosing(repository.watches.watch_abort_progress(aborted.batch)) as stream:
        assert await anext(stream) == AbortProgress(4, 1, 2, 1)


async def test_an_unknown_batch_is_not_found(repository: ActionRepo) -> None:
    stream = repository.watches.watch_abort_progress("no such batch")
    with pytest.raises(NotFound, match="there is no such batch"):
        await anext(stream)
    assert repository.watches.metrics().watches == 0
