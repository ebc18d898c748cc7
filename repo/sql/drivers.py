"""Owns the short way of a read: SQLAlchemy writes the statement once, and the driver itself runs it.

A page of 50 runs costs a third of what it costs through SQLAlchemy's connections. PostgreSQL runs a prepared
statement on a connection of a pool of its own; SQLite runs the whole read in one thread, instead of a thread
for every step of it.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import asyncpg
from sqlalchemy import Dialect, Select
from sqlalchemy.sql.compiler import SQLCompiler

from repo.sql.postgres import (
    ANSWER_WITHIN,
    CONNECTION_LOST,
    PING,
    PING_AFTER,
    Connector,
)
from repo.sql.rows import (
    Column,
    Decode,
    Holds,
    Layout,
    Rows,
)

T = TypeVar("T")

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_STOP_AGAIN_AFTER = 0.05
"""Seconds after which a statement of SQLite that is to stop, and goes on, is told so again."""
_CLOSE_WITHIN = 1.0
"""Seconds that connections have to say goodbye."""


class StatementStopped(Exception):
    """The statement took too long, or nobody waits for it any more."""


class Prepared:
    """A statement as its text, with what makes arguments of values, and values of what comes back."""

    def __init__(
        self,
        statement: Select[Any],
        values: Mapping[str, Any],
        dialect: Dialect,
        columns: Sequence[Column],
    ) -> None:
        """`columns` are those of what comes back."""
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        state = compiled.construct_expanded_state(dict(values))
        self.text = state.statement
        self._names = list(state.positiontup or ())
        # The members of a list have processors in the state, all other parameters in their types.
        self._encode: dict[str, Decode] = dict(state.processors)
        for name, parameter in compiled.binds.items():
            process = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if process is not None:
                self._encode[name] = process
        self._given = dict(state.parameters)
        self.columns = columns
        self.decode = [(each.index, each.decode) for each in columns if each.decode is not None]
        self.columns_by_name = dict(zip(statement.selected_columns.keys(), columns, strict=True))
        self.long = [
            column.index
            for name, column in self.columns_by_name.items()
            if column.holds is Holds.DOCUMENT or name == "state"
        ]
        """The columns with text that may be long."""
        self._layout: Layout[Any] | None = None
        self.cursor: list[Column] | None = None
        """What the cursor of a row is made of, once somebody has looked; a statement has one order."""

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in their order: these values, and those that the statement was made with."""
        encode, given = self._encode, self._given
        found = []
        for name in self._names:
            value = values[name] if name in values else given[name]
            found.append(encode[name](value) if name in encode else value)
        return tuple(found)

    def layout(self, entity: type[T], names: Sequence[str]) -> Layout[T]:
        """Where the fields of an object are, with which the columns begin; always of the same class."""
        if self._layout is None:
            self._layout = Layout(entity, names, self.columns)
        return self._layout


@dataclass(frozen=True, slots=True)
class Found:
    """What a statement gave, as the driver gave it."""

    prepared: Prepared
    raw: Sequence[Sequence[Any]]

    def rows(self, entity: type[T], names: Sequence[str]) -> Rows[T]:
        """The rows as objects with these fields."""
        return Rows(self.raw, self.prepared.layout(entity, names))

    def sizes(self) -> list[int]:
        """How many characters each row has in its long columns."""
        long = self.prepared.long
        if not long:
            return [0] * len(self.raw)
        return [sum([len(cell) for index in long if (cell := row[index])]) for row in self.raw]

    def decoded(self) -> list[list[Any]]:
        """The rows as SQLAlchemy would give them."""
        decode, rows = self.prepared.decode, []
        for each in self.raw:
            row = list(each)
            for index, convert in decode:
                if (value := row[index]) is not None:
                    row[index] = convert(value)
            rows.append(row)
        return rows


class Run(Protocol):
    """Gives the rows of a statement."""

    async def __call__(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]: ...


