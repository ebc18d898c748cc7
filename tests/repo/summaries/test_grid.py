"""Grids of runs: the newest runs of a task side by side with their actions."""

from datetime import timedelta
from typing import Any

import pytest

from repo import (
    Access,
    ActionError,
    ActionPhase,
    ActionRepo,
    ErrorKind,
    Grant,
    GridRow,
    GridRowKind,
    InvalidArgument,
    NewAction,
    Role,
    RunFilter,
    RunGrid,
    RunIdentifier,
    TaskIdentifier,
)
from repo.summaries.grid_rows import GridAction, grid_rows
from tests.support.making import T0, action, at, event, new, update

P, KIND = ActionPhase, GridRowKind
NIGHTLY = RunFilter(project="p", domain="d", task_name="nightly")


def run_id(number: int) -> RunIdentifier:
    return RunIdentifier("p", "d", f"nightly-{number}")


def step(number: int, name: str, parent: str = "a0", seconds: float = 1, **rest: Any) -> NewAction:
    """An action of a nightly run."""
    created_at = T0 + timedelta(days=number, seconds=seconds)
    return new(name, parent, run_id(number), created_at=created_at, **rest)


async def make_nightly(repository: ActionRepo, number: int, *steps: NewAction, version: str = "v1") -> None:
    """A run of a task, created this many days after T0."""
    task = TaskIdentifier("p", "d", "nightly", version)
    root = new(run=run_id(number), task=task, created_at=T0 + timedelta(days=number))
    await repository.actions.create([root, *steps])


async def fail(repository: ActionRepo, number: int, name: str, message: str, code: str = "E") -> None:
    error = ActionError(ErrorKind.USER, message, code)
    await repository.insert_events([event(name, P.FAILED, 1, 9, run_id(number), error=error)])
    await repository.actions.update_phases([update(name, P.FAILED, run=run_id(number))])


def shown(grid: RunGrid) -> list[str]:
    """A line for each row: its name, indented by its depth, and its phases, the newest run on the right."""
    return [f"{'  ' * row.depth}{row.name} {phases(grid, row)}" for row in grid.rows]


SIGNS = {P.SUCCEEDED: "s", P.FAILED: "F", P.RUNNING: "r", P.QUEUED: "q", P.SKIPPED: "k", P.TIMED_OUT: "T"}


def phases(grid: RunGrid, row: GridRow) -> str:
    by_run = {cell.run: SIGNS[cell.phase] for cell in row.cells}
    return "".join(by_run.get(number, ".") for number in reversed(range(len(grid.runs))))


async def test_actions_of_the_same_name_are_a_row_below_their_parent(repository: ActionRepo) -> None:
    for number in range(3):
        steps = [step(number, "load", seconds=2), step(number, "check", "load", seconds=3)]
        await make_nightly(repository, number, step(number, "extract", phase=P.SUCCEEDED), *steps)
    await repository.actions.create([step(2, "report", phase=P.RUNNING, seconds=9)])
    await fail(repository, 1, "check", "no rows", "EMPTY")
    await make_nightly(repository, 9)
    await repository.actions.create([new(run=RunIdentifier("p", "d", "another"))])
    grid = await repository.summaries.get_grid(NIGHTLY)
    assert [run.name for run in grid.runs] == ["nightly-9", "nightly-2", "nightly-1", "nightly-0"]
    assert shown(grid) == ["a0 qqqq", "  extract sss.", "  load qqq.", "    check qFq.", "  report ..r."]
    assert grid.is_complete
    assert [row.kind for row in grid.rows] == [KIND.ROOT, *[KIND.ACTION] * 4]
    check = grid.rows[3].cells
    assert [(cell.run, cell.name, cell.actions, cell.failed) for cell in check] == [
        *((1, "check", 1, 0), (2, "check", 1, 1), (3, "check", 1, 0)),
    ]
    assert [cell.error and (cell.error.code, cell.error.message) for cell in check] == [
        *(None, ("EMPTY", "no rows"), None),
    ]


