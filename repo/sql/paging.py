"""Keyset pagination in SQL: total orders, cursors, and pages in both directions."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.selectable import Subquery

from repo.domain.errors import InvalidCursor
from repo.domain.pages import Page, PageRequest
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.sql.rows import Column, ColumnView
from repo.sql.statements import PreparedStatement, ResultSet
from repo.sql.times import SQLITE_TIMES, to_microseconds
from repo.sql.types import EnumNumber

K = TypeVar("K")
T = TypeVar("T")

_NONE: Mapping[str, Any] = {}
PAGE_SIZE = bindparam("page_size", type_=Integer)


@dataclass(frozen=True, slots=True)
class Keyset:
    """A total order: one column, which may be null, then the columns of a key."""

    name: str
    column: NamedColumn[Any]
    descending: bool
    ties: tuple[NamedColumn[Any], ...]
    nullable: bool = False
    ties_descending: bool | None = None
    """The direction of the key columns, if it differs from the first column's."""

    @property
    def columns(self) -> tuple[NamedColumn[Any], ...]:
        """The columns whose values a cursor contains."""
        return self.column, *self.ties

    @property
    def _are_ties_descending(self) -> bool:
        return self.descending if self.ties_descending is None else self.ties_descending

    def extend(self, statement: Select[Any]) -> Select[Any]:
        """The statement with the columns of the cursor that it does not select yet."""
        selected = set(statement.selected_columns)
        missing = ((i, c) for i, c in enumerate(self.columns) if c not in selected)
        return statement.add_columns(*(c.label(f"cursor_{i}") for i, c in missing))

    def columns_of(self, prepared: PreparedStatement) -> list[Column]:
        """The columns of the cursor in an extended statement."""
        if prepared.cursor is None:
            known = prepared.columns_by_name
            names = [(f"cursor_{i}", c.name) for i, c in enumerate(self.columns)]
            prepared.cursor = [known[added if added in known else name] for added, name in names]
        return prepared.cursor

    def order(self, backward: bool) -> list[ColumnElement[Any]]:
        """The ORDER BY clause, reversed for a page from the end."""
        descending, ties = self.descending != backward, self._are_ties_descending != backward
        first = self.column.desc() if descending else self.column.asc()
        if self.nullable:
            first = first.nulls_first() if backward else first.nulls_last()
        ordered: list[ColumnElement[Any]] = [first]
        ordered += [c.desc() if ties else c.asc() for c in self.ties]
        return ordered

    def beyond(self, position: Sequence[Any], before: bool) -> ColumnElement[bool]:
        """The rows after a cursor's position, or before it. Its values are parameters, named by
        `parameters`."""
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

    def within(self, subquery: Subquery) -> "Keyset":
        """The same order of the columns of an extended statement."""
        columns = subquery.c
        named: Any = [
            columns[f"cursor_{i}"] if f"cursor_{i}" in columns else columns[c.name]
            for i, c in enumerate(self.columns)
        ]
        return replace(self, column=named[0], ties=tuple(named[1:]))

    def beyond_within(self, missing: bool, position: Sequence[Any], before: bool) -> ColumnElement[bool]:
        """`beyond` among the rows without a value in the first column (the last ones), or the others."""
        is_missing = position[0] is None
        if missing and is_missing:
            named = zip(self.parameters(position, before), self.columns, strict=True)
            _, *ties = (bindparam(name, None, column.type) for name, column in named)
            return _compare(self.ties, ties, self._are_ties_descending != before)
        if missing or is_missing:
            return true() if missing is not before else false()
        return replace(self, nullable=False).beyond(position, before)

    def order_within(self, missing: bool, backward: bool) -> list[ColumnElement[Any]]:
        """`order` among the rows without a value in the first column, or among the others."""
        # The first column, although it has one value, so that PostgreSQL sees that an index has this order.
        descending = self._are_ties_descending if missing else self.descending
        within = replace(
            self, nullable=False, descending=descending, ties_descending=self._are_ties_descending
        )
        return within.order(backward)

    def of(self, table: FromClause) -> "Keyset":
        """The same order of the columns of the same names in another table."""
        columns: Any = table.c
        column, *ties = (columns[each.name] for each in self.columns)
        return replace(self, column=column, ties=tuple(ties))

    def parameters(self, position: Sequence[Any], before: bool) -> dict[str, Any]:
        """The parameters of `beyond` for a cursor's values."""
        where = "before" if before else "after"
        return {f"{where}_{number}": value for number, value in enumerate(position)}

    def cursor(self, values: Sequence[Any]) -> str:
        """The cursor with these values of `columns`."""
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
        """The values in a cursor. Raises InvalidCursor."""
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
            raise InvalidCursor("the cursor is not one of this list") from None


def _compare(
    columns: Sequence[NamedColumn[Any]], values: Sequence[ColumnElement[Any]], smaller: bool
) -> ColumnElement[bool]:
    row, position = tuple_(*columns), tuple_(*values)
    return row < position if smaller else row > position


