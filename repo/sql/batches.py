"""Inserts and updates of many rows at once, in the form that each database executes fast."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CompoundSelect,
    Insert,
    Select,
    String,
    Table,
    Text,
    Update,
    bindparam,
    column,
    false,
    func,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import NamedColumn

from repo.sql.statements import Returning
from repo.sql.transactions import Transaction

Row = Mapping[str, Any]
Computed = Mapping[str, ColumnElement[Any]]

_ROWS_PER_STATEMENT = 1000
"""Small enough to be encoded in a moment: other tasks of the event loop run between two statements."""


async def insert_new(transaction: Transaction, table: Table, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """Insert the rows whose primary key is not stored yet, and return these keys. All rows have the same
    columns."""
    inserted: list[tuple[Any, ...]] = []
    for part in _parts(rows):
        names = _names(part)
        inserted += map(tuple, await _for_all("insert", transaction, table, names, part, {}))
    return inserted


async def insert_all_or_none(
    transaction: Transaction, table: Table, rows: Sequence[Row], referenced: NamedColumn[Any], by: str
) -> tuple[list[tuple[Any, ...]], set[Any]]:
    """Insert the rows whose primary key is not stored yet, and return these keys, unless what a column refers
    to is missing: then nothing is inserted, and the missing values are returned too. On PostgreSQL it is the
    only statement of its transaction; at most 1,000 rows."""
    names = _names(rows)
    if transaction.is_sqlite:
        values = {row[by] for row in rows}
        found = await fetch_having(
            transaction, f"{by} found", referenced, values, lambda restricted: restricted(select(referenced))
        )
        missing = values - {value for (value,) in found}
        return ([] if missing else await insert_new(transaction, table, rows)), missing
    answer = await transaction.fetch_alone(
        ("insert all", table.name, names),
        partial(_insert_all_or_none, table, names, referenced, by),
        {f"all_{name}": [row[name] for row in rows] for name in names},
    )
    inserted = [tuple(row[:-1]) for row in answer if not row[-1]]
    return inserted, {row[0] for row in answer if row[-1]}


def _insert_all_or_none(
    table: Table, names: Sequence[str], referenced: NamedColumn[Any], by: str
) -> CompoundSelect[Any]:
    """The primary key must begin with the column `by`."""
    rows = select(*listed(_columns(table, names)).c).cte("listed_rows")
    is_found = select(referenced).where(referenced == rows.c[by]).exists()
    missing = select(rows.c[by]).where(~is_found).distinct().cte("missing")
    new = select(*rows.c).where(~select(missing).exists())
    insert = postgresql.insert(table).from_select(names, new)
    insert = insert.on_conflict_do_nothing(index_elements=list(table.primary_key))
    inserted = insert.returning(*table.primary_key).cte("inserted")
    others = [null() for _ in list(table.primary_key)[1:]]
    return union_all(select(*inserted.c, false()), select(missing.c[by], *others, true()))


async def update_rows(
    transaction: Transaction, table: Table, rows: Sequence[Row], **computed: ColumnElement[Any]
) -> None:
    """Set the other columns of the rows with these primary keys, and those that SQL computes. All rows have
    the same columns."""
    for part in _parts(rows):
        await _for_all("update", transaction, table, tuple(part[0]), part, computed)


async def delete_rows(transaction: Transaction, table: Table, keys: Iterable[bytes]) -> None:
    """Delete the rows with these values of the primary key, which is one column."""
    (column,) = table.primary_key
    one = bindparam("key_0", type_=column.type)
    statement = table.delete().where(column == one).returning(column)
    if rows := [{"key_0": key} for key in keys]:
        await transaction.fetch_each(("delete", table.name), lambda: statement, rows)


async def add_to_rows(transaction: Transaction, table: Table, rows: Sequence[Row]) -> list[list[Any]]:
    """Insert the rows, or add to those that are stored, and return them: a table of one key and a number."""
    key, amount = table.c

    def statement() -> Insert:
        insert: Any = (sqlite if transaction.is_sqlite else postgresql).insert(table)
        insert = insert.values({name: _value(table, name) for name in table.c.keys()})
        added = {amount.name: amount + insert.excluded[amount.name]}
        inserted: Insert = insert.on_conflict_do_update(index_elements=[key], set_=added)
        return inserted.returning(key, amount)

    each = [{f"of_{name}": value for name, value in row.items()} for row in rows]
    return await transaction.fetch_each(("add", table.name), statement, each) if each else []


async def fetch_listed(
    transaction: Transaction,
    name: str,
    columns: Sequence[NamedColumn[Any]],
    rows: Iterable[Sequence[Any]],
    make: Callable[[Any], Select[Any]],
) -> list[list[Any]]:
    """The rows of the statement that `make` returns for a table of these rows, each once, with columns of
    these names. `name` identifies the statement. SQLite executes it for each row."""
    distinct = list(dict.fromkeys(map(tuple, rows)))
    if not distinct:
        return []
    if transaction.is_sqlite:

        def of_one() -> Select[Any]:
            parameters = (bindparam(f"of_{c.name}", type_=c.type).label(c.name) for c in columns)
            return make(select(*parameters).subquery("listed"))

        each = [{f"of_{c.name}": value for c, value in zip(columns, row, strict=True)} for row in distinct]
        return await transaction.fetch_each(name, of_one, each)
    arrays = {
        f"all_{c.name}": list(of_it) for c, of_it in zip(columns, zip(*distinct, strict=True), strict=True)
    }
    return await transaction.fetch(name, lambda: make(listed(columns)), arrays)


async def fetch_having(
    transaction: Transaction,
    name: str,
    column: NamedColumn[Any],
    keys: Iterable[bytes],
    make: Callable[[Callable[[Select[Any]], Select[Any]]], Select[Any]],
) -> list[list[Any]]:
    """The rows of the statement that `make` returns; it gets a function that restricts a statement to rows
    whose `column` is one of the keys. `name` identifies the statement. SQLite executes it for each key, and
    so orders the rows of one key only."""
    distinct = list(dict.fromkeys(keys))
    if not distinct:
        return []
    if transaction.is_sqlite:
        one = column == bindparam("key_0", type_=column.type)
        statement = partial(make, lambda found: found.where(one))
        return await transaction.fetch_each(name, statement, [{"key_0": key} for key in distinct])
    source = listed([column])
    return await transaction.fetch(
        name,
        partial(make, lambda found: found.join(source, column == source.c[column.name])),
        {f"all_{column.name}": distinct},
    )


def is_executed_for_each(transaction: Transaction) -> bool:
    """Whether `fetch_having` executes its statement for each key."""
    return transaction.is_sqlite


async def fetch_for_rows(
    transaction: Transaction,
    name: str,
    columns: Sequence[NamedColumn[Any]],
    rows: Iterable[Sequence[Any]],
    make: Callable[[Callable[[Any], Any]], Returning],
    at_least: bool = False,
) -> list[list[Any]]:
    """As `fetch_having`, for rows whose `columns` are equal to those of one of these rows; with `at_least`,
    the last column is not below. The statement may also be an update or a deletion that returns rows."""
    distinct = list(dict.fromkeys(map(tuple, rows)))
    if not distinct:
        return []

    def restrict(statement: Any, others: Sequence[Any]) -> Any:
        *same, last = [(column, other) for column, other in zip(columns, others, strict=True)]
        conditions = [column == other for column, other in same]
        return statement.where(*conditions, last[0] >= last[1] if at_least else last[0] == last[1])

    if transaction.is_sqlite:
        one = [_value_of_key(column) for column in columns]
        named = [{f"key_{c.name}": value for c, value in zip(columns, row, strict=True)} for row in distinct]
        return await transaction.fetch_each(name, partial(make, lambda found: restrict(found, one)), named)
    source = listed(columns)
    return await transaction.fetch(
        name,
        partial(make, lambda found: restrict(found, [source.c[column.name] for column in columns])),
        {f"all_{c.name}": list(of_it) for c, of_it in zip(columns, zip(*distinct, strict=True), strict=True)},
    )


def _value_of_key(column: NamedColumn[Any]) -> Any:
    return bindparam(f"key_{column.name}", type_=column.type)


async def _for_all(
    what: str,
    transaction: Transaction,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[Row],
    computed: Computed,
) -> list[list[Any]]:
    make = partial(_STATEMENTS[what, transaction.is_sqlite], table, names, computed)
    key = (what, table.name, names, *computed)
    if transaction.is_sqlite:
        each = [{f"of_{name}": row[name] for name in names} for row in rows]
        return await transaction.fetch_each(key, make, each)
    return await transaction.fetch(key, make, {f"all_{name}": [row[name] for row in rows] for name in names})


def _insert_listed(table: Table, names: Sequence[str], _: Computed) -> Insert:
    insert = postgresql.insert(table).from_select(names, select(*listed(_columns(table, names)).c))
    return insert.on_conflict_do_nothing(index_elements=list(table.primary_key)).returning(*table.primary_key)


def _insert_one(table: Table, names: Sequence[str], _: Computed) -> Insert:
    insert = sqlite.insert(table).values({name: _value(table, name) for name in names})
    return insert.on_conflict_do_nothing(index_elements=list(table.primary_key)).returning(*table.primary_key)


def _update_listed(table: Table, names: Sequence[str], computed: Computed) -> Update:
    return _update(table, names, listed(_columns(table, names)).c, computed)


def _update_one(table: Table, names: Sequence[str], computed: Computed) -> Update:
    return _update(table, names, {name: _value(table, name) for name in names}, computed)


def _update(table: Table, names: Sequence[str], new: Any, computed: Computed) -> Update:
    keys = table.primary_key.columns.keys()
    statement = table.update().where(*(table.c[key] == new[key] for key in keys))
    return statement.values({name: new[name] for name in names if name not in keys} | dict(computed))


_STATEMENTS: Mapping[tuple[str, bool], Callable[[Table, Sequence[str], Computed], Insert | Update]] = {
    ("insert", False): _insert_listed,
    ("insert", True): _insert_one,
    ("update", False): _update_listed,
    ("update", True): _update_one,
}


def _names(rows: Sequence[Row]) -> tuple[str, ...]:
    """The columns that are not null in all of the rows. Most columns of actions are, and each value costs the
    driver half a microsecond."""
    return tuple(name for name in rows[0] if any(row[name] is not None for row in rows))


def _columns(table: Table, names: Iterable[str]) -> list[NamedColumn[Any]]:
    return [table.c[name] for name in names]


def _value(table: Table, name: str) -> Any:
    return bindparam(f"of_{name}", type_=table.c[name].type)


def _parts(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    remaining = iter(rows)
    while part := list(islice(remaining, _ROWS_PER_STATEMENT)):
        yield part


def listed(columns: Sequence[NamedColumn[Any]]) -> Any:
    """Rows as a table that is sent as one array per column, the parameters `all_…`: one statement for any
    number of rows."""
    arrays = []
    for c in columns:
        item = Text() if isinstance(c.type, String) else c.type
        arrays.append(bindparam(f"all_{c.name}", type_=ARRAY(item, dimensions=1)))
    named = [column(c.name, c.type) for c in columns]
    return func.unnest(*arrays).table_valued(*named, name="listed").render_derived()