async def test_generated_names_are_one_row_by_what_they_share(repository: ActionRepo) -> None:
    phases = [P.SUCCEEDED, P.FAILED, P.RUNNING, P.SUCCEEDED]
    for number in range(2):
        made = []
        for part, phase in enumerate(phases if number else [P.SUCCEEDED] * 4):
            unique = f"{number}{part}f3a"
            task = TaskIdentifier("p", "d", "fetch", "v1")
            made += [
                step(number, f"trial-{unique}", group="trials", phase=phase),
                step(number, f"t-{unique}", task=task, phase=phase),
                step(number, f"f-{unique}", function_name="score", phase=phase),
                step(number, f"sync.{unique}-{part}.csv", phase=phase),
                step(number, f"sub-{unique}", f"trial-{unique}", seconds=2, phase=phase),
            ]
        await make_nightly(repository, number, *made)
    grid = await repository.summaries.get_grid(NIGHTLY)
    assert shown(grid) == [
        *("a0 qq", "  score sF", "  sync.*.csv sF", "  fetch sF", "  trials sF", "    sub-* sF"),
    ]
    assert [row.kind for row in grid.rows[1:]] == [
        *(KIND.FUNCTION, KIND.PATTERN, KIND.TASK, KIND.GROUP, KIND.PATTERN),
    ]
    newest = grid.rows[4].cells[0]
    assert (newest.name, newest.actions, newest.failed) == ("trial-11f3a", 4, 1)


@pytest.mark.parametrize(
    ("names", "row"),
    [
        (["fetch-0a1b2c", "fetch-9f8e7d"], "fetch-*"),
        (["load2", "load3"], "load*"),
        (["part_0001_of_9", "part_0002_of_9"], "part_*_of_*"),
        (["0f3c7d3e-9a0b-4c34-8f5e-1d2c3b4a5e6f", "3b1d0e2f-1a2b-4c3d-9e8f-0a1b2c3d4e5f"], "*"),
        (["步骤-17", "步骤-18"], "步骤-*"),
        (["deadbeef1 x", "cafe2 x"], "* x"),
    ],
)
def test_numbers_and_ids_are_left_out_of_names(names: list[str], row: str) -> None:
    def made(name: str, parent: str | None = "a0") -> GridAction:
        depth = 0 if parent is None else 1
        return GridAction(b"", name, parent, depth, None, None, None, P.SUCCEEDED, None, None)

    rows = grid_rows([[made("a0", None), made(name)] for name in names])
    assert [(each.kind, each.name, len(each.cells)) for each in rows] == [
        (KIND.ROOT, "a0", 2),
        (KIND.PATTERN, row, 2),
    ]


async def test_steps_that_are_new_in_a_run_are_rows_of_their_own(repository: ActionRepo) -> None:
    for number in range(2):
        await make_nightly(repository, number, step(number, "load"))
    added = [step(1, name, "load", seconds=i, group="checks") for i, name in enumerate("abc")]
    await repository.actions.create([*added, step(1, "below", "b", seconds=8)])
    grid = await repository.summaries.get_grid(NIGHTLY)
    assert shown(grid) == ["a0 qq", "  load qq", "    a .q", "    b .q", "      below .q", "    c .q"]
    (one,) = [await repository.summaries.get_grid(NIGHTLY, runs=1)]
    assert {row.kind for row in one.rows} == {KIND.ROOT, KIND.ACTION}


async def test_a_large_run_is_not_read_whole(repository: ActionRepo) -> None:
    for number in range(2):
        await make_nightly(repository, number, *(step(number, f"s{i:03}", seconds=i) for i in range(60)))
    grid = await repository.summaries.get_grid(NIGHTLY, first=50)
    assert [row.name for row in grid.rows] == ["a0", *(f"s{i:03}" for i in range(49))]
    assert not grid.is_complete
    assert (await repository.summaries.get_grid(NIGHTLY, first=61)).is_complete
    # Different steps of two runs are more rows than either has.
    await repository.actions.create([step(number, f"only-{number}", f"s{number:03}") for number in range(2)])
    cut = await repository.summaries.get_grid(NIGHTLY, first=62)
    assert (len(cut.rows), cut.is_complete) == (62, False)