def _parse(column: NamedColumn[Any], value: Any) -> Any:
    expected = column.type.python_type
    if expected is datetime and type(value) is int:
        return SQLITE_TIMES.one(value)
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
    read: Callable[[ResultSet], Sequence[T]],
    values: Mapping[str, Any] = _NONE,
) -> Page[T]:
    """One page of the statement that `make` returns, converted by `read`. `key` identifies the statement, and
    `values` are those of its parameters. Raises InvalidCursor."""
    bounds = Bounds(keyset, request)

    def ordered() -> Select[Any]:
        return bounds.apply(keyset.extend(make())).order_by(*keyset.order(request.backward)).limit(PAGE_SIZE)

    found = await database.fetch((key, bounds.shape), ordered, {**values, **bounds.values})
    return page_of(found, keyset, request, read)


async def fetch_pages(
    database: Database,
    key: Hashable,
    make: Callable[[], Select[Any]],
    scope: NamedColumn[K],
    keys: Collection[K],
    keyset: Keyset,
    request: PageRequest,
    read: Callable[[ResultSet], Sequence[T]],
) -> dict[K, Page[T]]:
    """For each key the page of the rows with that key in `scope`, all in one statement; otherwise as
    `fetch_page`."""
    bounds, in_keys = Bounds(keyset, request), key_filter(database, scope, keys)
    values = {**in_keys.values, **bounds.values}
    if len(keys) == 1:
        # For one key, an index returns the rows in order, and only those of the page are read.
        page = await fetch_page(
            database, (key, in_keys.key), lambda: in_keys.apply(make()), keyset, request, read, in_keys.values
        )
        return dict.fromkeys(keys, page)

    def ranked() -> Select[Any]:
        rank = func.row_number().over(partition_by=scope, order_by=keyset.order(request.backward))
        scoped = keyset.extend(in_keys.apply(make())).add_columns(scope.label("scope"), rank.label("rank"))
        *columns, rank_column = bounds.apply(scoped).subquery().c
        return select(*columns).where(rank_column <= PAGE_SIZE).order_by(rank_column)

    found = await database.fetch((key, in_keys.key, bounds.shape, "each"), ranked, values)
    groups: dict[Any, list[Sequence[Any]]] = {}
    for row in found.raw:
        groups.setdefault(row[-1], []).append(row)
    return {
        key: page_of(ResultSet(found.prepared, groups.get(key, ())), keyset, request, read) for key in keys
    }


class Bounds:
    """The cursors around a page. One more row than its size is read, which shows whether more follow."""

    def __init__(self, keyset: Keyset, request: PageRequest) -> None:
        after = None if request.after is None else keyset.read(request.after)
        before = None if request.before is None else keyset.read(request.before)
        self._keyset = keyset
        self._backward = request.backward
        self._after = after
        self._before = before
        self.shape = keyset.name, keyset.descending, request.backward, _shape(after), _shape(before)
        """What the text of a statement depends on."""
        self.values: dict[str, Any] = {"page_size": request.size + 1}
        """The values of the parameters."""
        for position, is_before in ((after, False), (before, True)):
            if position is not None:
                self.values.update(keyset.parameters(position, is_before))

    def scans(self, statement: Select[Any], limit: ColumnElement[int]) -> Select[Any]:
        """At most `limit` rows of a statement between the cursors, as an index of the order's columns returns
        them: those without a value in the first column are read apart."""
        keyset, backward = self._keyset, self._backward
        if not keyset.nullable:
            return self.apply(statement).order_by(*keyset.order(backward)).limit(limit)
        parts = []
        for missing in (False, True):
            part = statement.where(keyset.column.is_(None) if missing else keyset.column.is_not(None))
            for position, before in ((self._after, False), (self._before, True)):
                if position is not None:
                    part = part.where(keyset.beyond_within(missing, position, before))
            order = keyset.order_within(missing, backward)
            parts.append(select(part.order_by(*order).limit(limit).subquery()))
        both = parts[0].union_all(parts[1]).subquery()
        return select(both).order_by(*keyset.of(both).order(backward)).limit(limit)

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """The statement, restricted to rows between the cursors."""
        if self._after is not None:
            statement = statement.where(self._keyset.beyond(self._after, before=False))
        if self._before is not None:
            statement = statement.where(self._keyset.beyond(self._before, before=True))
        return statement


def _shape(position: Sequence[Any] | None) -> bool | None:
    """What the text of a statement depends on: is there a position, and is its first value null."""
    return None if position is None else position[0] is None


def page_of(
    found: ResultSet, keyset: Keyset, request: PageRequest, read: Callable[[ResultSet], Sequence[T]]
) -> Page[T]:
    """The page of these rows, of which there is one more than its size if others follow."""
    raw = found.raw
    more = len(raw) > request.size
    if more:
        raw = raw[: request.size]
    if request.backward:
        raw = raw[::-1]
    return Page(
        items=read(ResultSet(found.prepared, raw)),
        has_next=request.before is not None if request.backward else more,
        has_previous=more if request.backward else request.after is not None,
        encode_cursor=keyset.cursor,
        positions=ColumnView(raw, keyset.columns_of(found.prepared)),
    )
