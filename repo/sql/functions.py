"""SQL functions that SQLAlchemy writes differently for PostgreSQL and SQLite."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, SmallInteger, Text, column, literal, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from repo.sql.types import FreeText, UtcDateTime


def constant(column: ColumnElement[Any], *values: IntEnum) -> ColumnElement[bool]:
    """Whether the column is one of the values, written as literals: a planner matches them with the
    condition of a partial index, which it cannot do with parameters."""
    numbers = [literal_column(str(int(value)), SmallInteger) for value in values]
    return column == numbers[0] if len(numbers) == 1 else column.in_(numbers)


def _function(
    result: TypeEngine[Any] | None, postgresql: Callable[..., str], sqlite: Callable[..., str]
) -> Callable[..., FunctionElement[Any]]:
    """A function with a result of this type, or of its argument's type, and how both databases write it."""

    class Function(FunctionElement[Any]):
        inherit_cache = True

        def __init__(self, *arguments: ColumnElement[Any]) -> None:
            self.type = arguments[0].type if result is None else result
            super().__init__(*arguments)

    def compile_with(write: Callable[..., str]) -> Callable[..., str]:
        def compile_function(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
            return write(*(compiler.process(clause, **options) for clause in element.clauses))

        return compile_function

    compiles(Function, "postgresql")(compile_with(postgresql))
    compiles(Function, "sqlite")(compile_with(sqlite))
    return Function


this_transaction = _function(
    BigInteger(),
    postgresql=lambda: "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
    sqlite=lambda: "(SELECT value FROM transaction_counter)",
)
"""The number of the current write transaction."""

oldest_open_transaction = _function(
    BigInteger(),
    postgresql=lambda: "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)",
    sqlite=lambda: "(SELECT value FROM transaction_counter)",
)
"""All transactions below this number have ended, those of other databases of the server included. For write
transactions: on SQLite it is their own number."""

database_now = _function(
    UtcDateTime(),
    postgresql=lambda: "clock_timestamp()",
    sqlite=lambda: "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
)
"""The current time by the clock of the database, which all replicas share."""

looked_up = _function(None, postgresql=lambda value: f"ANY (ARRAY[{value}])", sqlite=lambda value: value)
"""A value of another table's row, by which an index is searched once per such row. It prevents a hash join,
which would read a whole table in each step of a recursive query."""

_greatest = _function(
    BigInteger(),
    postgresql=lambda *numbers: f"GREATEST({', '.join(numbers)})",
    sqlite=lambda *numbers: f"MAX({', '.join(numbers)})",
)


def next_revision() -> ColumnElement[int]:
    """A number above the row's revision and not below the current transaction's.

    A transaction that took its number early may reach a row after one with a higher number.
    """
    return _greatest(column("revision") + 1, this_transaction())


seconds_after = _function(
    UtcDateTime(),
    postgresql=lambda time, seconds: f"({time} + {seconds} * interval '1 second')",
    sqlite=lambda time, seconds: f"({time} + {seconds} * 1000000)",
)
"""So many seconds after a time."""

_contains_text = _function(
    Boolean(),
    postgresql=lambda text, term: f"strpos({text}, {term}) > 0",
    sqlite=lambda text, term: f"instr({text}, {term}) > 0",
)


def contains_text(text: ColumnElement[str], term: str) -> ColumnElement[bool]:
    """Whether a text contains another one, taken literally: no character is a wildcard."""
    return _contains_text(text, literal(term, FreeText()))


_has_label = _function(
    Boolean(),
    postgresql=lambda labels, key, value=None: (
        f"({labels} ? {key})" if value is None else f"({labels} @> jsonb_build_object({key}, {value}))"
    ),
    sqlite=lambda labels, key, value=None: (
        f"EXISTS (SELECT 1 FROM json_each({labels}) AS label WHERE label.key = {key}"
        f"{'' if value is None else f' AND label.value = {value}'})"
    ),
)


def has_label(labels: ColumnElement[Any], key: str, value: str | None) -> ColumnElement[bool]:
    """Whether the JSON object `labels` has the key, and with this value unless it is None."""
    pair = (key,) if value is None else (key, value)
    return _has_label(labels, *(literal(each, FreeText()) for each in pair))


_json_text = _function(
    FreeText(),
    postgresql=lambda document, name: f"({document} ->> {name})",
    sqlite=lambda document, name: f"json_extract({document}, '$.' || {name})",
)


def json_text(document: ColumnElement[Any], name: str) -> ColumnElement[str]:
    """The value of this name in a JSON object, as text; null without one."""
    return _json_text(document, literal(name, FreeText()))


_elapsed_ms = _function(
    BigInteger(),
    postgresql=lambda start, end: f"CAST(floor(EXTRACT(epoch FROM {end} - {start}) * 1000) AS BIGINT)",
    sqlite=lambda start, end: f"({end} - {start}) / 1000",
)


def elapsed_ms(start: str, end: str) -> ColumnElement[int]:
    """Whole milliseconds from one column to another, null where either is null."""
    return _elapsed_ms(column(start), column(end))


time_bucket = _function(
    UtcDateTime(),
    postgresql=lambda time, start, length: f"date_bin({length}, {time}, {start})",
    sqlite=lambda time, start, length: f"({start} + ({time} - {start}) / {length} * {length})",
)
"""The start of the bucket that a time falls into: of the time, the start of the first bucket, and the length
of each."""

small_document = _function(
    None,
    postgresql=lambda document, size: (
        f"CASE WHEN pg_column_size({document}) <= {size} AND octet_length(CAST({document} AS TEXT)) <= {size}"
        f" THEN {document} END"
    ),
    sqlite=lambda document, size: f"CASE WHEN length(CAST({document} AS BLOB)) <= {size} THEN {document} END",
)
"""A JSON document of at most so many bytes, or null."""

_document_at = _function(
    Text(),
    postgresql=lambda document, size, *names: (
        f"left(CAST(({' -> '.join((document, *names))}) AS TEXT), {size})"
    ),
    sqlite=lambda document, size, *names: (
        f"substr({document} -> ('$.\"' || " + " || '\".\"' || ".join(names) + f" || '\"'), 1, {size})"
    ),
)


def document_at(
    document: ColumnElement[Any], names: Sequence[ColumnElement[str]], characters: int
) -> ColumnElement[str]:
    """The beginning of the JSON text of what a document has under names of keys within each other, at most so
    many characters; null if it has nothing there. Names have no quotes or backslashes."""
    return _document_at(document, literal_column(str(characters)), *names)
