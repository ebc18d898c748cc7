"""Inserts and updates of many rows at once, in the form that each database executes fast."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ARRAY, String, Table, Text, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import NamedColumn

Row = Mapping[str, Any]

_ROWS_PER_STATEMENT = 1000
"""Small enough to be encoded in a moment: other tasks of the event loop run between two statements."""


async def insert_new(connection: AsyncConnection, table: Table, rows: Iterable[Row]) -> int:
    """Insert the rows whose primary key is not stored yet; returns how many. All rows have the same
    columns."""
    inserted = 0
    for part in _parts(rows):
        insert, parameters = _insert_new(connection, table, part)
        inserted += (await connection.execute(insert, parameters)).rowcount
    return inserted


async def insert_new_keys(
    connection: AsyncConnection, table: Table, rows: Iterable[Row]
) -> list[tuple[Any, ...]]:
    """As `insert_new`, but returns the primary keys of the inserted rows."""
    inserted: list[tuple[Any, ...]] = []
    for part in _parts(rows):
        insert, parameters = _insert_new(connection, table, part)
        inserted += map(tuple, await connection.execute(insert.returning(*table.primary_key), parameters))
    return inserted


def _insert_new(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> tuple[Any, Any]:
    key = list(table.primary_key)
    if connection.dialect.name == "sqlite":
        insert = sqlite.insert(table).on_conflict_do_nothing(index_elements=key)
        return insert, [dict(row) for row in rows]
    columns = [table.c[name] for name in rows[0]]
    source = unnest(columns, rows)
    selected = postgresql.insert(table).from_select([c.name for c in columns], select(*source.c))
    return selected.on_conflict_do_nothing(index_elements=key), None


async def update_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Set the other columns of the rows with these primary keys. All rows have the same columns."""
    for part in _parts(rows):
        await _update_rows(connection, table, part)


async def _update_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    keys = [c.name for c in table.primary_key]
    names = [name for name in rows[0] if name not in keys]
    if connection.dialect.name == "sqlite":
        statement = (
            table.update()
            .where(*(table.c[key] == bindparam(f"of_{key}") for key in keys))
            .values({name: bindparam(f"new_{name}") for name in names})
        )
        await connection.execute(
            statement,
            [
                {f"of_{key}": row[key] for key in keys} | {f"new_{name}": row[name] for name in names}
                for row in rows
            ],
        )
        return
    source = unnest([table.c[name] for name in rows[0]], rows)
    await connection.execute(
        table.update()
        .where(*(table.c[key] == source.c[key] for key in keys))
        .values({name: source.c[name] for name in names})
    )


def _parts(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    remaining = iter(rows)
    while part := list(islice(remaining, _ROWS_PER_STATEMENT)):
        yield part


def unnest(columns: Sequence[NamedColumn[Any]], rows: Sequence[Row]) -> Any:
    """The rows as a table that is sent as one array per column: one statement for any number of rows."""
    arrays = []
    for c in columns:
        item = Text() if isinstance(c.type, String) else c.type
        arrays.append(
            bindparam(f"all_{c.name}", [row[c.name] for row in rows], type_=ARRAY(item, dimensions=1))
        )
    named = [column(c.name, c.type) for c in columns]
    return func.unnest(*arrays).table_valued(*named, name="listed").render_derived()
