"""The repository on behalf of somebody, method by method: what is others' is as if it never was, also right
after they asked the same."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from repo import (
    Access,
    ActionPhase,
    ActionRepo,
    Forbidden,
    FrameKind,
    Grant,
    NotFound,
    Page,
    PhaseUpdate,
    Role,
    RunFilter,
    RunIdentifier,
    TaskKey,
)
from tests.support.making import (
    T0,
    action,
    at,
    event,
    make_run,
    new,
)

T = TypeVar("T")
SECONDS = 40
OURS, THEIRS, NOWHERE = (RunIdentifier(project, "d", "r0") for project in ("ours", "theirs", "nowhere"))
THEIRS_TOO = RunIdentifier("theirs", "d", "r1")


def access(*grants: Grant) -> Access:
    """What somebody with these grants may do."""
    return Access(frozenset(grants))


def view(repository: ActionRepo, project: str) -> ActionRepo:
    """The repository of somebody who may do everything in one project."""
    return repository.on_behalf_of(access(Grant(Role.ADMIN, project)))


@pytest.fixture
async def both(repository: ActionRepo) -> ActionRepo:
    """One run of ours, two of theirs: each waits for an abort of one of its actions, and has events."""
    for run in (OURS, THEIRS, THEIRS_TOO):
        await make_run(repository, run, a1="a0", a2="a1")
        await repository.insert_events([event(run=run), event("a1", run=run)])
        await repository.update_action_state(action("a0", run), f"of {run.project}")
        await repository.abort_action(action("a1", run), "why", None)
        await repository.update_action_phase(action("a0", run), ActionPhase.SUCCEEDED, 1)
    return repository


async def next_of(stream: AsyncGenerator[T, None]) -> T:
    async with asyncio.timeout(SECONDS):
        return await anext(stream)


# Reading what has a name

Read = Callable[[ActionRepo, RunIdentifier], Awaitable[Any]]
BY_NAME: dict[str, Read] = {
    "get_run": lambda repo, run: repo.get_run(run),
    "get_runs": lambda repo, run: repo.get_runs([run]),
    "find_runs": lambda repo, run: repo.find_runs([run.key]),
    "get_action": lambda repo, run: repo.get_action(action("a0", run)),
    "get_actions": lambda repo, run: repo.get_actions([action("a0", run)]),
    "find_actions": lambda repo, run: repo.find_actions([action("a0", run).key]),
    "list_root_actions": lambda repo, run: repo.list_root_actions(run.project, run.domain),
    "list_actions": lambda repo, run: repo.list_actions(run),
    "list_actions_of_runs": lambda repo, run: repo.list_actions_of_runs([run.key]),
    "list_children": lambda repo, run: repo.list_children([action("a0", run).key]),
    "count_actions": lambda repo, run: repo.count_actions(run),
    "count_actions_of_runs": lambda repo, run: repo.count_actions_of_runs([run.key]),
    "count_children": lambda repo, run: repo.count_children([action("a0", run).key]),
    "count_phases_of_runs": lambda repo, run: repo.count_phases_of_runs([run.key]),
    "count_phases_of_descendants": lambda repo, run: repo.count_phases_of_descendants(
        [action("a0", run).key]
    ),
    "list_events": lambda repo, run: repo.list_events(action("a0", run)),
    "list_events_since": lambda repo, run: repo.list_events_since(action("a0", run), 1, at(-1)),
    "page_events": lambda repo, run: repo.page_events([action("a0", run)]),
    "list_attempts": lambda repo, run: repo.list_attempts([action("a0", run)]),
    "list_all_events": lambda repo, run: repo.list_all_events([action("a0", run)]),
    "get_latest_event_by_attempt": lambda repo, run: repo.get_latest_event_by_attempt(action("a0", run), 1),
    "get_latest_events": lambda repo, run: repo.get_latest_events([(action("a0", run), 1)]),
    "get_action_state": lambda repo, run: repo.get_action_state(action("a0", run)),
    "list_durations_of_tasks": lambda repo, run: repo.list_durations_of_tasks([_task_of(run)]),
    "list_runs_of_tasks": lambda repo, run: repo.list_runs_of_tasks([_task_of(run)]),
}
WATCHED: dict[str, Callable[[ActionRepo, RunIdentifier], AsyncGenerator[Any, None]]] = {
    "watch_run_updates": lambda repo, run: repo.watch_run_updates(run),
    "watch_all_action_updates": lambda repo, run: repo.watch_all_action_updates(run),
    "watch_action_updates": lambda repo, run: repo.watch_action_updates(action("a0", run)),
    "watch_events": lambda repo, run: repo.watch_events(run),
}


def _task_of(run: RunIdentifier) -> TaskKey:
    return TaskKey(run.project, run.domain, None, None)


async def found(repository: ActionRepo, read: Read, run: RunIdentifier) -> str:
    """What is found, without what tells by which name it was asked for."""
    try:
        answer = repr(_plain(await read(repository, run)))
    except NotFound as error:
        answer = f"{type(error)}: {error}"
    for name in (repr(run.key), repr(action("a0", run).key), run.project):
        answer = answer.replace(name, "…")
    return answer


def _plain(answer: Any) -> Any:
    """The answer with its pages as what is on them."""
    if isinstance(answer, Page):
        return [*answer.items], answer.has_next, answer.has_previous
    if isinstance(answer, dict):
        return {key: _plain(value) for key, value in answer.items()}
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return [*answer]
    return answer


@pytest.mark.parametrize("name", BY_NAME)
async def test_what_is_others_is_as_if_it_never_was(both: ActionRepo, name: str) -> None:
    for mine, other in ((OURS, THEIRS), (THEIRS, OURS)):
        mine_alone = view(both, mine.project)
        nothing = await found(mine_alone, BY_NAME[name], NOWHERE)
        assert await found(mine_alone, BY_NAME[name], other) == nothing
        seen = await found(mine_alone, BY_NAME[name], mine)
        assert seen != nothing
        assert seen == await found(both, BY_NAME[name], mine)


@pytest.mark.parametrize("name", WATCHED)
async def test_a_watch_of_what_is_others_raises_what_one_of_nothing_does(both: ActionRepo, name: str) -> None:
    for mine, other in ((OURS, THEIRS), (THEIRS, OURS)):
        mine_alone = view(both, mine.project)
        raised = []
        for run in (other, NOWHERE):
            async with aclosing(WATCHED[name](mine_alone, run)) as updates:
                with pytest.raises(NotFound) as error:
                    await next_of(updates)
            raised.append((error.type, str(error.value).replace(run.project, "…")))
        assert raised[0] == raised[1]
        async with aclosing(WATCHED[name](mine_alone, mine)) as updates:
            await next_of(updates)


# Reading all that there is


async def _projects_of(pages: Awaitable[Any]) -> list[str]:
    return sorted(each.project for each in (await pages).items)


async def _histogram(repo: ActionRepo) -> int:
    tomorrow = max(run.created_at for run in (await repo.list_runs()).items) + timedelta(days=1)
    buckets = await repo.list_run_histogram(T0, tomorrow, 1)
    return sum(each.count for bucket in buckets for each in bucket.phase_counts)


async def _listed_pending(repo: ActionRepo) -> list[str]:
    return sorted(each.project for each in await repo.list_pending_aborts())


OF_ALL: dict[str, tuple[Callable[[ActionRepo], Awaitable[Any]], Any, Any]] = {
    "list_runs": (lambda repo: _projects_of(repo.list_runs()), ["ours"], ["theirs"] * 2),
    "count_runs": (lambda repo: repo.count_runs(), 1, 2),
    "list_projects": (lambda repo: repo.list_projects(), {"ours": ["d"]}, {"theirs": ["d"]}),
    "list_actions": (lambda repo: _projects_of(repo.list_actions()), ["ours"] * 3, ["theirs"] * 6),
    "count_actions": (lambda repo: repo.count_actions(), 3, 6),
    "list_pending_aborts": (_listed_pending, ["ours"], ["theirs"] * 2),
    "page_pending_aborts": (
        lambda repo: _projects_of(repo.page_pending_aborts()),
        ["ours"],
        ["theirs"] * 2,
    ),
    "count_pending_aborts": (lambda repo: repo.count_pending_aborts(), 1, 2),
    "list_tasks": (lambda repo: _projects_of(repo.list_tasks()), ["ours"], ["theirs"]),
    "count_tasks": (lambda repo: repo.count_tasks(), 1, 1),
    "list_run_histogram": (_histogram, 1, 2),
}


@pytest.mark.parametrize("name", OF_ALL)
async def test_a_list_or_a_sum_of_all_is_of_one_s_own(both: ActionRepo, name: str) -> None:
    read, ours, theirs = OF_ALL[name]
    everything = await read(both)
    assert await read(view(both, "ours")) == ours
    assert await read(view(both, "theirs")) == theirs
    assert everything not in (ours, theirs)


async def _begun(frames: AsyncGenerator[Any, None]) -> list[str]:
    seen = []
    while (frame := await next_of(frames)).kind is not FrameKind.SYNCED:
        seen += [each.project for each in frame.items]
    return sorted(seen)


async def test_watches_of_all_begin_with_one_s_own(both: ActionRepo) -> None:
    for project, count in (("ours", 1), ("theirs", 2)):
        for watch in (view(both, project).watch_all_run_updates, view(both, project).watch_abort_requests):
            async with aclosing(watch()) as frames:
                assert await _begun(frames) == [project] * count
    async with aclosing(view(both, "ours").watch_all_run_updates(RunFilter(project="theirs"))) as frames:
        assert await _begun(frames) == []


async def test_the_progress_of_a_batch_is_that_of_one_s_own_runs(both: ActionRepo) -> None:
    for run in ("n0", "n1"):
        await make_run(both, RunIdentifier("theirs", "d", run))
    await make_run(both, RunIdentifier("ours", "d", "n0"))
    batch = (await both.abort_runs(RunFilter(), None, None, False, True)).batch
    assert batch is not None
    for project, count in (("ours", 1), ("theirs", 2)):
        async with aclosing(view(both, project).watch_abort_progress(batch)) as updates:
            assert (await next_of(updates)).requested == count


# Writing

Write = Callable[[ActionRepo, list[RunIdentifier]], Awaitable[Any]]
BATCHES: dict[str, Write] = {
    "create_actions": lambda repo, runs: repo.create_actions([new("new", "a0", run) for run in runs]),
    "update_action_phases": lambda repo, runs: repo.update_action_phases(
        [(action("a2", run), PhaseUpdate(ActionPhase.RUNNING, 2)) for run in runs]
    ),
    "insert_events": lambda repo, runs: repo.insert_events([event("a2", attempt=2, run=run) for run in runs]),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("place", range(3))
async def test_a_batch_with_one_thing_of_others_is_refused_wherever_it_stands(
    both: ActionRepo, name: str, place: int
) -> None:
    for other in (THEIRS, NOWHERE):
        runs = [OURS, OURS]
        runs.insert(place, other)
        with pytest.raises(Forbidden) as error:
            await BATCHES[name](view(both, "ours"), runs)
        assert str(error.value) == f"you may not write in {other.project}/d"
    assert await both.count_actions() == 9
    assert {each.attempts for each in (await both.list_actions()).items} <= {0, 1}
    written = await both.list_all_events([action("a2", run) for run in (OURS, THEIRS)])
    assert [*written.values()] == [[], []]


async def test_what_exists_at_others_is_neither_created_nor_said_to_exist(both: ActionRepo) -> None:
    mine = view(both, "ours")
    for name in ("a0", "never"):
        with pytest.raises(Forbidden, match="^you may not write in theirs/d$"):
            await mine.create_action(new(name, run=THEIRS))
    created, is_new = await mine.create_action(new("a0", run=RunIdentifier("ours", "d", "r1")))
    assert is_new
    assert created.identifier == action("a0", RunIdentifier("ours", "d", "r1"))


async def test_whoever_is_written_with_at_a_time_hears_of_their_own_mistakes_alone(both: ActionRepo) -> None:
    good = (new(f"g{number}", "a0", OURS) for number in range(20))
    bad = (new(f"b{number}", f"missing{number}", THEIRS) for number in range(20))
    writes = [
        view(both, each.id.project).create_actions([each])
        for pair in zip(good, bad, strict=True)
        for each in pair
    ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert results[0::2] == [1] * 20
    for number, result in enumerate(results[1::2]):
        assert isinstance(result, NotFound)
        assert str(result) == f"there is no action missing{number}, the parent of theirs/d/r0/b{number}"


# All of it

ELSEWHERE = {
    # Each mutation with each role: tests/graph/auth/test_tenants.py.
    *("create_action", "update_action_phase", "update_action_state", "notify_state_update"),
    *("abort_run", "abort_runs", "abort_action", "mark_abort_attempt", "clear_abort_request", "retry_abort"),
    # What changes while it is watched: there too.
    *("watch_all_run_updates", "watch_state_updates", "watch_abort_requests", "watch_abort_progress"),
}
OF_THE_SERVER = {
    *(
        "on_behalf_of",
        "on_notification",
        "watch_metrics",
        "abort_figures",
        "database_figures",
        "check",
        "prune",
    ),
    *("take_aborts", "tell_of_aborts", "note_abort_failure"),
    *("create_credential", "find_credential", "which_credentials_hold", "list_credentials"),
    "revoke_credential",
}
"""What no caller gets to call: the server does it for itself."""


def test_every_method_is_tried() -> None:
    methods = {
        name for name, _ in inspect.getmembers(ActionRepo, inspect.isfunction) if not name.startswith("_")
    }
    assert methods == {*BY_NAME, *WATCHED, *OF_ALL, *BATCHES, *ELSEWHERE, *OF_THE_SERVER}