async def test_only_the_beginning_and_the_end_of_a_long_message_are_read(repository: ActionRepo) -> None:
    await make_nightly(repository, 0, step(0, "load"))
    frames = '  File "reader.py", line 1, in read\n    return self._read(filters)\n' * 200
    trace = f"Traceback (most recent call last):\n{frames}ValueError: é does not fit"
    await fail(repository, 0, "load", trace)
    grid = await repository.summaries.get_grid(NIGHTLY)
    error = grid.rows[1].cells[0].error
    assert error is not None
    assert (error.message[:100], error.message[-30:]) == (trace[:100], trace[-30:])
    assert len(error.message) < 4_020


async def test_an_error_of_an_earlier_attempt_is_not_that_of_its_cell(repository: ActionRepo) -> None:
    await make_nightly(repository, 0, step(0, "load"))
    await fail(repository, 0, "load", "first attempt")
    await repository.actions.update_phases([update("load", P.FAILED, 2, run_id(0))])
    grid = await repository.summaries.get_grid(NIGHTLY)
    assert (grid.rows[1].cells[0].phase, grid.rows[1].cells[0].error) == (P.FAILED, None)


async def test_a_grid_has_only_what_a_caller_may_read(repository: ActionRepo) -> None:
    await make_nightly(repository, 0, step(0, "load"))
    await fail(repository, 0, "load", "secret")
    for grant, count in ((Grant(Role.VIEWER, "p", "d"), 1), (Grant(Role.VIEWER, "p", "other"), 0)):
        view = repository.on_behalf_of(Access(frozenset({grant})))
        grid = await view.summaries.get_grid()
        assert (len(grid.runs), len(grid.rows)) == (count, 2 * count)


async def test_sizes_out_of_range_are_rejected(repository: ActionRepo) -> None:
    await make_nightly(repository, 0, step(0, "load"))
    for runs, first, message in (
        (51, 10, "runs must be between 0 and 50"),
        (-1, 10, "runs must be between 0 and 50"),
        (10, 501, "first must be between 0 and 500"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            await repository.summaries.get_grid(None, runs, first)
    nothing = await repository.summaries.get_grid(None, 0)
    assert (list(nothing.runs), list(nothing.rows), nothing.is_complete) == ([], [], True)
    no_rows = await repository.summaries.get_grid(None, 1, 0)
    assert (list(no_rows.rows), no_rows.is_complete) == ([], False)


async def test_a_cell_lasts_from_its_first_start_to_its_last_end(repository: ActionRepo) -> None:
    for number in range(2):
        made = [step(number, f"part-{number}{i}", function_name="part") for i in range(2)]
        await make_nightly(repository, number, *made)
    for number, last in ((0, P.SUCCEEDED), (1, P.RUNNING)):
        await repository.actions.update_phases(
            [
                update(
                    f"part-{number}0", P.SUCCEEDED, run=run_id(number), start_time=at(10), end_time=at(50)
                ),
                update(
                    f"part-{number}1",
                    last,
                    run=run_id(number),
                    start_time=at(5),
                    end_time=at(30) if last.is_terminal else None,
                ),
            ]
        )
    newest, oldest = (await repository.summaries.get_grid(NIGHTLY)).rows[1].cells
    assert (oldest.started_at, oldest.ended_at) == (at(5), at(50))
    assert (newest.started_at, newest.ended_at) == (at(5), None)
    assert (newest.name, newest.phase) == ("part-11", P.RUNNING)
    assert newest.key == action("part-11", run_id(1)).key