class Driver(Protocol):
    """What runs a statement."""

    async def run(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        """The rows of a statement, which sees what was committed when it begins."""

    def moment(self) -> AbstractAsyncContextManager[Run]:
        """What runs statements that all see the database at one moment, that of the first one."""

    @property
    def in_use(self) -> int:
        """How many connections are at work."""

    @property
    def size(self) -> int:
        """How many there may be."""

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""

    def renew(self) -> None:
        """Replace the connections before they are used again."""

    async def close(self) -> None:
        """Close every connection."""


class Postgres:
    """Connections of asyncpg for reads, which leave nothing behind in a session.

    A pool of the driver's own costs as much as a small read, for what reads do not need.
    """

    def __init__(self, size: int, patience: float, connector: Connector) -> None:
        """`patience` is how many seconds a read waits for a connection."""
        self.size = size
        self._patience = patience
        self._connector = connector
        # Each with the time at which it answered last; the last one is the latest.
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        self._open: set[asyncpg.Connection] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def in_use(self) -> int:
        return max(0, len(self._open) - len(self._idle) - len(self._cancelled))

    @property
    def waiting(self) -> int:
        return sum(not waiter.done() for waiter in self._waiting)

    async def run(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        connection = self._take_recent() or await self._take()
        try:
            return await self._fetch(connection, text, arguments)
        except CONNECTION_LOST:
            # It may have been lost while nobody used it, and others with it; a new one is not.
            self._drop_idle()
            return await self._fetch(await self._take(), text, arguments)

    async def _fetch(
        self, connection: asyncpg.Connection, text: str, arguments: tuple[Any, ...]
    ) -> Sequence[Any]:
        try:
            found: Sequence[Any] = await connection.fetch(text, *arguments)
        except asyncio.CancelledError:
            self._give_back_later(connection)
            raise
        except TimeoutError:
            self._drop(connection)
            self._wake()
            raise
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)
        return found

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Run]:
        connection = await self._begin()

        async def run(text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
            found: Sequence[Any] = await connection.fetch(text, *arguments)
            return found

        try:
            yield run
            await connection.execute("COMMIT")
        except BaseException:
            # Who reads has nothing to undo, and whoever is cancelled does not wait for it.
            self._drop(connection)
            raise
        finally:
            self._give_back(connection)

    async def _begin(self) -> asyncpg.Connection:
        """A connection in a transaction."""
        for is_last in (False, True):
            connection = self._idle.pop()[0] if self._idle else await self._take()
            try:
                await connection.execute(_BEGIN, timeout=ANSWER_WITHIN)
            except BaseException as error:
                self._drop(connection)
                self._wake()
                if is_last or not isinstance(error, (TimeoutError, *CONNECTION_LOST)):
                    raise
                # It may have been lost while nobody used it, and others with it; a new one is not.
                self._drop_idle()
            else:
                return connection
        raise AssertionError("the last attempt raises")

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed() or connection not in self._open:
            self._drop(connection)
        else:
            self._idle.append((connection, time.monotonic()))
        self._wake()

    def _give_back_later(self, connection: asyncpg.Connection) -> None:
        """Give it back once the driver has ended its statement, which was cancelled."""

        async def wait() -> None:
            is_alive = False
            try:
                is_alive = await self._answers(connection)
            finally:
                if not is_alive:
                    self._drop(connection)

        def give_back(waiting: asyncio.Task[None]) -> None:
            self._cancelled.discard(waiting)
            self._give_back(connection)

        waiting = asyncio.create_task(wait())
        self._cancelled.add(waiting)
        waiting.add_done_callback(give_back)

    async def _answers(self, connection: asyncpg.Connection) -> bool:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await connection.execute(PING)
        except (OSError, asyncpg.PostgresError, *CONNECTION_LOST):
            return False
        return True

    def _take_recent(self) -> asyncpg.Connection | None:
        """An idle connection that has just answered, so that it need not be asked."""
        if not self._idle or time.monotonic() - self._idle[-1][1] > PING_AFTER:
            return None
        return self._idle.pop()[0]

    async def _take(self) -> asyncpg.Connection:
        """A connection that answers, once there is one."""
        async with asyncio.timeout(self._patience):
            while True:
                if recent := self._take_recent():
                    return recent
                if self._idle:
                    if connection := await self._take_idle():
                        return connection
                elif len(self._open) + self._connecting < self.size:
                    break
                else:
                    await self._wait_for_turn()
        self._connecting += 1
        try:
            connection = await self._connector.connect()
            self._open.add(connection)
        finally:
            self._connecting -= 1
            self._wake()
        return connection

    async def _take_idle(self) -> asyncpg.Connection | None:
        """The latest of the idle connections, if it answers; else none of them does."""
        connection, _ = self._idle.pop()
        is_alive = False
        try:
            is_alive = await self._answers(connection)
        finally:
            if not is_alive:
                self._drop(connection)
                self._wake()
        if is_alive:
            return connection
        self._drop_idle()
        return None

    async def _wait_for_turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was this one's turn, and it goes
            raise

    def renew(self) -> None:
        """Use none of the connections again: the server is no longer the right one."""
        self._drop_idle()
        self._open.clear()

    def _drop_idle(self) -> None:
        while self._idle:
            self._drop(self._idle.pop()[0])

    def _drop(self, connection: asyncpg.Connection) -> None:
        self._open.discard(connection)
        connection.terminate()

    def _wake(self) -> None:
        """Tell one who waits that a connection may be had."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def close(self) -> None:
        for waiting in list(self._cancelled):
            waiting.cancel()
        closing = [connection.close(timeout=_CLOSE_WITHIN) for connection in self._open]
        await asyncio.gather(*closing, return_exceptions=True)
        self._open.clear()
        self._idle.clear()


class _Statement:
    """A statement of SQLite in a thread, which can be told to stop from outside of it."""

    __slots__ = ("_connection", "_is_unwanted", "_turn")

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_unwanted = False

    def begin(self, connection: sqlite3.Connection) -> None:
        """It runs there from here on. Raises StatementStopped."""
        with self._turn:
            if self._is_unwanted:
                raise StatementStopped
            self._connection = connection

    def end(self) -> None:
        """From here on the connection may be at another one, which is not to be stopped."""
        with self._turn:
            self._connection = None

    def stop(self) -> None:
        """Make it raise, also where it has not begun."""
        with self._turn:
            self._is_unwanted = True
            if self._connection is None:
                return
            self._connection.interrupt()
        # SQLite stops only what runs at this very moment, and this may just be about to.
        asyncio.get_running_loop().call_later(_STOP_AGAIN_AFTER, self.stop)


class Sqlite:
    """Threads with a connection each."""

    def __init__(self, path: str, options: dict[str, Any], threads: int, statement_timeout: float) -> None:
        """`statement_timeout` is how many seconds a statement may take, its wait for a thread included; 0
        for any time."""
        self._path = path
        self._statement_timeout = statement_timeout
        self._options = options
        self.size = threads + 1
        self._threads = ThreadPoolExecutor(threads, "rungraph-read")
        # Of a moment, all statements run on one connection.
        self._thread = ThreadPoolExecutor(1, "rungraph-look")
        self._turn = asyncio.Lock()
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._busy: set[sqlite3.Connection] = set()
        self._lock = threading.Lock()
        self._calls = 0

    @property
    def in_use(self) -> int:
        return min(self._calls, self.size)

    @property
    def waiting(self) -> int:
        return self._calls - self.in_use

    async def run(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        return await self._in(self._threads, text, arguments)

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Run]:
        async with self._turn:
            try:
                # The thread goes on with it also where the caller is cancelled meanwhile.
                await self._in(self._thread, "BEGIN")
                yield partial(self._in, self._thread)
            finally:
                await asyncio.shield(self._in(self._thread, "ROLLBACK"))

    async def _in(
        self, threads: ThreadPoolExecutor, text: str, arguments: tuple[Any, ...] = ()
    ) -> Sequence[Sequence[Any]]:
        self._calls += 1
        loop, statement, limit = asyncio.get_running_loop(), _Statement(), None
        if self._statement_timeout:
            limit = loop.call_later(self._statement_timeout, statement.stop)
        try:
            return await loop.run_in_executor(threads, self._run, statement, text, arguments)
        except asyncio.CancelledError:
            # Whoever gave up may come again, and again: the threads would all be at what nobody waits for.
            statement.stop()
            raise
        finally:
            if limit is not None:
                limit.cancel()
            self._calls -= 1

    def _run(self, statement: _Statement, text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        connection = self._take()
        try:
            if text == "ROLLBACK" and not connection.in_transaction:
                return []
            statement.begin(connection)
            try:
                rows: list[Sequence[Any]] = connection.execute(text, arguments).fetchall()
            finally:
                statement.end()
        finally:
            with self._lock:
                self._busy.discard(connection)
        return rows

    def _take(self) -> sqlite3.Connection:
        """The connection of this thread, which is not closed while it is busy."""
        with self._lock:
            connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
            if connection is None or connection not in self._connections:
                connection = sqlite3.connect(self._path, check_same_thread=False, **self._options)
                connection.isolation_level = None
                connection.execute("PRAGMA query_only=ON")
                self._own.connection = connection
                self._connections.append(connection)
            self._busy.add(connection)
        return connection

    def renew(self) -> None:
        with self._lock:
            for connection in list(self._connections):
                if connection not in self._busy and not connection.in_transaction:
                    self._connections.remove(connection)
                    connection.close()

    async def close(self) -> None:
        for threads in (self._threads, self._thread):
            await asyncio.to_thread(threads.shutdown)
        for connection in self._connections:
            connection.close()
