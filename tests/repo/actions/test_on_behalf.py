"""Access control, method by method: rows of others do not exist for a caller, even right after the others
made the same call."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from repo import (
    Access,
    ActionColumn,
    ActionPhase,
    ActionRepo,
    ColumnSource,
    EventKey,
    Forbidden,
    FrameKind,
    Grant,
    NewMetric,
    NotFound,
    Page,
    PhaseUpdate,
    Report,
    Role,
    RunFilter,
    RunIdentifier,
    TaskKey,
)
from tests.support.making import (
    T0,
    action,
    all_events,
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
    """An access with these grants."""
    return Access(frozenset(grants))


def view(repository: ActionRepo, project: str) -> ActionRepo:
    """The repository for a caller with full access to one project."""
    return repository.on_behalf_of(access(Grant(Role.ADMIN, project)))


@pytest.fixture
async def both(repository: ActionRepo) -> ActionRepo:
    """One readable run and two of others, each with a pending abort and events."""
    for run in (OURS, THEIRS, THEIRS_TOO):
        await make_run(repository, run, a1="a0", a2="a1")
        await repository.insert_events([event(run=run), event("a1", run=run)])
        metrics = (NewMetric("rows", 1, T0),)
        await repository.reports.store([Report(action("a0", run), metrics=metrics)])
        await repository.update_action_state(action("a0", run), f"of {run.project}")
        await repository.abort_action(action("a1", run), "why", None)
        await repository.notes.add(run, f"of {run.project}", None)
        await repository.update_action_phase(action("a0", run), ActionPhase.SUCCEEDED, 1)
    return repository


async def next_of(stream: AsyncGenerator[T, None]) -> T:
    async with asyncio.timeout(SECONDS):
        return await anext(stream)


# Reads by identifier

Read = Callable[[ActionRepo, RunIdentifier], Awaitable[Any]]
BY_NAME: dict[str, Read] = {
    "get_run": lambda repo, run: repo.get_run(run),
    "runs.find": lambda repo, run: repo.runs.find([run.key]),
    "get_action": lambda repo, run: repo.get_action(action("a0", run)),
    "actions.find": lambda repo, run: repo.actions.find([action("a0", run).key]),
    "list_root_actions": lambda repo, run: repo.list_root_actions(run.project, run.domain),
    "list_actions": lambda repo, run: repo.list_actions(run),
    "actions.pages": lambda repo, run: repo.actions.pages("run_key", [run.key]),
    "actions.count": lambda repo, run: repo.actions.count(run),
    "actions.counts": lambda repo, run: repo.actions.counts("run_key", [run.key]),
    "runs.count_phases": lambda repo, run: repo.runs.count_phases([run.key]),
    "actions.count_phases_of_descendants": lambda repo, run: repo.actions.count_phases_of_descendants(
        [action("a0", run).key]
    ),
    "actions.list_metrics": lambda repo, run: repo.actions.list_metrics([action("a0", run).key]),
    "actions.list_values": lambda repo, run: repo.actions.list_values(
        [action("a0", run).key], [ActionColumn(ColumnSource.METRICS, ("rows",))]
    ),
    "actions.list_columns": lambda repo, run: repo.actions.list_columns(run),
    "list_events": lambda repo, run: repo.list_events(action("a0", run)),
    "list_events_since": lambda repo, run: repo.list_events_since(action("a0", run), 1, at(-1)),
    "events.page": lambda repo, run: repo.events.page([action("a0", run)]),
    "events.list_attempts": lambda repo, run: repo.events.list_attempts([action("a0", run)]),
    "get_latest_event_by_attempt": lambda repo, run: repo.get_latest_event_by_attempt(action("a0", run), 1),
    "events.get_latest": lambda repo, run: repo.events.get_latest([(action("a0", run), 1)]),
    "events.find": lambda repo, run: repo.events.find(
        [EventKey(action("a0", run), 1, ActionPhase.RUNNING, 0)]
    ),
    "leases.list_aborts": lambda repo, run: repo.leases.list_aborts([run.key]),
    "leases.list_activity": lambda repo, run: repo.leases.list_activity([run.key]),
    "notes.list_of": lambda repo, run: repo.notes.list_of([action("a0", run)]),
    "get_action_state": lambda repo, run: repo.get_action_state(action("a0", run)),
    "summaries.list_durations": lambda repo, run: repo.summaries.list_durations([_task_of(run)]),
    "summaries.list_recent_runs": lambda repo, run: repo.summaries.list_recent_runs([_task_of(run)]),
}
WATCHED: dict[str, Callable[[ActionRepo, RunIdentifier], AsyncGenerator[Any, None]]] = {
    "watches.watch_run_updates": lambda repo, run: repo.watch_run_updates(run),
    "watches.watch_all_action_updates": lambda repo, run: repo.watch_all_action_updates(run),
    "watches.watch_action_updates": lambda repo, run: repo.watch_action_updates(action("a0", run)),
    "watches.watch_events": lambda repo, run: repo.watches.watch_events(run),
    "watches.watch_log": lambda repo, run: repo.watches.watch_log(action("a0", run), 1),
}


def _task_of(run: RunIdentifier) -> TaskKey:
    return TaskKey(run.project, run.domain, None, None)


async def found(repository: ActionRepo, read: Read, run: RunIdentifier) -> str:
    """The result without the requested identifiers."""
    try:
        answer = repr(_plain(await read(repository, run)))
    except NotFound as error:
        answer = f"{type(error)}: {error}"
    for name in (repr(run.key), repr(action("a0", run).key), run.project):
        answer = answer.replace(name, "…")
    return answer


def _plain(answer: Any) -> Any:
    """The result with pages replaced by their items."""
    if isinstance(answer, Page):
        return [*answer.items], answer.has_next, answer.has_previous
    if isinstance(answer, dict):
        return {key: _plain(value) for key, value in answer.items()}
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return [*answer]
    return answer


@pytest.mark.parametrize("name", BY_NAME)
async def test_runs_of_others_are_not_found(both: ActionRepo, name: str) -> None:
    for mine, other in ((OURS, THEIRS), (THEIRS, OURS)):
        mine_alone = view(both, mine.project)
        nothing = await found(mine_alone, BY_NAME[name], NOWHERE)
        assert await found(mine_alone, BY_NAME[name], other) == nothing
        seen = await found(mine_alone, BY_NAME[name], mine)
        assert seen != nothing
        assert seen == await found(both, BY_NAME[name], mine)


@pytest.mark.parametrize("name", WATCHED)
async def test_watching_a_run_of_others_raises_not_found(both: ActionRepo, name: str) -> None:
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


# Lists


async def _projects_of(pages: Awaitable[Any]) -> list[str]:
    return sorted(each.project for each in (await pages).items)


async def _histogram(repo: ActionRepo) -> int:
    tomorrow = max(run.created_at for run in (await repo.runs.page()).items) + timedelta(days=1)
    buckets = await repo.summaries.list_histogram(T0, tomorrow, 1)
    return sum(each.count for bucket in buckets for each in bucket.phase_counts)


async def _grid(repo: ActionRepo) -> tuple[list[str], int]:
    grid = await repo.summaries.get_grid()
    return [run.project for run in grid.runs], len(grid.rows)


async def _listed_pending(repo: ActionRepo) -> list[str]:
    return sorted(each.project for each in await repo.list_pending_aborts())


OF_ALL: dict[str, tuple[Callable[[ActionRepo], Awaitable[Any]], Any, Any]] = {
    "runs.page": (lambda repo: _projects_of(repo.runs.page()), ["ours"], ["theirs"] * 2),
    "runs.count": (lambda repo: repo.runs.count(), 1, 2),
    "runs.list_projects": (lambda repo: repo.runs.list_projects(), {"ours": ["d"]}, {"theirs": ["d"]}),
    "list_actions": (lambda repo: _projects_of(repo.list_actions()), ["ours"] * 3, ["theirs"] * 6),
    "actions.count": (lambda repo: repo.actions.count(), 3, 6),
    "list_pending_aborts": (_listed_pending, ["ours"], ["theirs"] * 2),
    "aborts.page_pending": (
        lambda repo: _projects_of(repo.aborts.page_pending()),
        ["ours"],
        ["theirs"] * 2,
    ),
    "aborts.count_pending": (lambda repo: repo.aborts.count_pending(), 1, 2),
    "summaries.list_tasks": (lambda repo: _projects_of(repo.summaries.list_tasks()), ["ours"], ["theirs"]),
    "summaries.count_tasks": (lambda repo: repo.summaries.count_tasks(), 1, 1),
    "summaries.list_histogram": (_histogram, 1, 2),
    "summaries.get_grid": (_grid, (["ours"], 3), (["theirs"] * 2, 3)),
}


@pytest.mark.parametrize("name", OF_ALL)
async def test_lists_and_counts_cover_only_readable_runs(both: ActionRepo, name: str) -> None:
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


async def test_watches_of_all_runs_begin_with_readable_ones(both: ActionRepo) -> None:
    for project, count in (("ours", 1), ("theirs", 2)):
        watches = view(both, project).watches
        for watch in (watches.watch_all_run_updates, watches.watch_abort_requests):
            async with aclosing(watch()) as frames:
                assert await _begun(frames) == [project] * count
    async with aclosing(view(both, "ours").watch_all_run_updates(RunFilter(project="theirs"))) as frames:
        assert await _begun(frames) == []


async def test_the_progress_of_a_batch_counts_only_readable_runs(both: ActionRepo) -> None:
    for run in ("n0", "n1"):
        await make_run(both, RunIdentifier("theirs", "d", run))
    await make_run(both, RunIdentifier("ours", "d", "n0"))
    batch = (await both.aborts.abort_runs(RunFilter(), None, None, False, True)).batch
    assert batch is not None
    for project, count in (("ours", 1), ("theirs", 2)):
        async with aclosing(view(both, project).watches.watch_abort_progress(batch)) as updates:
            assert (await next_of(updates)).requested == count


# Writes

Write = Callable[[ActionRepo, list[RunIdentifier]], Awaitable[Any]]
BATCHES: dict[str, Write] = {
    "actions.create": lambda repo, runs: repo.actions.create([new("new", "a0", run) for run in runs]),
    "actions.update_phases": lambda repo, runs: repo.actions.update_phases(
        [(action("a2", run), PhaseUpdate(ActionPhase.RUNNING, 2)) for run in runs]
    ),
    "insert_events": lambda repo, runs: repo.insert_events([event("a2", attempt=2, run=run) for run in runs]),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("place", range(3))
async def test_a_batch_with_one_item_of_others_is_rejected_at_any_position(
    both: ActionRepo, name: str, place: int
) -> None:
    for other in (THEIRS, NOWHERE):
        runs = [OURS, OURS]
        runs.insert(place, other)
        with pytest.raises(Forbidden) as error:
            await BATCHES[name](view(both, "ours"), runs)
        assert str(error.value) == f"you may not write in {other.project}/d"
    assert await both.actions.count() == 9
    assert {each.attempts for each in (await both.list_actions()).items} <= {0, 1}
    written = await all_events(both, [action("a2", run) for run in (OURS, THEIRS)])
    assert [*written.values()] == [[], []]


async def test_reports_about_runs_of_others_are_refused_one_by_one(both: ActionRepo) -> None:
    runs = [OURS, THEIRS, NOWHERE, OURS]
    reports = [
        Report(action(name, run), details=new(name, "a0", run))
        for name, run in zip("wxyz", runs, strict=True)
    ]
    results = await view(both, "ours").reports.store(reports)
    errors = [str(result.error) if result.error else None for result in results]
    assert errors == [None, "you may not write in theirs/d", "you may not write in nowhere/d", None]
    assert await both.actions.count() == 11


async def test_creating_in_a_run_of_others_does_not_reveal_whether_it_exists(both: ActionRepo) -> None:
    mine = view(both, "ours")
    for name in ("a0", "never"):
        with pytest.raises(Forbidden, match="^you may not write in theirs/d$"):
            await mine.create_action(new(name, run=THEIRS))
    created, is_new = await mine.create_action(new("a0", run=RunIdentifier("ours", "d", "r1")))
    assert is_new
    assert created.identifier == action("a0", RunIdentifier("ours", "d", "r1"))


async def test_callers_in_one_group_commit_get_only_their_own_errors(both: ActionRepo) -> None:
    good = (new(f"g{number}", "a0", OURS) for number in range(20))
    bad = (new(f"b{number}", f"missing{number}", THEIRS) for number in range(20))
    writes = [
        view(both, each.id.project).actions.create([each])
        for pair in zip(good, bad, strict=True)
        for each in pair
    ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert results[0::2] == [1] * 20
    for number, result in enumerate(results[1::2]):
        assert isinstance(result, NotFound)
        assert str(result) == f"there is no action missing{number}, the parent of theirs/d/r0/b{number}"


# Completeness

ELSEWHERE = {
    # Each mutation with each role: tests/graph/auth/test_tenants.py.
    *("create_action", "update_action_phase", "update_action_state", "notify_state_update"),
    *("abort_run", "abort_action", "mark_abort_attempt", "clear_abort_request"),
    *("aborts.abort_run", "aborts.abort_action", "aborts.mark_attempt", "aborts.confirm"),
    *("aborts.abort_runs", "aborts.retry"),
    # By author: tests/repo/notes/test_notes.py.
    *("notes.add", "notes.update", "notes.delete"),
    # Item by item: see test_reports_about_runs_of_others_are_refused_one_by_one.
    "reports.store",
    # Run by run: see test_each_run_of_a_renewal_has_its_own_error of tests/repo/leases.
    "leases.renew",
    # Called by methods that are tested here.
    *("aborts.list_pending", "actions.page", "events.insert", "events.list_since"),
    *("runs.list_roots", "actions.get_state", "actions.set_state"),
    # Tested there as well, since they change while watched.
    *("watches.watch_all_run_updates", "watches.watch_state_updates"),
    *("watches.watch_abort_requests", "watches.watch_abort_progress"),
}
OF_THE_SERVER = {
    *("on_behalf_of", "check", "watches.metrics", "watches.on_notification"),
    *("pruning.prune", "pruning.remove", "pruning.expire", "pruning.keep_expiring"),
    *("aborts.metrics", "aborts.claim", "aborts.resend", "aborts.record_failure"),
    *("credentials.create", "credentials.find", "credentials.find_valid", "credentials.list_of_kind"),
    *("credentials.revoke", "leases.count_held"),
}
"""Not reachable by callers: the server itself calls them."""


PARTS = "runs actions events notes reports watches aborts leases summaries credentials pruning".split()


async def test_every_method_is_tested(repository: ActionRepo) -> None:
    def methods_of(of: object, prefix: str = "") -> set[str]:
        functions = inspect.getmembers(type(of), inspect.isfunction)
        return {prefix + name for name, _ in functions if not name.startswith("_")}

    methods = methods_of(repository)
    for name in PARTS:
        methods |= methods_of(getattr(repository, name), f"{name}.")
    assert methods == {*BY_NAME, *WATCHED, *OF_ALL, *BATCHES, *ELSEWHERE, *OF_THE_SERVER}
