"""Pages of runs: found in `runs`, then read from `actions`.

The first statements look at some of the next runs in the order of the page, then at more. If too few of them
match, the last one finds all that match by the indexes of the filter. So a page is fast whether nearly all
match or none, and no statistics of the planner are needed."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.sql import visitors

from repo.actions.criteria import has_indexes
from repo.actions.filters import RunFilter, candidates, run_conditions
from repo.actions.lists import order_of_runs, runs_in_scopes
from repo.actions.rows import RUNS
from repo.domain.authorization import Scopes
from repo.domain.pages import Order, OrderField, Page, PageRequest
from repo.sql.database import Database
from repo.sql.paging import PAGE_SIZE, Bounds, Keyset, page_of
from repo.sql.statements import ResultSet
from repo.sql.terms import reading_from, restricted_to
from repo.tables import actions, runs

T = TypeVar("T")

WINDOWS = (500, 4_000, 16_000)
"""Runs that the first statements look at: enough for a page of 50 if one in 10, 80 or 320 matches. The third
one follows only if the second found enough that the page is likely to be in it."""

_ENOUGH = 4_000
"""Runs of which the number that matches tells how many of the next do."""

_MAX_LOOKED_UP = 5_000
"""Runs that are counted by the index of terms."""

r = runs.c


def matching_runs(
    database: Database,
    filter: RunFilter | None,
    scopes: Scopes,
    *columns: ColumnElement[Any],
    bounds: Bounds | None = None,
) -> Select[Any]:
    """The columns of all runs that match, between the cursors if there are any, found by the indexes of the
    filter. More conditions need a subquery: the statement need not read the table `runs` itself."""
    matching = select(*columns).where(*runs_in_scopes(scopes), *run_conditions(filter))
    if bounds is not None:
        matching = bounds.apply(matching)
    found = candidates(database, filter)
    if found is None:
        return matching
    has_others = has_indexes(filter) and not (filter and filter.search)
    return restricted_to(database, found, r.number, matching, has_others)


async def fetch_run_page(
    database: Database,
    names: Sequence[str],
    filter: RunFilter | None,
    scopes: Scopes,
    order: Order,
    request: PageRequest,
    read: Callable[[ResultSet], Sequence[T]],
) -> Page[T]:
    """A page of the runs that match, with these fields. Raises InvalidCursor."""
    keyset = order_of_runs(order)
    bounds = Bounds(keyset, request)
    conditions = [*runs_in_scopes(scopes), *run_conditions(filter)]

    async def fetch(kind: str, keys: Callable[[], Select[Any]]) -> Page[T]:
        key: Hashable = "runs", kind, names, filter, scopes, bounds.shape
        found = await database.fetch(key, lambda: _rows(keys(), names, keyset, request), bounds.values)
        return page_of(found, keyset, request, read)

    if not conditions or _has_index(filter, scopes, order):
        return await fetch(
            "in order", lambda: bounds.scans(select(*keyset.columns).where(*conditions), PAGE_SIZE)
        )

    def in_window(size: int) -> Select[Any]:
        # Only the columns that are looked at: SQLite reads all of a subquery's.
        used = {*keyset.columns, *(part for each in conditions for part in visitors.iterate(each))}
        columns = [column for column in runs.c if column in used]
        window = bounds.scans(select(*columns), literal_column(str(size))).subquery()
        return _first(
            reading_from(window, select(*keyset.columns).where(*conditions)), keyset.of(window), request
        )

    found, looked_at = 0, 0
    for size in WINDOWS:
        if looked_at >= _ENOUGH and found * size <= request.size * looked_at:
            break
        page = await fetch(f"in {size}", partial(in_window, size))
        if page.has_previous if request.backward else page.has_next:
            return page
        found, looked_at = len(page.items), size

    def all_matching() -> Select[Any]:
        # OFFSET keeps the planner from an index of the order, by which it would read all runs.
        found = matching_runs(database, filter, scopes, *keyset.columns, bounds=bounds)
        listed = found.offset(literal_column("0")).subquery()
        return _first(select(listed), keyset.of(listed), request)

    return await fetch("matching", all_matching)


def _has_index(filter: RunFilter | None, scopes: Scopes, order: Order) -> bool:
    """Whether an index has the matching runs in this order: those of a project and domain."""
    if filter is None or scopes is not None or order.field is not OrderField.CREATED_AT:
        return False
    only = RunFilter(project=filter.project, domain=filter.domain)
    return None not in (filter.project, filter.domain) and filter == only


def _first(statement: Select[Any], keyset: Keyset, request: PageRequest) -> Select[Any]:
    return statement.order_by(*keyset.order(request.backward)).limit(PAGE_SIZE)


def _rows(keys: Select[Any], names: Sequence[str], keyset: Keyset, request: PageRequest) -> Select[Any]:
    """The fields of the runs with these keys, and the columns of their cursors that are not among them."""
    page, fields = keys.subquery("page"), RUNS.select(names)
    ordered, read = keyset.of(page), {column.name for column in fields}
    cursor = [c.label(f"cursor_{i}") for i, c in enumerate(ordered.columns) if c.name not in read]
    found = select(*fields, *cursor).join_from(page, actions, actions.c.key == page.c.key)
    return found.order_by(*ordered.order(request.backward))


async def count_runs(
    database: Database, filter: RunFilter | None, scopes: Scopes, at_most: int | None = None
) -> int:
    """The number of runs that match, or `at_most` if there are more: then no others are read."""
    matching, listed = matching_runs(database, filter, scopes, r.number), candidates(database, filter)
    async with database.read() as connection:
        if listed is not None:
            some = listed.limit(_MAX_LOOKED_UP).subquery()
            if await connection.scalar(select(func.count()).select_from(some)) == _MAX_LOOKED_UP:
                # So many rows are read faster one after the other than by their numbers.
                matching = select(r.number).where(*runs_in_scopes(scopes), *run_conditions(filter))
        counted = select(func.count()).select_from(matching.limit(at_most).subquery())
        return await connection.scalar(counted) or 0
