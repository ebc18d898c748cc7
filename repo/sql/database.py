"""Owns the connection to the database and everything in which PostgreSQL and SQLite differ."""

import asyncio
import json
import math
from collections import OrderedDict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    Interval,
    Select,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    column,
    event,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DontWrapMixin
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from repo.domain.errors import DatabaseReadOnly, DatabaseUnavailable, InvalidArgument
from repo.domain.positions import Incarnation, Position
from repo.sql import sqlite as sqlite_file
from repo.sql.drivers import (
    Driver,
    Found,
    Postgres,
    Prepared,
    Run,
    Sqlite,
)
from repo.sql.errors import invalidate_spoilt, is_repeatable, translated
from repo.sql.incarnations import Incarnations
from repo.sql.postgres import (
    ANSWER_WITHIN,
    Connector,
    one_host_each,
    replace_silent,
)
from repo.sql.rows import Column, Holds

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)
Row = Mapping[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WRITES = "rungraph_writes"
_ATTEMPTS_AT_A_WRITE = 3
_WAIT_FOR_A_CONNECTION = 10.0
"""Seconds that a call waits for others to give their connection back."""
_WAIT_FOR_A_WRITER = 30.0
"""Seconds that SQLite waits for a lock of another process."""
_FINISH_WITHIN = 2.5
"""Seconds that reads and writes have to finish before their connections are closed."""
_DISPOSE_WITHIN = 0.5
"""Seconds that the connections for writes have to say goodbye."""
_THREADS = 4
"""Reads of SQLite at a time."""
_ROWS_AT_ONCE = 1000
"""Rows that one statement writes."""
_MOST_PREPARED = 500
"""Statements that are kept as they were written."""


class Unstorable(DontWrapMixin, InvalidArgument):
    """A value that one of the databases cannot hold; SQLAlchemy passes the error on as it is."""


def check_text(value: str) -> None:
    """Raise Unstorable for text with U+0000 or half of a surrogate pair."""
    if "\0" in value:
        raise Unstorable("text must not hold the character U+0000")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Unstorable("text must not hold half of a surrogate pair")


class FreeText(TypeDecorator[str]):
    """Text of any length, which both databases can hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None:
            check_text(value)
        return value


class _TextDocument(TypeDecorator[Any]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


Name = String(255).with_variant(String(255, collation="C"), "postgresql")
"""An identifier, ordered by code point on both databases."""

# A column of type JSON is numeric to SQLite: of a document that is one number it would make its own.
Document = JSON(none_as_null=True).with_variant(_TextDocument(), "sqlite")
"""Any JSON value, given back with its keys in the order they came in."""

CodePoints = Text().with_variant(Text(collation="C"), "postgresql")
"""Text of any length, ordered by code point on both databases."""

Labels = JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A JSON object that is searched by its keys and values."""


def to_microseconds(value: datetime) -> int:
    """Microseconds since 1970 of an aware time, exactly."""
    return (value - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The UTC time that is `value` microseconds after 1970."""
    return EPOCH + value * _MICROSECOND


# The first and the last moment that Python knows mean minus and plus infinity to PostgreSQL's driver.
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time with microseconds; SQLite has no such type and stores the microseconds since 1970."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise Unstorable("a time needs an offset from UTC")
        if not _FIRST < value < _LAST:
            raise Unstorable(f"a time must be after {_FIRST.isoformat()} and before {_LAST.isoformat()}")
        return to_microseconds(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value  # type: ignore[no-any-return]
        return from_microseconds(value)


class Elapsed(TypeDecorator[timedelta]):
    """A length of time with microseconds; SQLite has no such type and takes the microseconds."""

    impl = Interval
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Interval())

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> Any:
        return value // _MICROSECOND if value is not None and dialect.name == "sqlite" else value


class EnumNumber(TypeDecorator[IntEnum]):
    """An enumeration, stored as its number; `members` are its values by their numbers."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, enumeration: type[IntEnum]) -> None:
        super().__init__()
        self.enumeration = enumeration
        self.members = {int(member): member for member in enumeration}

    @property
    def python_type(self) -> type[int]:
        return int

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> IntEnum | None:
        return None if value is None else self.members[value]


def constant(column: ColumnElement[Any], *values: IntEnum) -> ColumnElement[bool]:
    """Whether the column is one of the values, which stand in the statement itself: a planner matches
    them with the condition of a partial index, as it cannot match parameters."""
    numbers = [literal_column(str(int(value)), SmallInteger) for value in values]
    return column == numbers[0] if len(numbers) == 1 else column.in_(numbers)


class this_transaction(FunctionElement[int]):  # noqa: N801 - it reads as the SQL function that it is
    """The number of the running write transaction."""

    type = BigInteger()
    inherit_cache = True


@compiles(this_transaction, "postgresql")
def _(element: this_transaction, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"


@compiles(this_transaction, "sqlite")
def _(element: this_transaction, compiler: SQLCompiler, **kw: Any) -> str:
    return "(SELECT value FROM transaction_counter)"


class next_revision(FunctionElement[int]):  # noqa: N801 - it reads as the SQL function that it is
    """A number above the row's revision, and not below the running transaction's.

    A transaction that got its number early may come to a row late, after one with a higher number.
    """

    type = BigInteger()
    inherit_cache = True

    def __init__(self) -> None:
        super().__init__(column("revision") + 1, this_transaction())


@compiles(next_revision, "postgresql")
def _(element: next_revision, compiler: SQLCompiler, **kw: Any) -> str:
    return f"GREATEST({compiler.process(element.clauses, **kw)})"


@compiles(next_revision, "sqlite")
def _(element: next_revision, compiler: SQLCompiler, **kw: Any) -> str:
    return f"MAX({compiler.process(element.clauses, **kw)})"


class holds_text(FunctionElement[bool]):  # noqa: N801 - it reads as the SQL function that it is
    """Whether a text holds another one: each character stands for itself, however many there are."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, text: ColumnElement[str], term: str) -> None:
        super().__init__(text, literal(term, FreeText()))


@compiles(holds_text, "postgresql")
def _(element: holds_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)}) > 0"


@compiles(holds_text, "sqlite")
def _(element: holds_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)}) > 0"


def has_label(labels: ColumnElement[Any], key: str, value: str | None) -> ColumnElement[bool]:
    """Whether the JSON object `labels` has the key, and with this value unless it is None."""
    for each in (key, value or ""):
        check_text(each)
    return _has_key(labels, key) if value is None else _has_pair(labels, key, value)


class _has_key(FunctionElement[bool]):  # noqa: N801 - it reads as the SQL function that it is
    type = Boolean()
    inherit_cache = True

    def __init__(self, labels: ColumnElement[Any], key: str) -> None:
        super().__init__(labels, literal(key))


class _has_pair(FunctionElement[bool]):  # noqa: N801 - it reads as the SQL function that it is
    type = Boolean()
    inherit_cache = True

    def __init__(self, labels: ColumnElement[Any], key: str, value: str) -> None:
        # PostgreSQL takes the pair as a document, SQLite as two texts.
        super().__init__(labels, literal(key), literal(value), literal({key: value}, postgresql.JSONB()))


@compiles(_has_key, "postgresql")
def _(element: _has_key, compiler: SQLCompiler, **kw: Any) -> str:
    labels, key = element.clauses
    return compiler.process(labels.bool_op("?")(key), **kw)


@compiles(_has_pair, "postgresql")
def _(element: _has_pair, compiler: SQLCompiler, **kw: Any) -> str:
    labels, _key, _value, pair = element.clauses
    return compiler.process(labels.bool_op("@>")(pair), **kw)


@compiles(_has_key, "sqlite")
@compiles(_has_pair, "sqlite")
def _(element: _has_key | _has_pair, compiler: SQLCompiler, **kw: Any) -> str:
    labels, key, *values = element.clauses
    each = func.json_each(labels).table_valued("key", "value")
    found = select(1).select_from(each).where(each.c.key == key, *(each.c.value == v for v in values[:1]))
    return compiler.process(found.exists(), **kw)


class looked_up(FunctionElement[Any]):  # noqa: N801 - it reads as the SQL function that it is
    """A value of a row of another table, by which rows are looked up in an index for each such row: there is
    no hash join for it, which would read a whole table in each step of a recursive query."""

    inherit_cache = True

    def __init__(self, value: ColumnElement[Any]) -> None:
        self.type = value.type
        super().__init__(value)


@compiles(looked_up, "postgresql")
def _(element: looked_up, compiler: SQLCompiler, **kw: Any) -> str:
    return f"ANY (ARRAY[{compiler.process(element.clauses, **kw)}])"


@compiles(looked_up, "sqlite")
def _(element: looked_up, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


class elapsed_ms(FunctionElement[int]):  # noqa: N801 - it reads as the SQL function that it is
    """The whole milliseconds from one column to another, null where one of them is."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, start: str, end: str) -> None:
        super().__init__(column(start), column(end))


@compiles(elapsed_ms, "postgresql")
def _(element: elapsed_ms, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(floor(EXTRACT(epoch FROM {end} - {start}) * 1000) AS BIGINT)"


@compiles(elapsed_ms, "sqlite")
def _(element: elapsed_ms, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({end} - {start}) / 1000"


class start_of_part(FunctionElement[datetime]):  # noqa: N801 - it reads as the SQL function that it is
    """Where the part begins that a time is in, where time is cut into equal parts from a start on."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(
        self,
        time: ColumnElement[datetime],
        start: ColumnElement[datetime],
        length: ColumnElement[timedelta],
    ) -> None:
        super().__init__(time, start, length)


@compiles(start_of_part, "postgresql")
def _(element: start_of_part, compiler: SQLCompiler, **kw: Any) -> str:
    time, start, length = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"date_bin({length}, {time}, {start})"


@compiles(start_of_part, "sqlite")
def _(element: start_of_part, compiler: SQLCompiler, **kw: Any) -> str:
    time, start, length = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({start} + ({time} - {start}) / {length} * {length})"


class database_now(FunctionElement[datetime]):  # noqa: N801 - it reads as the SQL function that it is
    """The time by the clock of the database, which all replicas share."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(database_now, "sqlite")
def _(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


def parse_url(url: str) -> URL:
    """The URL with the driver that is used for it, and with the first host where it names several. Raises
    InvalidArgument for what is not supported."""
    try:
        parsed, *_ = [make_url(each) for each in one_host_each(url)]
    except (ArgumentError, ValueError):
        # The message of the library repeats the URL, which may hold a password.
        raise InvalidArgument("the database URL is not a URL") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+aiosqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise InvalidArgument("SQLite needs a file: sqlite:///rungraph.db")
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgres" | "postgresql" | "postgresql+asyncpg":
            return parsed.set(drivername="postgresql+asyncpg")
    raise InvalidArgument(f"the database must be postgresql:// or sqlite:///, not {parsed.drivername}://")


def without_password(url: str) -> str:
    """The URL of a database as it may be shown, without its options, which may hold a password too. Raises
    InvalidArgument as check_database_url does."""
    scheme = url.partition(":")[0]
    parse_url(url)
    first, *others = [
        make_url(each).set(drivername=scheme, query={}).render_as_string(hide_password=True)
        for each in one_host_each(url)
    ]
    if not others:
        return first
    before, at, _ = first.rpartition("@")
    hosts = [shown.rpartition("@")[2].removeprefix(f"{scheme}://") for shown in (first, *others)]
    name = hosts[0].partition("/")[2]
    start = f"{before}{at}" or f"{scheme}://"
    return f"{start}{','.join(host.partition('/')[0] for host in hosts)}/{name}"


_HOLDS: tuple[tuple[type[TypeEngine[Any]], Holds], ...] = (
    (JSON, Holds.DOCUMENT),
    (FreeText, Holds.TEXT),
    (String, Holds.TEXT),
    (BigInteger, Holds.BIG_INTEGER),
    (Integer, Holds.INTEGER),
)


@dataclass(frozen=True, slots=True)
class Given:
    """Keys that a statement is narrowed to."""

    key: Hashable
    """What the statement depends on of them."""
    narrow: Callable[[Select[Any]], Select[Any]]
    values: dict[str, Any]
    """What the statement has to be run with."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The database as it was when something was first read here."""

    position: Position
    """What is seen here."""
    _incarnations: Incarnations
    _run: Run
    _prepare: Callable[[Hashable, Callable[[], Select[Any]], Mapping[str, Any]], Prepared]

    async def fetch(self, key: Hashable, make: Callable[[], Select[Any]], values: Mapping[str, Any]) -> Found:
        """As `Database.fetch`."""
        prepared = self._prepare(key, make, values)
        return Found(prepared, await self._run(prepared.text, prepared.arguments(values)))

    async def incarnations(self) -> list[Incarnation]:
        """Those of the database that are known, the first one first: the last one is that of now."""
        return await self._incarnations.all(self._run)


@dataclass(frozen=True, slots=True)
class DatabaseFigures:
    """How the connections of one replica are used now, and how often a statement was written already."""

    in_use: int
    """Connections that somebody has taken."""
    most: int
    """Connections that there may be."""
    waiting: int
    """Calls that wait for one."""
    known: int
    """How often a statement was needed that was written before."""
    unknown: int
    """How often one had to be written."""


class Database:
    """A pool of connections. Every read and every write takes one for as long as it lasts."""

    def __init__(
        self,
        url: str,
        pool_size: int = 10,
        on_commit: Callable[[], None] = lambda: None,
        statement_timeout: float = 0,
    ) -> None:
        """Raises InvalidArgument for a URL that is not supported. `on_commit` is called after each
        write that is committed: the place where a doorbell hangs. A statement that takes longer than
        `statement_timeout` seconds is broken off, but for writes of SQLite; 0 lets all of them take their
        time."""
        parsed = parse_url(url)
        self.is_sqlite = parsed.drivername.startswith("sqlite")
        self.on_commit = on_commit
        # SQLite has one writer at a time. Waiting for the turn here is fair; its own waiting is not.
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()
        self._writing: set[asyncio.Task[Any]] = set()
        self._reads = 0
        self._calls = 0
        self._known = self._unknown = 0
        self._no_reads = asyncio.Event()
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "json_serializer": _dumps}
        options["hide_parameters"] = True  # else the text of an error holds what a client sent
        options["pool_timeout"] = _WAIT_FOR_A_CONNECTION
        self._connector: Connector | None = None
        if self.is_sqlite:
            options["connect_args"] = {"timeout": _WAIT_FOR_A_WRITER}
        else:
            settings = {"application_name": "rungraph", "timezone": "UTC", "jit": "off"}
            if statement_timeout:
                settings["statement_timeout"] = str(math.ceil(statement_timeout * 1000))
            # PostgreSQL ends a statement itself, unless it is not there any more.
            answers_within = statement_timeout + ANSWER_WITHIN if statement_timeout else None
            self._connector = Connector(url, settings, answers_within)
            options["async_creator"] = self._connector.connect
        self._statement_timeout = statement_timeout
        self.engine = create_async_engine(parsed, **options)
        self._driver = self._make_driver(parsed, pool_size)
        # Whoever watches does not wait behind those who ask.
        self._looker = self._make_driver(parsed, 2)
        self._last_write_failed = False
        self._prepared: OrderedDict[Hashable, Prepared] = OrderedDict()
        self._incarnations = Incarnations(self.is_sqlite)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", sqlite_file.prepare)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
            self._reader = self.engine
        else:
            replace_silent(self.engine.sync_engine)
            self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = self.engine.execution_options(**{_WRITES: True})
        event.listen(self.engine.sync_engine, "handle_error", invalidate_spoilt)

    @property
    def connections_in_use(self) -> int:
        """Connections that somebody has taken and not given back."""
        pool = self.engine.pool
        used = pool.checkedout() if isinstance(pool, QueuePool) else 0
        return used + self._driver.in_use + self._looker.in_use

    @property
    def figures(self) -> DatabaseFigures:
        """How it goes."""
        pool, drivers = self.engine.pool, (self._driver, self._looker)
        assert isinstance(pool, QueuePool)
        return DatabaseFigures(
            in_use=self.connections_in_use,
            most=pool.size() + sum(each.size for each in drivers),
            waiting=max(0, self._calls - pool.checkedout()) + sum(each.waiting for each in drivers),
            known=self._known,
            unknown=self._unknown,
        )

    async def try_file(self) -> None:
        """Raise sqlite3.Error or OSError where the file of SQLite cannot be opened or locked; aiosqlite, when
        it fails to, may still be at it after its event loop is closed."""
        path = self.engine.url.database
        if self.is_sqlite and path is not None and not path.startswith("file:"):
            await asyncio.to_thread(sqlite_file.try_file, path)

    def _make_driver(self, parsed: URL, pool_size: int) -> Driver:
        if self._connector is not None:
            return Postgres(pool_size, _WAIT_FOR_A_CONNECTION, self._connector)
        positional, options = self.engine.dialect.create_connect_args(parsed)
        own = {"timeout": _WAIT_FOR_A_WRITER, "uri": options.get("uri", False)}
        return Sqlite(positional[0], own, min(pool_size, _THREADS), self._statement_timeout)

    async def fetch(self, key: Hashable, make: Callable[[], Select[Any]], values: Mapping[str, Any]) -> Found:
        """The rows of the statement that `make` makes, with these values for its parameters, as it sees
        what is committed when it begins. `key` stands for the statement, which is written only once."""
        prepared = self._prepare(key, make, values)
        with translated():
            return Found(prepared, await self._driver.run(prepared.text, prepared.arguments(values)))

    def _prepare(self, key: Hashable, make: Callable[[], Select[Any]], values: Mapping[str, Any]) -> Prepared:
        prepared = self._prepared.get(key)
        if prepared is None:
            self._unknown += 1
            statement = make()
            columns = [self._column(index, c) for index, c in enumerate(statement.selected_columns)]
            prepared = self._prepared[key] = Prepared(statement, values, self.engine.dialect, columns)
            if len(self._prepared) > _MOST_PREPARED:
                self._prepared.popitem(last=False)
        else:
            self._known += 1
            self._prepared.move_to_end(key)
        return prepared

    def given(self, column: NamedColumn[Any], keys: Iterable[Any]) -> "Given":
        """What narrows a statement that is written once to the rows whose `column` is one of `keys`."""
        distinct = list(dict.fromkeys(keys))
        if not self.is_sqlite and len(distinct) != 1:
            source = func.unnest(bindparam("keys", type_=ARRAY(column.type, dimensions=1)))
            wanted = source.table_valued(_same(column), name="given").render_derived()
            return Given(
                "keys",
                lambda statement: statement.join(wanted, column == wanted.c[column.name]),
                {"keys": distinct},
            )
        values = {f"key_{number}": value for number, value in enumerate(distinct)}
        named = [bindparam(name, type_=column.type) for name in values]
        return Given(len(named), lambda statement: statement.where(column.in_(named)), values)

    def _column(self, index: int, selected: ColumnElement[Any]) -> Column:
        """How what the driver gives in a column becomes what is meant."""
        kind, is_there = selected.type, not getattr(selected, "nullable", True)
        if isinstance(kind, EnumNumber):
            return Column(index, Holds.MEMBER, is_there, kind.members.__getitem__, kind.members)
        if isinstance(kind, UtcDateTime):
            return Column(index, Holds.TIME, is_there, from_microseconds if self.is_sqlite else None)
        holds = next((holds for of, holds in _HOLDS if isinstance(kind, of)), Holds.OTHER)
        dialect = self.engine.dialect
        decode: Any = kind.dialect_impl(dialect).result_processor(dialect, None)
        if holds is Holds.DOCUMENT and not self.is_sqlite:
            decode = json.loads  # asyncpg gives its text, and SQLAlchemy's own connections the value
        return Column(index, holds, is_there, decode)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement sees what is committed when it begins."""
        with translated(), self._note_read(), self._note_call():
            async with self._reader.connect() as connection, self._limit(connection):
                yield connection

    @asynccontextmanager
    async def _limit(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Reads on the connection end in time, or once nobody waits for them: PostgreSQL sees to it
        itself."""
        if not self.is_sqlite:
            yield
            return
        driver: Any = (await connection.get_raw_connection()).driver_connection
        limit = None
        if self._statement_timeout:
            loop = asyncio.get_running_loop()
            limit = loop.call_later(self._statement_timeout, _interrupt, driver)
        try:
            yield
        except asyncio.CancelledError:
            _interrupt(driver)
            raise
        finally:
            if limit is not None:
                limit.cancel()

    @asynccontextmanager
    async def snapshot(self, last: Position | None = None) -> AsyncIterator["Moment"]:
        """The database at one moment. Where it has gone back behind the `last` position that was read here,
        without another incarnation, it was restored in a way that nothing else tells: one begins."""
        with translated(), self._note_read():
            while True:
                async with self._looker.moment() as run:
                    position = await self._incarnations.position(run)
                    is_back = (
                        position is not None
                        and last is not None
                        and position.incarnation == last.incarnation
                        and not last.is_before(position)
                    )
                    if position is not None and not is_back:
                        yield Moment(position, self._incarnations, run, self._prepare)
                        return
                await self._begin_incarnation(position.incarnation if position else None)

    @contextmanager
    def _note_read(self) -> Iterator[None]:
        self._reads += 1
        try:
            yield
        finally:
            self._reads -= 1
            if not self._reads:
                self._no_reads.set()

    @contextmanager
    def _note_call(self) -> Iterator[None]:
        """A call that has a connection of the pool, or waits for one."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def lose(self) -> None:
        """Let nothing count as seen that anybody has seen: all who watch begin anew."""
        async with self.snapshot() as moment:
            newest = moment.position.incarnation
        await self._begin_incarnation(newest)

    async def _begin_incarnation(self, lost_after: str | None = None) -> None:
        async with self._turn, self._writer.begin() as connection:
            await self._incarnations.begin(connection, lost_after)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `work` returns, committed as one transaction; nothing of it is kept if it raises.

        A transaction that PostgreSQL broke off for a deadlock is tried again. One that has begun is
        brought to its end, and rings, also when the caller is cancelled meanwhile: broken off in the
        middle of a commit, nobody would know whether it was one, and SQLite would keep its lock.
        """
        writing = asyncio.create_task(self._transact(work))
        self.finish(writing)
        return await asyncio.shield(writing)

    def finish(self, writing: asyncio.Task[Any]) -> None:
        """Let this task come to its end before the database is closed."""
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    async def _transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        result = await self._commit(work)
        self.on_commit()
        return result

    async def _commit(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        for attempt in range(1, _ATTEMPTS_AT_A_WRITE + 1):
            try:
                with translated(), self._note_call():
                    async with self._turn, self._writer.connect() as connection:
                        if not self._incarnations.is_checked(connection):
                            async with connection.begin():
                                await self._incarnations.begin(connection)
                            self._incarnations.note_checked(connection)
                        async with connection.begin():
                            result = await work(connection)
            except Exception as error:
                cause = error.__cause__ or error
                self._last_write_failed = isinstance(error, DatabaseUnavailable)
                if isinstance(error, DatabaseReadOnly) and attempt == 1 and self._may_be_writable():
                    await self._renew()
                    continue
                if not is_repeatable(cause) or attempt == _ATTEMPTS_AT_A_WRITE:
                    raise
            else:
                self._last_write_failed = False
                return result
        raise AssertionError("the last attempt returns or raises")

    def _may_be_writable(self) -> bool:
        return not self.is_sqlite or sqlite_file.can_write(str(self.engine.url.database))

    async def _renew(self) -> None:
        """Use none of the connections again: after a failover they lead to what was the primary, and to a
        file of SQLite that could not be written when it was opened."""
        self._driver.renew()
        self._looker.renew()
        if self.is_sqlite:
            await self.engine.dispose()

    async def check(self) -> None:
        """Return where reads and writes can be done. Raises DatabaseUnavailable, or DatabaseReadOnly where
        writes cannot."""
        with translated():
            await self._driver.run("SELECT 1")
        if not self._may_be_writable():
            raise DatabaseReadOnly("the file of SQLite cannot be written by this user")
        if self._last_write_failed or not self.is_sqlite:
            await self._commit(self._try_to_write)

    async def _try_to_write(self, connection: AsyncConnection) -> None:
        # It changes no row, and is refused where none may be changed.
        await connection.execute(text("UPDATE removal_horizon SET transaction_id = 0 WHERE false"))
        if self._last_write_failed:
            # A transaction with a number of its own is written to the log.
            await connection.execute(select(this_transaction()))

    def _written(self, writing: asyncio.Task[Any]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # was told to the caller, or to nobody where the caller went away

    async def close(self) -> None:
        """Close every connection, after the last read and write. With PostgreSQL these have a short time
        only: a connection that is dead would hold up the end."""
        ending = asyncio.create_task(self._finish())
        await asyncio.wait({ending}, timeout=None if self.is_sqlite else _FINISH_WITHIN)
        ending.cancel()
        await self._driver.close()
        await self._looker.close()
        if self._connector is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DISPOSE_WITHIN):
                    await self.engine.dispose()
            self._connector.close()
            await asyncio.gather(*self._writing, return_exceptions=True)
        await self.engine.dispose()

    async def _finish(self) -> None:
        """Wait for reads and writes; for reads also where nobody waits for their result any more, since their
        connections would be left open."""
        while self._writing:
            await asyncio.wait(self._writing)
        while self._reads:
            self._no_reads.clear()
            await self._no_reads.wait()

    def having_keys(
        self, statement: Select[Any], column: NamedColumn[Any], keys: Iterable[Any]
    ) -> Select[Any]:
        """`statement`, only for rows whose `column` is one of `keys`.

        PostgreSQL joins an unnested array: it plans long IN lists and large ANY badly.
        """
        distinct = list(dict.fromkeys(keys))
        if len(distinct) == 1:
            return statement.where(column == distinct[0])
        if self.is_sqlite:
            return statement.where(column.in_(distinct))
        wanted = _unnest([column], [{column.name: key} for key in distinct])
        return statement.join(wanted, column == wanted.c[column.name])

    async def insert_new(self, connection: AsyncConnection, table: Table, rows: Iterable[Row]) -> int:
        """Insert the rows whose primary key is not stored yet; how many these were.

        All rows have the same columns.
        """
        inserted = 0
        for part in _parts(rows):
            insert, parameters = self._insert_new(table, part)
            inserted += (await connection.execute(insert, parameters)).rowcount
        return inserted

    async def insert_which(
        self, connection: AsyncConnection, table: Table, rows: Iterable[Row]
    ) -> list[tuple[Any, ...]]:
        """As `insert_new`; the primary keys of the rows that were new."""
        inserted: list[tuple[Any, ...]] = []
        for part in _parts(rows):
            insert, parameters = self._insert_new(table, part)
            found = await connection.execute(insert.returning(*table.primary_key), parameters)
            inserted += map(tuple, found)
        return inserted

    def _insert_new(self, table: Table, rows: Sequence[Row]) -> tuple[Any, Any]:
        key = list(table.primary_key)
        if self.is_sqlite:
            insert = sqlite.insert(table).on_conflict_do_nothing(index_elements=key)
            return insert, [dict(row) for row in rows]
        columns = [table.c[name] for name in rows[0]]
        source = _unnest(columns, rows)
        selected = postgresql.insert(table).from_select([c.name for c in columns], select(*source.c))
        return selected.on_conflict_do_nothing(index_elements=key), None

    async def update_rows(self, connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
        """Set the other columns of the rows with these primary keys.

        All rows have the same columns.
        """
        for part in _parts(rows):
            await self._update_rows(connection, table, part)

    async def _update_rows(self, connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
        keys = [c.name for c in table.primary_key]
        names = [name for name in rows[0] if name not in keys]
        if self.is_sqlite:
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
        source = _unnest([table.c[name] for name in rows[0]], rows)
        await connection.execute(
            table.update()
            .where(*(table.c[key] == source.c[key] for key in keys))
            .values({name: source.c[name] for name in names})
        )

    def written_after(self, column: ColumnElement[int], position: Position) -> ColumnElement[bool]:
        """Whether what the transaction in `column` wrote has not been seen at `position`."""
        late = column >= position.upper
        return or_(late, column.in_(sorted(position.open))) if position.open else late

    def since(self, column: ColumnElement[int], position: Position) -> Given:
        """What narrows a statement that is written once to what `written_after` says."""
        opened = {f"open_{number}": value for number, value in enumerate(sorted(position.open))}
        named = [bindparam(name, type_=BigInteger()) for name in opened]
        late = column >= bindparam("upper", type_=BigInteger())
        return Given(
            len(named),
            lambda statement: statement.where(or_(late, column.in_(named)) if named else late),
            {"upper": position.upper, **opened},
        )


def _parts(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """The rows in parts that are made and encoded in a moment: others are served between two of them."""
    remaining = iter(rows)
    while part := list(islice(remaining, _ROWS_AT_ONCE)):
        yield part


def _same(given: NamedColumn[Any]) -> Any:
    """A column of that name and type in another table."""
    return column(given.name, given.type)


def _unnest(columns: Sequence[NamedColumn[Any]], rows: Sequence[Row]) -> Any:
    """The rows as a table that travels as one array a column: one statement for any number of rows."""
    arrays = []
    for c in columns:
        item = Text() if isinstance(c.type, String) else c.type
        arrays.append(
            bindparam(f"all_{c.name}", [row[c.name] for row in rows], type_=ARRAY(item, dimensions=1))
        )
    named = [column(c.name, c.type) for c in columns]
    return func.unnest(*arrays).table_valued(*named, name="given").render_derived()


def _interrupt(driver: Any) -> None:
    """End what a connection of aiosqlite is at; one that is closed is at nothing."""
    with suppress(ValueError):
        driver._conn.interrupt()


def _begin_sqlite(connection: Connection) -> None:
    """Writers take their lock at once: a reader that turns writer would find the database locked."""
    if connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(text("UPDATE transaction_counter SET value = value + 1"))
