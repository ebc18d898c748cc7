"""Conditions on keys and positions, for statements that are executed once and for prepared ones."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    values,
)
from sqlalchemy.sql.elements import NamedColumn

from repo.domain.cursors import FeedPosition
from repo.sql.database import Database
from repo.sql.functions import looked_up


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Restricts a prepared statement to rows with some keys."""

    key: Hashable
    """What the text of the statement depends on."""
    apply: Callable[[Select[Any]], Select[Any]]
    values: dict[str, Any]
    """The values of the parameters that it adds."""


def key_filter(database: Database, column: NamedColumn[Any], keys: Iterable[Any]) -> KeyFilter:
    """A filter for rows whose `column` is one of `keys`."""
    distinct = list(dict.fromkeys(keys))
    if not database.is_sqlite and len(distinct) != 1:
        listed = _listed(column)
        return KeyFilter(
            "keys",
            lambda statement: statement.join(listed, column == listed.c[column.name]),
            {"keys": distinct},
        )
    values = {f"key_{number}": value for number, value in enumerate(distinct)}
    named = [bindparam(name, type_=column.type) for name in values]
    return KeyFilter(len(named), lambda statement: statement.where(column.in_(named)), values)


def rows_filter(
    database: Database, columns: Sequence[NamedColumn[Any]], rows: Sequence[Sequence[Any]]
) -> KeyFilter:
    """As `key_filter`, for rows whose `columns` are those of one of these rows, each of which is given once;
    on SQLite at most a few hundred."""
    if not database.is_sqlite:
        arrays = [bindparam(f"all_{c.name}", type_=ARRAY(c.type, dimensions=1)) for c in columns]
        table = func.unnest(*arrays).table_valued(*map(_same, columns), name="listed").render_derived()
        same = and_(*(c == looked_up(table.c[c.name]) for c in columns))
        values = {
            f"all_{c.name}": list(of_it) for c, of_it in zip(columns, zip(*rows, strict=True), strict=True)
        }
        return KeyFilter("rows", lambda statement: statement.join(table, same), values)
    named = {
        f"{c.name}_{n}": value for n, row in enumerate(rows) for c, value in zip(columns, row, strict=True)
    }
    one_of = or_(
        *(
            and_(*(c == bindparam(f"{c.name}_{number}", type_=c.type) for c in columns))
            for number in range(len(rows))
        )
    )
    return KeyFilter(len(rows), lambda statement: statement.where(one_of), named)


def having_keys(
    database: Database, statement: Select[Any], column: NamedColumn[Any], keys: Iterable[Any]
) -> Select[Any]:
    """`statement`, restricted to rows whose `column` is one of `keys`.

    On PostgreSQL it joins an unnested array: long IN lists and large ANY arrays get bad plans.
    """
    distinct = list(dict.fromkeys(keys))
    if len(distinct) == 1:
        return statement.where(column == distinct[0])
    if database.is_sqlite:
        return statement.where(column.in_(distinct))
    listed = _listed(column, value=distinct)
    return statement.join(listed, column == listed.c[column.name])


def listed_rows(
    database: Database, columns: Sequence[NamedColumn[Any]], rows: Iterable[Sequence[Any]]
) -> Any:
    """A table of these rows, each once, with columns of these names. There is at least one."""
    distinct = list(dict.fromkeys(map(tuple, rows)))
    if database.is_sqlite:
        return values(*map(_same, columns), name="listed").data(distinct).cte("listed")
    arrays = [
        bindparam(f"all_{column.name}", list(of_it), type_=ARRAY(column.type, dimensions=1))
        for column, of_it in zip(columns, zip(*distinct, strict=True), strict=True)
    ]
    return func.unnest(*arrays).table_valued(*map(_same, columns), name="listed").render_derived()


def join_list(
    database: Database,
    statement: Select[Any],
    table: FromClause,
    listed: FromClause,
    same: ColumnElement[bool],
    number: ColumnElement[int],
) -> Select[Any]:
    """The statement about the rows of a table that are listed, by a condition without an index; `number` is a
    column of the list. SQLite would read the table once for each row of the list, but not in an outer join.
    """
    if not database.is_sqlite:
        return statement.join_from(table, listed, same)
    none: ColumnElement[int] = literal_column("-1")
    return statement.join_from(table, listed, same, isouter=True).where(func.coalesce(number, none) > none)


def written_after(column: ColumnElement[int], position: FeedPosition) -> ColumnElement[bool]:
    """Whether the transaction in `column` is not visible at `position`."""
    late = column >= position.upper
    return or_(late, column.in_(sorted(position.open))) if position.open else late


def written_after_filter(column: ColumnElement[int], position: FeedPosition) -> KeyFilter:
    """`written_after` for a prepared statement."""
    opened = {f"open_{number}": value for number, value in enumerate(sorted(position.open))}
    named = [bindparam(name, type_=BigInteger()) for name in opened]
    late = column >= bindparam("upper", type_=BigInteger())
    return KeyFilter(
        len(named),
        lambda statement: statement.where(or_(late, column.in_(named)) if named else late),
        {"upper": position.upper, **opened},
    )


def _listed(column: NamedColumn[Any], **values: Any) -> Any:
    """The values of the array parameter `keys` as a table."""
    source = func.unnest(bindparam("keys", **values, type_=ARRAY(column.type, dimensions=1)))
    return source.table_valued(_same(column), name="listed").render_derived()


def _same(original: NamedColumn[Any]) -> NamedColumn[Any]:
    """A column of that name and type in another table."""
    return column(original.name, original.type)
