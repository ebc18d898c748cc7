"""Owns orders and keyset pages as SQL: cursors that survive rows being added, in both directions."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, and_, bindparam, func, or_, select, tuple_
from sqlalchemy.sql.elements import NamedColumn

from repo.domain.errors import InvalidArgument, InvalidCursor
from repo.sql.database import (
    Database,
    EnumNumber,
    from_microseconds,
    to_microseconds,
)
from repo.sql.drivers import Found, Prepared
from repo.sql.rows import Column, Parts

K = TypeVar("K")
T = TypeVar("T")

MAX_PAGE = 1000
DEFAULT_PAGE = 100
_NONE: Mapping[str, Any] = {}
_PAGE_SIZE = bindparam("page_size", type_=Integer)


class OrderField(Enum):
    """What a list of runs or actions can be ordered by."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    ENDED_AT = "ended_at"
    DURATION = "duration_ms"
    PHASE = "phase"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Rows without a value (an end, a duration) come last in both directions; rows with
    the same value are ordered by their key, so that the order is total."""

    field: OrderField = OrderField.CREATED_AT
    descending: bool = True


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted: `first` rows after a cursor, or the `last` rows before one.

    Raises InvalidArgument where the numbers are not from 0 to MAX_PAGE, or both are given.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise InvalidArgument("give first or last, not both")
        for name, count in (("first", self.first), ("last", self.last)):
            if count is not None and not 0 <= count <= MAX_PAGE:
                raise InvalidArgument(f"{name} must be between 0 and {MAX_PAGE}, not {count}")

    @property
    def backward(self) -> bool:
        """Whether the page is taken from the end of the list."""
        return self.last is not None

    @property
    def size(self) -> int:
        """How many rows the page has at the most."""
        if self.last is not None:
            return self.last
        return DEFAULT_PAGE if self.first is None else self.first


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, in the order of the list, with a cursor for each item."""

    items: Sequence[T]
    has_next: bool
    has_previous: bool
    keyset: "Keyset"
    positions: Sequence[Sequence[Any]]
    """What the cursor of each item is made of."""

    @property
    def cursors(self) -> list[str]:
        """The cursors of the items."""
        return [self.keyset.cursor(position) for position in self.positions]

    def cursor(self, index: int) -> str:
        """The cursor of one of the items."""
        return self.keyset.cursor(self.positions[index])

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first item."""
        return self.keyset.cursor(self.positions[0]) if self.positions else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last item."""
        return self.keyset.cursor(self.positions[-1]) if self.positions else None


@dataclass(frozen=True, slots=True)
class Keyset:
    """A total order: one column that may hold no value, then the columns of a key."""

    name: str
    column: NamedColumn[Any]
    descending: bool
    ties: tuple[NamedColumn[Any], ...]
    nullable: bool = False
    ties_descending: bool | None = None
    """Of the key, where that is another direction than the column's."""

    @property
    def columns(self) -> tuple[NamedColumn[Any], ...]:
        """The columns whose values make a cursor."""
        return self.column, *self.ties

    @property
    def _are_ties_descending(self) -> bool:
        return self.descending if self.ties_descending is None else self.ties_descending

    def extend(self, statement: Select[Any]) -> Select[Any]:
        """The statement with what the cursor of each row is made of and it does not select yet."""
        selected = set(statement.selected_columns)
        missing = ((i, c) for i, c in enumerate(self.columns) if c not in selected)
        return statement.add_columns(*(c.label(f"cursor_{i}") for i, c in missing))

    def columns_of(self, prepared: Prepared) -> list[Column]:
        """What the cursor of each row is made of, among the columns of a statement that was extended."""
        if prepared.cursor is None:
            known = prepared.columns_by_name
            names = [(f"cursor_{i}", c.name) for i, c in enumerate(self.columns)]
            prepared.cursor = [known[added if added in known else name] for added, name in names]
        return prepared.cursor

    def order(self, backward: bool) -> list[ColumnElement[Any]]:
        """What to order by, the other way round for a page from the end."""
        descending, ties = self.descending != backward, self._are_ties_descending != backward
        ordered: list[ColumnElement[Any]] = [self.column.desc() if descending else self.column.asc()]
        ordered += [c.desc() if ties else c.asc() for c in self.ties]
        if self.nullable:
            missing = self.column.is_(None)
            ordered.insert(0, missing.desc() if backward else missing.asc())
        return ordered

    def beyond(self, position: Sequence[Any], before: bool) -> ColumnElement[bool]:
        """The rows after what a cursor was made of, or before it. Its values are parameters, which
        `parameters` names."""
        smaller, smaller_ties = self.descending != before, self._are_ties_descending != before
        named = zip(self.parameters(position, before), self.columns, position, strict=True)
        first, *ties = (bindparam(name, value, column.type) for name, column, value in named)
        if position[0] is None:
            same = and_(self.column.is_(None), _compare(self.ties, ties, smaller_ties))
            return or_(self.column.is_not(None), same) if before else same
        if smaller == smaller_ties:
            beyond = _compare(self.columns, (first, *ties), smaller)
        else:
            same = and_(self.column == first, _compare(self.ties, ties, smaller_ties))
            beyond = or_(self.column < first if smaller else self.column > first, same)
        if not self.nullable or before:
            return beyond
        return or_(self.column.is_(None), beyond)

    def parameters(self, position: Sequence[Any], before: bool) -> dict[str, Any]:
        """The values of a cursor by the names of the parameters that they are in `beyond`."""
        where = "before" if before else "after"
        return {f"{where}_{number}": value for number, value in enumerate(position)}

    def cursor(self, values: Sequence[Any]) -> str:
        """The cursor of a row, from its values of `columns`."""
        parts: list[Any] = [self.name, self.descending]
        for value in values:
            if isinstance(value, datetime):
                parts.append(to_microseconds(value))
            elif isinstance(value, bytes):
                parts.append(value.hex())
            else:
                parts.append(value)
        text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    def read(self, cursor: str) -> list[Any]:
        """What a cursor was made of. Raises InvalidCursor."""
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            name, descending, *values = json.loads(text)
            if (name, descending) != (self.name, self.descending):
                raise InvalidCursor("the cursor belongs to a list with another order")
            return [
                None if value is None and self.nullable else _parse(column, value)
                for column, value in zip(self.columns, values, strict=True)
            ]
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
            raise InvalidCursor("the cursor is not one that this list gave out") from None


