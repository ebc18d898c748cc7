"""Pages of long lists in an order, or with a filter, that no index serves."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, or_, select
from sqlalchemy.sql.selectable import Subquery

from repo.domain.pages import Page, PageRequest
from repo.sql.database import Database
from repo.sql.paging import PAGE_SIZE, Bounds, Keyset, page_of
from repo.sql.rows import ColumnView
from repo.sql.statements import ResultSet

T = TypeVar("T")


async def fetch_sorted_page(
    database: Database,
    key: Hashable,
    make: Callable[[], Select[Any]],
    rows: Callable[[Subquery], Select[Any]],
    keyset: Keyset,
    request: PageRequest,
    read: Callable[[ResultSet], Sequence[T]],
    values: Mapping[str, Any],
) -> Page[T]:
    """As `fetch_page`, for an order that no index has: the few columns of what `make` returns are sorted, and
    `rows` returns the rows of those that are on the page."""
    bounds, backward = Bounds(keyset, request), request.backward

    def statement() -> Select[Any]:
        # OFFSET 0: else PostgreSQL may search an index of all rows in this order for the few that match.
        candidates = keyset.extend(make()).offset(0).subquery("candidates")
        inside = keyset.within(candidates)
        between = Bounds(inside, request).apply(select(*candidates.c))
        found = between.order_by(*inside.order(backward)).limit(PAGE_SIZE).subquery("found")
        within = keyset.within(found)
        position = (column.label(f"cursor_{i}") for i, column in enumerate(within.columns))
        return rows(found).add_columns(*position).order_by(*within.order(backward))

    result = await database.fetch((key, bounds.shape, "sorted"), statement, {**values, **bounds.values})
    return page_of(result, keyset, request, read)


async def fetch_scanned_page(
    database: Database,
    key: Hashable,
    make: Callable[[], Select[Any]],
    matches: Callable[[], ColumnElement[bool]],
    keyset: Keyset,
    request: PageRequest,
    read: Callable[[ResultSet], Sequence[T]],
    scan: int,
) -> Page[T]:
    """As `fetch_page`, with the rows that match among the next `scan` rows of the list: a page that is not
    full may end where the search ended, and others follow it."""
    bounds = Bounds(keyset, request)

    def statement() -> Select[Any]:
        order = keyset.order(request.backward)
        rows = bounds.apply(keyset.extend(make())).add_columns(matches().label("matches"))
        scanned = rows.order_by(*order).limit(bindparam("scan", type_=Integer)).subquery()
        ordered = keyset.within(scanned).order(request.backward)
        number = func.row_number().over(order_by=ordered).label("number")
        numbered = select(*scanned.c, number).subquery()
        found = select(*numbered.c).where(or_(numbered.c.matches, numbered.c.number == scan))
        return found.order_by(*keyset.within(numbered).order(request.backward)).limit(PAGE_SIZE)

    values = {**bounds.values, "page_size": request.size + 2, "scan": scan}
    found = await database.fetch((key, bounds.shape, scan), statement, values)
    raw, ends_at = found.raw, None
    matching = [row for row in raw if row[-2]]
    if len(matching) <= request.size and raw and raw[-1][-1] == scan:
        (ends_at,) = ColumnView(raw[-1:], keyset.columns_of(found.prepared))
    page = page_of(ResultSet(found.prepared, matching[: request.size + 1]), keyset, request, read)
    if ends_at is None:
        return page
    if request.backward:
        return replace(page, has_previous=True, searched_to=ends_at, searched_backward=True)
    return replace(page, has_next=True, searched_to=ends_at)
