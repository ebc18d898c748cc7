"""SQL functions that SQLAlchemy writes differently for PostgreSQL and SQLite."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    SmallInteger,
    column,
    literal,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from repo.sql.types import (
    FreeText,
    UtcDateTime,
)


def constant(column: ColumnElement[Any], *values: IntEnum) -> ColumnElement[bool]:
    """Whether the column is one of the values, written as literals: a planner matches them with the
    condition of a partial index, which it cannot do with parameters."""
    numbers = [literal_column(str(int(value)), SmallInteger) for value in values]
    return column == numbers[0] if len(numbers) == 1 else column.in_(numbers)


def _define(
    function: type[FunctionElement[Any]], postgresql: Callable[..., str], sqlite: Callable[..., str]
) -> None:
    """Say how both databases write a function of these arguments."""

    def compile_with(write: Callable[..., str]) -> Callable[..., str]:
        def compile_function(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
            return write(*(compiler.process(clause, **options) for clause in element.clauses))

        return compile_function

    compiles(function, "postgresql")(compile_with(postgresql))
    compiles(function, "sqlite")(compile_with(sqlite))


class this_transaction(FunctionElement[int]):  # noqa: N801 - reads like an SQL function
    """The number of the current write transaction."""

    type = BigInteger()
    inherit_cache = True


_define(
    this_transaction,
    postgresql=lambda: "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
    sqlite=lambda: "(SELECT value FROM transaction_counter)",
)


class next_revision(FunctionElement[int]):  # noqa: N801 - reads like an SQL function
    """A number above the row's revision and not below the current transaction's.

    A transaction that took its number early may reach a row after one with a higher number.
    """

    type = BigInteger()
    inherit_cache = True

    def __init__(self) -> None:
        super().__init__(column("revision") + 1, this_transaction())


_define(
    next_revision,
    postgresql=lambda *numbers: f"GREATEST({', '.join(numbers)})",
    sqlite=lambda *numbers: f"MAX({', '.join(numbers)})",
)


class contains_text(FunctionElement[bool]):  # noqa: N801 - reads like an SQL function
    """Whether a text contains another one, taken literally: no character is a wildcard."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, text: ColumnElement[str], term: str) -> None:
        super().__init__(text, literal(term, FreeText()))


_define(
    contains_text,
    postgresql=lambda text, term: f"strpos({text}, {term}) > 0",
    sqlite=lambda text, term: f"instr({text}, {term}) > 0",
)


class has_label(FunctionElement[bool]):  # noqa: N801 - reads like an SQL function
    """Whether the JSON object `labels` has the key, and with this value unless it is None."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, labels: ColumnElement[Any], key: str, value: str | None) -> None:
        pair = (key,) if value is None else (key, value)
        super().__init__(labels, *(literal(each, FreeText()) for each in pair))


_define(
    has_label,
    postgresql=lambda labels, key, value=None: (
        f"({labels} ? {key})" if value is None else f"({labels} @> jsonb_build_object({key}, {value}))"
    ),
    sqlite=lambda labels, key, value=None: (
        f"EXISTS (SELECT 1 FROM json_each({labels}) AS label WHERE label.key = {key}"
        f"{'' if value is None else f' AND label.value = {value}'})"
    ),
)


class looked_up(FunctionElement[Any]):  # noqa: N801 - reads like an SQL function
    """A value of another table's row, by which an index is searched once per such row. It prevents a hash
    join, which would read a whole table in each step of a recursive query."""

    inherit_cache = True

    def __init__(self, value: ColumnElement[Any]) -> None:
        self.type = value.type
        super().__init__(value)


_define(looked_up, postgresql=lambda value: f"ANY (ARRAY[{value}])", sqlite=lambda value: value)


class elapsed_ms(FunctionElement[int]):  # noqa: N801 - reads like an SQL function
    """Whole milliseconds from one column to another, null where either is null."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, start: str, end: str) -> None:
        super().__init__(column(start), column(end))


_define(
    elapsed_ms,
    postgresql=lambda start, end: f"CAST(floor(EXTRACT(epoch FROM {end} - {start}) * 1000) AS BIGINT)",
    sqlite=lambda start, end: f"({end} - {start}) / 1000",
)


class time_bucket(FunctionElement[datetime]):  # noqa: N801 - reads like an SQL function
    """The start of the bucket that a time falls into; all buckets have one length, the first has `start`."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(
        self,
        time: ColumnElement[datetime],
        start: ColumnElement[datetime],
        length: ColumnElement[timedelta],
    ) -> None:
        super().__init__(time, start, length)


_define(
    time_bucket,
    postgresql=lambda time, start, length: f"date_bin({length}, {time}, {start})",
    sqlite=lambda time, start, length: f"({start} + ({time} - {start}) / {length} * {length})",
)


class database_now(FunctionElement[datetime]):  # noqa: N801 - reads like an SQL function
    """The current time by the clock of the database, which all replicas share."""

    type = UtcDateTime()
    inherit_cache = True


_define(
    database_now,
    postgresql=lambda: "clock_timestamp()",
    sqlite=lambda: "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
)