def _compare(
    columns: Sequence[NamedColumn[Any]], values: Sequence[ColumnElement[Any]], smaller: bool
) -> ColumnElement[bool]:
    row, position = tuple_(*columns), tuple_(*values)
    return row < position if smaller else row > position


def _parse(column: NamedColumn[Any], value: Any) -> Any:
    expected = column.type.python_type
    if expected is datetime and type(value) is int:
        return from_microseconds(value)
    if expected is bytes and type(value) is str:
        return bytes.fromhex(value)
    if expected is str and type(value) is str and "\0" not in value:
        value.encode()
        return value
    bits = 15 if isinstance(column.type, EnumNumber) else 63 if isinstance(column.type, BigInteger) else 31
    if expected is int and type(value) is int and -(2**bits) <= value < 2**bits:
        return value
    raise ValueError(column.name)


async def fetch_page(
    database: Database,
    key: Hashable,
    make: Callable[[], Select[Any]],
    keyset: Keyset,
    request: PageRequest,
    read: Callable[[Found], Sequence[T]],
    values: Mapping[str, Any] = _NONE,
) -> Page[T]:
    """One page of what the statement of `make` selects, as `read` reads it. `key` stands for that statement,
    and `values` are those of its parameters. Raises InvalidCursor."""
    bounds = _Bounds(keyset, request)

    def ordered() -> Select[Any]:
        return bounds.apply(keyset.extend(make())).order_by(*keyset.order(request.backward)).limit(_PAGE_SIZE)

    found = await database.fetch((key, bounds.shape), ordered, {**values, **bounds.values})
    return _page(found, keyset, request, read)


async def fetch_pages(
    database: Database,
    key: Hashable,
    make: Callable[[], Select[Any]],
    scope: NamedColumn[K],
    keys: Collection[K],
    keyset: Keyset,
    request: PageRequest,
    read: Callable[[Found], Sequence[T]],
) -> dict[K, Page[T]]:
    """For each key the page of the rows that have it in `scope`, in one statement for all of them; otherwise
    as `fetch_page`."""
    bounds, given = _Bounds(keyset, request), database.given(scope, keys)
    values = {**given.values, **bounds.values}
    if len(keys) == 1:
        # Alone, its rows come from an index in their order, and only as many as the page has.
        page = await fetch_page(
            database, (key, given.key), lambda: given.narrow(make()), keyset, request, read, given.values
        )
        return dict.fromkeys(keys, page)

    def ranked() -> Select[Any]:
        rank = func.row_number().over(partition_by=scope, order_by=keyset.order(request.backward))
        scoped = keyset.extend(given.narrow(make())).add_columns(scope.label("scope"), rank.label("rank"))
        *columns, rank_column = bounds.apply(scoped).subquery().c
        return select(*columns).where(rank_column <= _PAGE_SIZE).order_by(rank_column)

    found = await database.fetch((key, given.key, bounds.shape, "each"), ranked, values)
    groups: dict[Any, list[Sequence[Any]]] = {}
    for row in found.raw:
        groups.setdefault(row[-1], []).append(row)
    return {key: _page(Found(found.prepared, groups.get(key, ())), keyset, request, read) for key in keys}


class _Bounds:
    """Between which cursors a page is. One row more than it has is read: it tells whether more follow."""

    def __init__(self, keyset: Keyset, request: PageRequest) -> None:
        after = None if request.after is None else keyset.read(request.after)
        before = None if request.before is None else keyset.read(request.before)
        self._keyset = keyset
        self._after = after
        self._before = before
        self.shape = keyset.name, keyset.descending, request.backward, _shape(after), _shape(before)
        """What a statement depends on of it."""
        self.values: dict[str, Any] = {"page_size": request.size + 1}
        """What the statement has to be run with."""
        for position, is_before in ((after, False), (before, True)):
            if position is not None:
                self.values.update(keyset.parameters(position, is_before))

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """The statement, only for rows between the cursors."""
        if self._after is not None:
            statement = statement.where(self._keyset.beyond(self._after, before=False))
        if self._before is not None:
            statement = statement.where(self._keyset.beyond(self._before, before=True))
        return statement


def _shape(position: Sequence[Any] | None) -> bool | None:
    """What a statement depends on of a position: whether there is one, and whether it begins with a value."""
    return None if position is None else position[0] is None


def _page(
    found: Found,
    keyset: Keyset,
    request: PageRequest,
    read: Callable[[Found], Sequence[T]],
) -> Page[T]:
    raw = found.raw
    more = len(raw) > request.size
    if more:
        raw = raw[: request.size]
    if request.backward:
        raw = raw[::-1]
    return Page(
        items=read(Found(found.prepared, raw)),
        has_next=request.before is not None if request.backward else more,
        has_previous=more if request.backward else request.after is not None,
        keyset=keyset,
        positions=Parts(raw, keyset.columns_of(found.prepared)),
    )
