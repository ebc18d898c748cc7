"""Owns orders and keyset pages as SQL: cursors that survive rows being added, in both directions."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import NamedColumn

from repo.database import EnumNumber, from_microseconds, to_microseconds
from repo.errors import InvalidArgument, InvalidCursor

K = TypeVar("K")
T = TypeVar("T")

MAX_PAGE = 1000
DEFAULT_PAGE = 100


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

    items: list[T]
    cursors: list[str]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Keyset:
    """A total order: one column that may hold no value, then the columns of a key."""

    name: str
    column: NamedColumn[Any]
    descending: bool
    ties: tuple[NamedColumn[Any], ...]
    nullable: bool = False

    @property
    def columns(self) -> tuple[NamedColumn[Any], ...]:
        """The columns whose values make a cursor."""
        return self.column, *self.ties

    def extend(self, statement: Select[Any]) -> Select[Any]:
        """The statement with what the cursor of each row is made of behind its own columns."""
        return statement.add_columns(*(c.label(f"cursor_{i}") for i, c in enumerate(self.columns)))

    def order(self, backward: bool) -> list[ColumnElement[Any]]:
        """What to order by, the other way round for a page from the end."""
        descending = self.descending != backward
        ordered: list[ColumnElement[Any]] = [c.desc() if descending else c.asc() for c in self.columns]
        if self.nullable:
            missing = self.column.is_(None)
            ordered.insert(0, missing.desc() if backward else missing.asc())
        return ordered

    def beyond(self, cursor: str, before: bool) -> ColumnElement[bool]:
        """The rows after a cursor, or before it. Raises InvalidCursor."""
        value, *ties = self._read(cursor)
        smaller = self.descending != before
        if value is None:
            same = and_(self.column.is_(None), _compare(self.ties, ties, smaller))
            return or_(self.column.is_not(None), same) if before else same
        beyond = _compare(self.columns, (value, *ties), smaller)
        if not self.nullable or before:
            return beyond
        return or_(self.column.is_(None), beyond)

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

    def _read(self, cursor: str) -> list[Any]:
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
    columns: Sequence[NamedColumn[Any]], values: Sequence[Any], smaller: bool
) -> ColumnElement[bool]:
    row = tuple_(*columns)
    position = tuple_(*(literal(value, c.type) for c, value in zip(columns, values, strict=True)))
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
    connection: AsyncConnection,
    statement: Select[Any],
    keyset: Keyset,
    request: PageRequest,
    build: Callable[..., T],
) -> Page[T]:
    """One page of what `statement` selects, each row passed to `build`."""
    ordered = _within(keyset.extend(statement), keyset, request).order_by(*keyset.order(request.backward))
    rows = (await connection.execute(ordered.limit(request.size + 1))).all()
    return _page(rows, keyset, request, build)


async def fetch_pages(
    connection: AsyncConnection,
    statement: Select[Any],
    scope: NamedColumn[K],
    keys: Collection[K],
    keyset: Keyset,
    request: PageRequest,
    build: Callable[..., T],
) -> dict[K, Page[T]]:
    """For each key the page of the rows that have it in `scope`, in one statement for all of them;
    `statement` selects these rows and no others."""
    if len(keys) == 1:
        # Alone, its rows come from an index in their order, and only as many as the page has.
        return {key: await fetch_page(connection, statement, keyset, request, build) for key in keys}
    rank = func.row_number().over(partition_by=scope, order_by=keyset.order(request.backward))
    scoped = keyset.extend(statement).add_columns(scope.label("scope"), rank.label("rank"))
    ranked = _within(scoped, keyset, request).subquery()
    *columns, rank_column = ranked.c
    chosen = select(*columns).where(rank_column <= request.size + 1).order_by(rank_column)
    groups: dict[Any, list[Sequence[Any]]] = {}
    for row in await connection.execute(chosen):
        groups.setdefault(row[-1], []).append(row[:-1])
    return {key: _page(groups.get(key, ()), keyset, request, build) for key in keys}


def _within(statement: Select[Any], keyset: Keyset, request: PageRequest) -> Select[Any]:
    if request.after is not None:
        statement = statement.where(keyset.beyond(request.after, before=False))
    if request.before is not None:
        statement = statement.where(keyset.beyond(request.before, before=True))
    return statement


def _page(
    rows: Sequence[Sequence[Any]], keyset: Keyset, request: PageRequest, build: Callable[..., T]
) -> Page[T]:
    more = len(rows) > request.size
    rows = list(rows[: request.size])
    if request.backward:
        rows.reverse()
    width = len(keyset.columns)
    return Page(
        items=[build(*row[:-width]) for row in rows],
        cursors=[keyset.cursor(row[-width:]) for row in rows],
        has_next=request.before is not None if request.backward else more,
        has_previous=more if request.backward else request.after is not None,
    )
