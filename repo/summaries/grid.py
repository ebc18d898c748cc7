"""A grid of runs: the newest that match a filter, side by side with their actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, func, literal, select, union_all

from repo.actions.filters import RunFilter
from repo.actions.lists import in_scopes, tree_order
from repo.actions.rows import RUNS, Attributes
from repo.actions.run_pages import fetch_run_page
from repo.domain.authorization import Scopes
from repo.domain.errors import InvalidArgument
from repo.domain.models import ActionError, Run
from repo.domain.pages import Order, PageRequest
from repo.domain.phases import ErrorKind
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.sql.functions import json_text
from repo.sql.types import FreeText
from repo.summaries.grid_rows import GridAction, GridRow, failed_cells, grid_rows
from repo.tables import actions

MAX_GRID_RUNS = 50
"""The maximum number of runs of a grid."""
MAX_GRID_ROWS = 500
"""The maximum number of rows of a grid, and of actions that it reads of each run."""
MAX_GRID_ERRORS = 200
"""The maximum number of errors of a grid."""
MAX_GRID_MESSAGE = 4_000
"""The maximum number of characters of their messages; about that many are left of longer ones."""

c = actions.c


@dataclass(frozen=True, slots=True)
class RunGrid:
    """Runs, the newest first, and their actions by step."""

    runs: Sequence[Run]
    rows: Sequence[GridRow]
    is_complete: bool
    """Whether the rows have all actions of the runs."""


async def fetch_grid(
    database: Database,
    filter: RunFilter | None,
    scopes: Scopes,
    count: int,
    first: int,
    attributes: Attributes = None,
) -> RunGrid:
    """The grid of the newest `count` runs that match in these scopes, the runs with these attributes or all.
    Of each run the `first` actions in the order of the tree are read, however many it has, and at most so
    many rows are returned. Raises InvalidArgument."""
    for name, value, most in (("runs", count, MAX_GRID_RUNS), ("first", first, MAX_GRID_ROWS)):
        if not 0 <= value <= most:
            raise InvalidArgument(f"{name} must be between 0 and {most}, not {value}")
    names = RUNS.names(None if attributes is None else attributes | {"run_key"})
    page = await fetch_run_page(
        database,
        names,
        filter,
        scopes,
        Order(),
        PageRequest(first=count),
        lambda found: found.rows(Run, names),
    )
    runs = page.items
    read, is_complete = await _fetch_actions(database, [run.run_key for run in runs], scopes, first)
    rows = grid_rows(read)
    shown = rows[:first]
    await _read_errors(database, shown, scopes)
    return RunGrid(runs, shown, is_complete and len(rows) == len(shown))


async def _fetch_actions(
    database: Database, run_keys: Sequence[bytes], scopes: Scopes, first: int
) -> tuple[list[list[GridAction]], bool]:
    """The first actions of each run in the order of the tree, and whether these are all of them."""
    if not run_keys:
        return [], True

    def of_run(number: int) -> Select[Any]:
        key = bindparam(f"run_{number}", type_=c.run_key.type)
        columns = [c[name] for name in GridAction._fields]
        # One more than requested shows whether others follow.
        found = select(literal(number, Integer).label("run"), *columns).where(
            c.run_key == key, *in_scopes(scopes)
        )
        listed = found.order_by(*tree_order.order(False)).limit(bindparam("size", type_=Integer))
        return select(listed.subquery())

    def statement() -> Select[Any]:
        # One part for each run: each ends after its first actions, as one statement for all could not.
        return select(union_all(*map(of_run, range(len(run_keys)))).subquery())

    values = {f"run_{number}": key for number, key in enumerate(run_keys)}
    key = "grid of runs", len(run_keys), scopes
    found = await database.fetch(key, statement, {**values, "size": first + 1})
    read: list[list[GridAction]] = [[] for _ in run_keys]
    for number, *row in found.decoded():
        read[number].append(GridAction(*row))
    is_complete = all(len(each) <= first for each in read)
    return [each[:first] for each in read], is_complete


async def _read_errors(database: Database, rows: Sequence[GridRow], scopes: Scopes) -> None:
    """Set the errors of the cells that failed, those of the newest runs first."""
    cells = {cell.key: cell for cell in islice(failed_cells(rows), MAX_GRID_ERRORS)}
    if not cells:
        return
    by_key = key_filter(database, c.key, cells)

    def statement() -> Select[Any]:
        kind, code, message = (json_text(c.error, name) for name in ("kind", "code", "message"))
        found = by_key.apply(select(c.key, kind, code, _shortened(message)))
        return found.where(c.error_attempt == c.attempts, *in_scopes(scopes))

    found = await database.fetch(("errors of a grid", by_key.key, scopes), statement, by_key.values)
    for key, kind, code, message in found.decoded():
        if message is not None:
            cells[key].error = ActionError(ErrorKind[kind], message, code)


def _shortened(message: ColumnElement[str]) -> ColumnElement[str]:
    """The start and the end of a message. What is left of the line in which the end begins is indented, so
    that it is not taken for the last line of a traceback."""
    half = MAX_GRID_MESSAGE // 2
    start, end = func.substr(message, 1, half), func.substr(message, func.length(message) - half + 1)
    joined = start + literal("\n    … ", FreeText) + end
    return case((func.length(message) <= MAX_GRID_MESSAGE, message), else_=joined)
