"""The number of statements of an operation: the same for one row as for many."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.schema.loaders import Loaders
from graph.schema.types.node_ids import id_of
from repo import ActionPhase, ActionRepo, RunIdentifier, TaskIdentifier, open_repository
from repo.sql.database import Database
from tests.support.making import (
    action,
    event,
    make_run,
    new,
    update,
)
from tests.support.statements import recorded

NESTED = """{
  runs(first: 50) { nodes {
    name phaseCounts { phase count } rootAction { name }
    actions(first: 20) { nodes {
      name
      parent { name parent { name } }
      run { name }
      latestEvent(attempt: 1) { phase action { name } }
      phaseCounts { phase count }
      attemptHistory { attempt }
      children(first: 5) { nodes { name } }
      events(last: 2) { nodes { phase } }
    } }
  } }
}"""


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []
    with recorded(database) as seen:
        yield statements
        kinds = ("SELECT", "WITH", "INSERT", "UPDATE")
        statements += [text for text, _ in seen if text.lstrip().startswith(kinds)]


@pytest.fixture
async def opened(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ActionRepo, Database]]:
    monkeypatch.setattr("repo.actions.activity.DELAY", 3600)  # no statements of its own meanwhile
    async with open_repository(database_url) as repository:
        yield repository, repository.database


async def execute(repository: ActionRepo, query: str) -> dict[str, Any]:
    schema = build_schema(Limits(depth=15, aliases=10, tokens=1000, cost=10**6, page=1000))
    result = await schema.execute(query, context_value=Context(repository, ANONYMOUS, 1000))
    assert not result.errors
    data: dict[str, Any] = result.data  # type: ignore[assignment]
    return data


async def fill(repository: ActionRepo, runs: range, children: int) -> None:
    for number in runs:
        run = RunIdentifier("p", "d", f"run-{number}")
        names = {f"t{i}": "a0" for i in range(children)} | {"leaf": "t0"}
        await make_run(repository, run, **names)
        await repository.insert_events([event(name, run=run) for name in names])


async def test_nested_fields_cost_the_same_number_of_statements_for_any_number_of_runs(
    opened: tuple[ActionRepo, Database],
) -> None:
    repository, database = opened
    await fill(repository, range(1), 1)
    with counted(database) as few:
        await execute(repository, NESTED)
    await fill(repository, range(1, 12), 6)
    with counted(database) as many:
        found = await execute(repository, NESTED)
    assert len(found["runs"]["nodes"]) == 12
    assert [len(run["actions"]["nodes"]) for run in found["runs"]["nodes"]] == [8] * 11 + [3]
    assert len(many) == len(few) <= 13


async def test_unselected_fields_are_not_read(opened: tuple[ActionRepo, Database]) -> None:
    repository, database = opened
    await fill(repository, range(2), 2)
    with counted(database) as statements:
        await execute(repository, "{ runs { nodes { name } pageInfo { hasNextPage } } }")
    assert len(statements) == 1
    assert "count(" not in statements[0]
    with counted(database) as statements:
        await execute(repository, "{ runs { totalCount } }")
    assert sum("count(" in statement for statement in statements) == 1


SUMMED = """{
  tasks(first: 50) { nodes {
    taskName runs durationP50Ms durationP95Ms recentRuns(first: 5) { name phaseCounts { count } }
  } }
}"""


async def test_recent_runs_and_durations_of_a_page_of_tasks_are_one_statement_each(
    opened: tuple[ActionRepo, Database],
) -> None:
    repository, database = opened
    cost = []
    for task in range(12):
        named = TaskIdentifier("p", "d", f"task-{task}", "v1")
        runs = [RunIdentifier("p", "d", f"run-{task}-{i}") for i in range(task + 1)]
        await repository.actions.create([new(run=run, task=named) for run in runs])
        with counted(database) as statements:
            found = await execute(repository, SUMMED)
        cost.append(len(statements))
    assert [each["runs"] for each in found["tasks"]["nodes"]] == list(range(12, 0, -1))
    assert [len(each["recentRuns"]) for each in found["tasks"]["nodes"]] == [5] * 8 + [4, 3, 2, 1]
    assert set(cost) == {4}


@pytest.mark.parametrize(
    ("selected", "statements"),
    [
        ("nodes { taskName runs failureRate phaseCounts { count } } pageInfo { endCursor }", 1),
        ("totalCount", 2),
        ("nodes { durationP95Ms durationP50Ms }", 2),
        ("edges { node { recentRuns { name task { name } } } }", 2),
        ("nodes { recentRuns { name } } edges { node { recentRuns { name } } }", 2),
        ("nodes { few: recentRuns(first: 1) { name } many: recentRuns { name } }", 3),
    ],
)
async def test_only_selected_parts_of_a_summary_are_read(
    opened: tuple[ActionRepo, Database], selected: str, statements: int
) -> None:
    repository, database = opened
    await fill(repository, range(3), 1)
    with counted(database) as seen:
        await execute(repository, f"{{ tasks {{ {selected} }} }}")
    assert len(seen) == statements


async def test_a_grid_is_three_statements_however_many_runs_it_has(
    opened: tuple[ActionRepo, Database],
) -> None:
    repository, database = opened
    cost = []
    for runs in (range(1), range(1, 5), range(5, 12)):
        await fill(repository, runs, 3)
        failed = [update("t0", ActionPhase.FAILED, run=RunIdentifier("p", "d", "run-0"))]
        await repository.actions.update_phases(failed)
        with counted(database) as statements:
            found = await execute(
                repository,
                "{ runGrid { isComplete runs { name cursor } "
                "rows { kind name cells { run phase error { summary } } } } }",
            )
        cost.append((len(found["runGrid"]["runs"]), len(statements)))
    assert cost == [(1, 3), (5, 3), (12, 3)]


async def test_a_histogram_is_one_statement(opened: tuple[ActionRepo, Database]) -> None:
    repository, database = opened
    await fill(repository, range(3), 1)
    dates = 'startDate: "2026-01-01T00:00:00Z", endDate: "2027-01-01T00:00:00Z"'
    with counted(database) as seen:
        await execute(repository, f"{{ runHistogram({dates}, buckets: 500) {{ phaseCounts {{ count }} }} }}")
    assert len(seen) == 1


async def test_a_batch_takes_few_statements(opened: tuple[ActionRepo, Database]) -> None:
    repository, database = opened
    names = [f"t{i}" for i in range(500)]
    # The first write over a connection also checks whether the database was restarted.
    await make_run(repository, RunIdentifier("p", "d", "before"))
    with counted(database) as creating:
        await make_run(repository, RunIdentifier("p", "d", "r"), **dict.fromkeys(names, "a0"))
    run = RunIdentifier("p", "d", "r")
    with counted(database) as inserting:
        await repository.insert_events([event(name, run=run) for name in names])
    with counted(database) as updating:
        await repository.actions.update_phases([update(name, ActionPhase.RUNNING, run=run) for name in names])
    assert (await repository.get_action(action("t499", run))).phase is ActionPhase.RUNNING
    # SQLite increments its revision counter in each; its many rows are one prepared statement.
    assert max(len(creating), len(inserting), len(updating)) <= 4


DEEP = """{ name parent { parent { name } } run { name phaseCounts { phase } rootAction {
  events(first: 1) { nodes { action { run { name } latestEvent(attempt: 1) { phase } } } } } }
  children(first: 2) { totalCount nodes { children(first: 2) { nodes { name phaseCounts { phase } } } } } }"""
MANY = {
    "nodes by their ids": "{ %(nodes)s }",
    "what a batch of updates leaves": "mutation { updateActionPhases(input: [%(updates)s]) "
    "{ results { action " + DEEP + " } } }",
    "what a batch of creations leaves": "mutation { createActions(input: [%(actions)s]) { actions "
    + DEEP
    + " } }",
}


@pytest.mark.parametrize("many", MANY)
async def test_nested_reads_cost_the_same_number_of_statements_for_any_number_of_parents(
    opened: tuple[ActionRepo, Database], many: str
) -> None:
    repository, database = opened
    await fill(repository, range(9), 3)
    cost = []
    shapes = ["a0", "t0", "leaf"]
    for names in (shapes, shapes * 3):
        runs = [RunIdentifier("p", "d", f"run-{i}") for i in range(len(names))]
        ids = [
            f'{{project: "p", domain: "d", runName: "{run.name}", name: "{name}"}}'
            for run, name in zip(runs, names, strict=True)
        ]
        found = [await repository.get_action(action(n, run)) for n, run in zip(names, runs, strict=True)]
        text = MANY[many] % {
            "nodes": " ".join(
                f'n{i}: node(id: "{id_of(x)}") {{ ... on Action {DEEP} }}' for i, x in enumerate(found)
            ),
            "updates": ", ".join(f"{{id: {id}, phase: RUNNING, attempts: 1}}" for id in ids),
            "actions": ", ".join(f'{{id: {id}, parentName: "a0"}}' for id in ids),
        }
        with counted(database) as statements:
            await execute(repository, text)
        cost.append(len(statements))
    # Timing determines which keys are read together: a few more or fewer statements, but not one for each.
    assert cost[1] <= cost[0] + 6
    assert cost[0] < 20


async def test_reads_of_siblings_are_batched_with_a_bounded_size(
    opened: tuple[ActionRepo, Database],
) -> None:
    repository, database = opened
    with counted(database) as statements:
        found = await Loaders(repository).action.load_many(
            (action(f"t{i}").key, (None,)) for i in range(12_000)
        )
    assert found == [None] * 12_000
    assert len(statements) == 3, "SQLite has a limit on the parameters of a statement"


async def test_sibling_fields_are_resolved_concurrently(opened: tuple[ActionRepo, Database]) -> None:
    repository, _ = opened
    await fill(repository, range(3), 3)
    fields = " ".join(
        f"f{i}: runs(first: {i + 1}) {{ totalCount nodes {{ phaseCounts {{ count }} }} }}" for i in range(9)
    )
    found = await execute(repository, f"{{ {fields} }}")
    assert [found[f"f{i}"]["totalCount"] for i in range(9)] == [3] * 9
