"""Query plans of hot reads: rows come from an index in order, without sorting."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from repo import (
    ActionColumn,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    ColumnSource,
    EventKey,
    FrameKind,
    LabelFilter,
    LogLevel,
    LogQuery,
    NewLogLine,
    Order,
    OrderField,
    PageRequest,
    Pruned,
    RunFilter,
    RunGrouping,
    RunIdentifier,
    RunSource,
    TaskKey,
    open_repository,
)
from repo.actions.criteria import criteria
from tests.support.databases import Databases
from tests.support.making import (
    RUN,
    T0,
    action,
    at,
    event,
    make_run,
    new,
    update,
)
from tests.support.plans import filled, plans

ROOTS = 20_000


@pytest.fixture(scope="module")
def filled_url(databases: Databases, migrated_url: str) -> Iterator[str]:
    """A database with enough rows for the planner to have a choice."""
    with filled(databases, migrated_url, fill) as url:
        yield url


async def fill(url: str) -> None:
    """Many runs, and one with many actions."""
    async with open_repository(url) as repository:
        await make_run(repository)
        await repository.actions.create([new(f"t{i:04}", "a0") for i in range(4000)])
        made = [event(f"t{i % 4:04}", attempt=1 + i // 400, version=i % 400) for i in range(4000)]
        await repository.insert_events(made)
        database = repository.database
        run_key, created_at = (
            ("CAST(printf('%016d', n) AS BLOB)", "1767225600000000 + n * 1000000")
            if database.is_sqlite
            else ("decode(md5(CAST(n AS text)), 'hex')", "timestamptz '2026-01-01' + n * interval '1 second'")
        )
        # SQLite shows a combination of them as text.
        key = f"CAST({run_key} || {run_key} AS {'BLOB' if database.is_sqlite else 'bytea'})"
        statement = f"""
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROOTS})
            INSERT INTO actions (key, run_key, depth, name, project, domain, run_name, type, phase, attempts,
              cache_status, labels, search_text, run_search_text, abort_attempt_count, created_at,
              updated_at, revision, transaction_id)
            SELECT {key}, {run_key}, 0, 'a0', 'p', 'd', 'run', 1, 60, 1, 0, '{{}}', 'a0',
              'run', 0, {created_at}, {created_at}, 1, 1
            FROM numbers
        """
        metrics = """
            INSERT INTO action_metrics (action_key, name, last, last_at, minimum, maximum, series)
            SELECT key, 'loss', 1, created_at, 1, 1, '[0, []]' FROM actions
        """
        async with database.engine.begin() as connection:
            await connection.execute(text(statement))
            await connection.execute(text(metrics))
            if not database.is_sqlite:  # production never does it there
                await connection.execute(text("ANALYZE"))


async def explained(url: str, call: str) -> str:
    """The plan of the last statement of a call of the repository."""
    async with open_repository(url) as repository:
        return (await plans(repository, CALLS[call]))[-1]


async def next_page(repository: ActionRepo) -> None:
    first = await repository.runs.page(page=PageRequest(first=50))
    await repository.runs.page(page=PageRequest(first=50, after=first.cursors[-1]))


async def page_before(repository: ActionRepo) -> None:
    first = await repository.runs.page(page=PageRequest(last=50))
    await repository.runs.page(page=PageRequest(last=50, before=first.cursors[0]))


async def next_actions(repository: ActionRepo) -> None:
    first = await repository.list_actions(RUN, page=PageRequest(first=500))
    await repository.list_actions(RUN, page=PageRequest(first=500, after=first.cursors[-1]))


PAGE = PageRequest(first=50)
PAGES: dict[str, Callable[[ActionRepo], Awaitable[object]]] = {
    "the newest runs": lambda r: r.runs.page(page=PAGE),
    "the next runs": next_page,
    "the oldest runs": lambda r: r.runs.page(page=PageRequest(last=50)),
    "the runs before a cursor": page_before,
    "the runs of a project": lambda r: r.runs.page(RunFilter(project="p", domain="d"), page=PAGE),
    "all actions": lambda r: r.list_actions(page=PAGE),
    "the actions of a run": lambda r: r.list_actions(RUN, page=PAGE),
    "the next actions of a run": next_actions,
    "the actions under one run": lambda r: r.actions.pages("run_key", [RUN.key], page=PAGE),
    "the waiting aborts": lambda r: r.aborts.page_pending(PAGE),
}
CALLS: dict[str, Callable[[ActionRepo], Awaitable[object]]] = {
    **PAGES,
    "a histogram of ten minutes": lambda r: r.summaries.list_histogram(T0, at(600), 60),
    "the aborts that are due": lambda r: r.aborts.claim("lease", timedelta(0), 10, 10),
    "the figures of aborts": lambda r: r.aborts.metrics(),
    "a batch of updates": lambda r: r.actions.update_phases(
        [update(f"t{i:04}", ActionPhase.RUNNING) for i in range(50)]
    ),
}


async def test_a_histogram_of_a_short_time_reads_no_other_runs(filled_url: str) -> None:
    assert "ix_runs_by_time" in await explained(filled_url, "a histogram of ten minutes")


TASK = TaskKey("p", "d", None, None)
OF_TASKS: dict[str, Callable[[ActionRepo, RunFilter | None], Awaitable[object]]] = {
    "counts": lambda r, filter: r.summaries.list_tasks(filter, PAGE),
    "durations": lambda r, filter: r.summaries.list_durations([TASK] * 50, filter),
    "recent runs": lambda r, filter: r.summaries.list_recent_runs([TASK], filter),
}


@pytest.mark.parametrize("call", OF_TASKS)
async def test_tasks_of_a_short_time_are_found_by_its_index(filled_url: str, call: str) -> None:
    newest = RunFilter(start_date=at(ROOTS - 100))
    async with open_repository(filled_url) as repository:
        (plan,) = await plans(repository, lambda r: OF_TASKS[call](r, newest))
        (of_all,) = await plans(repository, lambda r: OF_TASKS[call](r, None))
    assert "ix_runs_by_time" in plan, plan
    for each in (plan, of_all):  # never all runs for each task
        assert not re.search(r"SCAN listed\n.*runs", each), each


@pytest.mark.parametrize("call", PAGES)
async def test_a_page_is_read_from_an_index_in_its_order(filled_url: str, call: str) -> None:
    plan = await explained(filled_url, call)
    assert "Index Scan" in plan or "USING INDEX" in plan, plan
    assert "Sort" not in plan, plan
    # SQLite sorts the rows of a page of runs again.
    assert "TEMP B-TREE" not in plan.partition("SCAN page")[0], plan
    assert "Seq Scan" not in plan, plan


async def test_a_filter_over_all_runs_searches_the_newest_actions_by_index(filled_url: str) -> None:
    nothing = ActionFilter(search="nothing")
    async with open_repository(filled_url) as repository:
        (plan,) = await plans(repository, lambda r: r.list_actions(filter=nothing, page=PAGE))
    assert "ix_actions_created" in plan, plan
    assert not re.search(r"Seq Scan|Sort|SCAN actions$", plan), plan


@pytest.mark.parametrize("field", OrderField)
async def test_an_order_within_a_run_reads_no_other_run(filled_url: str, field: OrderField) -> None:
    async with open_repository(filled_url) as repository:
        order = Order(field)
        (plan,) = await plans(repository, lambda r: r.list_actions(RUN, order=order, page=PAGE))
    assert "ix_actions_created" not in plan, plan
    assert "ix_actions_tree" in plan, plan


async def test_a_grid_reads_the_first_actions_of_each_run_from_an_index(filled_url: str) -> None:
    async with open_repository(filled_url) as repository:
        runs, found = await plans(repository, lambda r: r.summaries.get_grid())
        failed = [update(f"t{i:04}", ActionPhase.FAILED, 8) for i in range(90)]
        await repository.actions.update_phases(failed)
        of_one = RunFilter(project=RUN.project, domain=RUN.domain)
        *_, of_large, errors = await plans(repository, lambda r: r.summaries.get_grid(of_one))
    check_index(runs)
    for plan in (found, of_large):
        assert "ix_actions_tree" in plan, plan
        assert not re.search("Seq Scan|Sort|TEMP B-TREE|SCAN actions", plan), plan
    check_index(errors)
    assert re.search("pk_actions|sqlite_autoindex_actions_1", errors), errors


ONE = action("t0001")
BY_KEY: dict[str, Callable[[ActionRepo], Awaitable[object]]] = {
    "the attempts of an action": lambda r: r.events.list_attempts([ONE]),
    "the attempts of many": lambda r: r.events.list_attempts([action(f"t{i:04}") for i in range(100)]),
    "the latest event": lambda r: r.events.get_latest([(ONE, 1)]),
    "the latest events of many": lambda r: r.events.get_latest([(action(f"t{i:04}"), 1) for i in range(100)]),
    "an event": lambda r: r.events.find([EventKey(ONE, 1, ActionPhase.RUNNING, 0)]),
}


@pytest.mark.parametrize("call", BY_KEY)
async def test_attempts_and_single_events_are_read_by_the_primary_key(filled_url: str, call: str) -> None:
    async with open_repository(filled_url) as repository:
        (plan,) = await plans(repository, BY_KEY[call])
    by_key = (
        r"Index Scan using pk_action_events on action_events |SEARCH action_events USING INDEX sqlite_auto"
    )
    assert re.search(by_key, plan), plan


COLUMNS = [
    ActionColumn(ColumnSource.SPEC, ("lr",)),
    ActionColumn(ColumnSource.OUTPUTS, ("acc",)),
    ActionColumn(ColumnSource.METRICS, ("loss",)),
]
OF_COLUMNS: dict[str, Callable[[ActionRepo], Awaitable[object]]] = {
    "the values of one": lambda r: r.actions.list_values([ONE.key], COLUMNS),
    "the values of many": lambda r: r.actions.list_values(
        [action(f"t{i:04}").key for i in range(20)], COLUMNS
    ),
    "the columns of a run": lambda r: r.actions.list_columns(RUN),
    "the columns of a group": lambda r: r.actions.list_columns(RUN, ActionFilter(group="none")),
}


@pytest.mark.parametrize("call", OF_COLUMNS)
async def test_columns_are_read_by_primary_keys(filled_url: str, call: str) -> None:
    async with open_repository(filled_url) as repository:
        found = await plans(repository, OF_COLUMNS[call])
    assert len(found) >= 3
    for plan in found:
        assert not re.search("Seq Scan on action", plan), plan
        assert not re.search(r"SCAN action\w*(?! USING)", plan), plan
        assert "pk_action" in plan or re.search(
            r"SEARCH action\w* USING (COVERING )?INDEX sqlite_autoindex", plan
        ), plan


LOGS: dict[str, Callable[[ActionRepo], Awaitable[object]]] = {
    "the first lines": lambda r: r.logs.page(ONE, 1),
    "the last lines": lambda r: r.logs.page(ONE, 1, backward=True),
    "lines of a level": lambda r: r.logs.page(ONE, 1, LogQuery(levels=frozenset({LogLevel.ERROR}))),
    "the summaries of many": lambda r: r.logs.summaries([(action(f"t{i:04}"), 1) for i in range(100)]),
    "an append": lambda r: r.logs.append(ONE, [NewLogLine("x")]),
}


@pytest.mark.parametrize("call", LOGS)
async def test_logs_are_read_by_the_primary_key(filled_url: str, call: str) -> None:
    async with open_repository(filled_url) as repository:
        for number in range(300):
            await repository.logs.append(action(f"t{number:04}"), [NewLogLine("x")] * 3)
        await repository.logs.append(ONE, [NewLogLine("x" * 1000)] * 5000)
        if not repository.database.is_sqlite:
            async with repository.database.engine.begin() as connection:
                await connection.execute(text("ANALYZE log_heads, log_chunks"))
        found = [plan for plan in await plans(repository, LOGS[call]) if "log_" in plan]
    assert found
    for plan in found:
        assert not re.search("Seq Scan on (log_|actions)|Sort Key: log_chunks", plan), plan
        assert not re.search(r"SCAN (log_|actions)|TEMP B-TREE", plan), plan


EVENTS: dict[str, dict[str, Any]] = {
    "a run": {},
    "an action": {"action_name": "t0001"},
    "an attempt": {"action_name": "t0001", "attempt": 1},
}


@pytest.mark.parametrize("of", EVENTS)
async def test_a_stream_of_events_reads_each_page_from_the_primary_key(filled_url: str, of: str) -> None:
    async with open_repository(filled_url) as repository:

        async def read(repository: ActionRepo) -> None:
            async with aclosing(repository.watches.watch_events(RUN, **EVENTS[of])) as frames:
                async for frame in frames:
                    if frame.kind is FrameKind.SYNCED:
                        return

        pages = [plan for plan in await plans(repository, read) if "action_events" in plan]
    assert len(pages) >= 2
    for plan in pages:
        assert "pk_action_events" in plan or "sqlite_autoindex_action_events_1" in plan, plan
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan


ORDERS = [Order(field, descending) for field in OrderField for descending in (False, True)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_each_order_of_runs_has_an_index(filled_url: str, order: Order) -> None:
    async with open_repository(filled_url) as repository:
        first = await plans(repository, lambda r: r.runs.page(None, order, PAGE))
        last = await plans(repository, lambda r: r.runs.page(None, order, PageRequest(last=50)))
    for plan in (*first, *last):
        check_index(plan)


NONE: dict[str, Any] = {
    "ids": (RunIdentifier("none", "d", "r"),),
    "search": "zq",
    "task_name": "none",
    "task_version": "none",
    "function_name": "none",
    "trigger_name": "none",
    "trigger_task_name": "none",
    "created_by": "none",
    "created_by_subject": "none",
    "project": "none",
    "sources": (RunSource.WEB,),
    "labels": (LabelFilter("team"), LabelFilter("team", "none")),
    "all_labels": (LabelFilter("team", "none"),),
    "phases": (ActionPhase.TIMED_OUT,),
    "min_duration_ms": 10**9,
    "max_duration_ms": 0,
    "has_paused_actions": True,
    "abort_pending": True,
    "start_date": at(10**9),
    "end_date": at(-(10**9)),
    "executor": "none",
    "silent_since": at(-(10**9)),
}
"""Filters that no run matches."""
UNSELECTIVE = {"domain", "exclude_phases", "has_task", "has_function"}
"""Filters that cannot match few runs of many, or that only narrow others."""


def test_every_filter_of_runs_has_a_value_that_no_run_has() -> None:
    assert criteria(RunFilter).keys() == NONE.keys() | UNSELECTIVE


@pytest.mark.parametrize("field", NONE)
async def test_a_filter_that_no_run_matches_reads_no_more_than_some_newest_runs(
    filled_url: str, field: str
) -> None:
    """Two statements look at a limited number of runs, the last one finds those that match by an index."""
    async with open_repository(filled_url) as repository:
        filter = RunFilter(**{field: NONE[field]})
        found = await plans(repository, lambda r: r.runs.page(filter, page=PAGE))
        counted = await plans(repository, lambda r: r.runs.count(filter))
    assert len(found) == 3
    for plan in (*found, *counted):
        check_index(plan)


def check_index(plan: str) -> None:
    """No table of runs or actions is read as a whole."""
    assert not re.search("Seq Scan on (runs|actions)", plan), plan
    assert not re.search(r"SCAN (runs|actions)(?! USING)", plan), plan


OVERVIEW: dict[str, tuple[str, Callable[[ActionRepo], Awaitable[object]]]] = {
    "unfinished runs by project": (
        "ix_runs_by_phase",
        lambda r: r.overview.list_counts(RunGrouping.PROJECT, RunFilter(phases=(ActionPhase.RUNNING,))),
    ),
    "unfinished runs by creator": (
        "ix_runs_by_phase",
        lambda r: r.overview.list_counts(RunGrouping.CREATOR, RunFilter(phases=(ActionPhase.RUNNING,))),
    ),
    "durations of a task": (
        "ix_runs_by_task",
        lambda r: r.overview.list_typical_durations([TaskKey("p", "d", "load", None)]),
    ),
    "durations of a function": (
        "ix_runs_by_function",
        lambda r: r.overview.list_typical_durations([TaskKey("p", "d", None, "load")]),
    ),
    "suggested tasks": ("ix_runs_by_task", lambda r: r.overview.suggest("x")),
    "suggested people": ("ix_runs_by_creator", lambda r: r.overview.suggest("x")),
}


@pytest.mark.parametrize("call", OVERVIEW)
async def test_an_overview_is_read_by_an_index(filled_url: str, call: str) -> None:
    index, read = OVERVIEW[call]
    async with open_repository(filled_url) as repository:
        found = await plans(repository, read)
    for plan in found:
        check_index(plan)
    assert any(index in plan for plan in found), found
    assert not any("TEMP B-TREE FOR ORDER" in plan for plan in found), found


async def test_a_batch_of_updates_finds_its_rows_by_the_primary_key(filled_url: str) -> None:
    plan = await explained(filled_url, "a batch of updates")
    assert "pk_actions" in plan or "sqlite_autoindex_actions_1" in plan, plan


async def test_a_poll_reads_changes_and_their_actions_by_index(filled_url: str) -> None:
    async with (
        open_repository(filled_url) as repository,
        aclosing(repository.watch_all_action_updates(RUN)) as stream,
    ):
        while (await anext(stream)).kind is not FrameKind.SYNCED:
            pass

        async def change(repository: ActionRepo) -> None:
            await repository.actions.update_phases([update("t0150", ActionPhase.RUNNING, 7)])
            await anext(stream)

        found = await plans(repository, change, polling=True)
    changes = [plan for plan in found if "action_changes" in plan]
    assert changes
    for plan in changes:
        assert "pk_action_changes" in plan or "USING PRIMARY KEY" in plan, plan
    assert not [plan for plan in found if "Seq Scan on actions" in plan or "SCAN actions" in plan], found


@pytest.mark.parametrize("call", ["the aborts that are due", "the figures of aborts"])
async def test_pending_aborts_are_found_by_their_index(filled_url: str, call: str) -> None:
    assert "ix_actions_unconfirmed_abort" in await explained(filled_url, call)


@pytest.mark.parametrize("where", [{}, {"project": "old"}, {"project": "old", "domain": "d"}])
async def test_pruning_reads_candidates_by_index_and_only_their_actions(
    filled_url: str, where: dict[str, Any]
) -> None:
    runs = [RunIdentifier("old", "d", f"r{number}") for number in range(20)]
    async with open_repository(filled_url) as repository:
        await repository.actions.create(
            [each for run in runs for each in (new(run=run, created_at=T0), new("m", "a0", run))]
        )
        await repository.actions.update_phases(
            [update("a0", ActionPhase.SUCCEEDED, run=run, end_time=T0) for run in runs]
        )

        async def prune(repository: ActionRepo) -> None:
            assert [done async for done in repository.pruning.prune(timedelta(days=1), **where)] == [
                Pruned(20, 40)
            ]

        found = await plans(repository, prune)
    assert len(found) >= 5
    for plan in found:
        assert "Seq Scan on actions" not in plan, plan
        assert not re.search(r"^SCAN (actions|member)(?! USING)", plan, re.MULTILINE), plan
    assert any("ix_runs_" in plan for plan in found)


@pytest.mark.parametrize("name", ["a0", "t0007"])
async def test_confirming_an_abort_reads_no_other_run(filled_url: str, name: str) -> None:
    run = RunIdentifier("small", "d", f"with {name}")
    async with open_repository(filled_url) as repository:
        tree = [
            new(run=run),
            new("t0007", "a0", run),
            new("below", "t0007", run),
            new("deeper", "below", run),
        ]
        await repository.actions.create(tree)
        await repository.abort_action(action(name, run), None, None)
        found = await plans(repository, lambda r: r.clear_abort_request(action(name, run)))
    assert len(found) >= 5
    for plan in found:
        assert "Seq Scan on actions" not in plan, plan
        assert not re.search(r"^SCAN (actions|child)", plan, re.MULTILINE), plan


async def test_descendants_and_ancestors_are_looked_up_by_index(filled_url: str) -> None:
    run = RunIdentifier("deep", "d", "with many")
    names = [f"n{number}" for number in range(1000)]
    async with open_repository(filled_url) as repository:
        chain = [new(name, parent, run) for name, parent in zip(names, ["a0", *names], strict=False)]
        await repository.actions.create([new(run=run), *chain])
        keys = [action(name, run).key for name in names]
        found = await plans(repository, lambda r: r.actions.count_phases_of_descendants(keys))
        # Below every second one: what is above them is not among the parents.
        leaves = [new(f"leaf of {name}", name, run) for name in names[::2]]
        found += await plans(repository, lambda r: r.actions.create(leaves))
    recursive = [plan for plan in found if "WorkTable Scan" in plan or "RECURSIVE STEP" in plan]
    assert len(recursive) >= 2
    for plan in recursive:
        step = re.split("WorkTable Scan|RECURSIVE STEP", plan)[1]
        assert not re.search(r"Seq Scan on actions|SCAN (actions|below|above)", step), plan
