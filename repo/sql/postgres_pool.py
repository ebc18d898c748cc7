"""Connections of asyncpg for reads, and others for writes: no state is left in a session, so returning one
costs nothing.

asyncpg's own pool costs as much per read as a small read itself.
"""

import asyncio
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from repo.sql import postgres
from repo.sql.pools import Execute
from repo.sql.postgres import CONNECTION_LOST, PING, Connector
from repo.sql.times import return_numbers
from repo.sql.transactions import Initialize

_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CLOSE_TIMEOUT = 1.0
"""Seconds that connections get to close in order."""


class PostgresSession:
    """A transaction that writes, begun by its first statement."""

    def __init__(self, pool: "PostgresPool", initialize: Initialize | None) -> None:
        self._pool = pool
        self._initialize = initialize
        self.connection: asyncpg.Connection | None = None

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        connection = self.connection
        if connection is None or not connection.is_in_transaction():
            connection = await self._pool.begin_write(self, self._initialize)
        rows: Sequence[Any] = await connection.fetch(text, *arguments)
        return rows

    async def execute_alone(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        if self.connection is None:
            await self._pool.take_for_write(self, self._initialize)
        assert self.connection is not None
        rows: Sequence[Any] = await self.connection.fetch(text, *arguments)
        return rows

    async def execute_each(self, text: str, rows: Sequence[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
        returned: list[Any] = []
        for arguments in rows:
            returned += await self.execute(text, arguments)
        return returned


class PostgresPool:
    """A pool of connections to PostgreSQL, either for reads or for writes."""

    def __init__(self, size: int, wait_timeout: float, connector: Connector) -> None:
        """`wait_timeout` is how many seconds a call waits for a connection."""
        self.size = size
        self._wait_timeout = wait_timeout
        self._connector = connector
        # Each with the time of its last answer; the most recent one is last.
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        self._open: set[asyncpg.Connection] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._initialized: weakref.WeakSet[asyncpg.Connection] = weakref.WeakSet()

    @property
    def in_use(self) -> int:
        return max(0, len(self._open) - len(self._idle) - len(self._cancelled))

    @property
    def waiting(self) -> int:
        return sum(not waiter.done() for waiter in self._waiting)

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        connection = self._take_recent() or await self._take()
        try:
            return await self._fetch(connection, text, arguments)
        except CONNECTION_LOST:
            # It may have been lost while idle, and others with it; a new one was not.
            self._drop_idle()
            return await self._fetch(await self._take(), text, arguments)

    async def _fetch(
        self, connection: asyncpg.Connection, text: str, arguments: tuple[Any, ...]
    ) -> Sequence[Any]:
        try:
            rows: Sequence[Any] = await connection.fetch(text, *arguments)
        except asyncio.CancelledError:
            self._release_later(connection)
            raise
        except TimeoutError:
            self._drop(connection)
            self._wake()
            raise
        except BaseException:
            self._release(connection)
            raise
        self._release(connection)
        return rows

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Execute]:
        connection = await self._begin(_BEGIN_SNAPSHOT)

        async def execute(text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
            rows: Sequence[Any] = await connection.fetch(text, *arguments)
            return rows

        try:
            yield execute
            await connection.execute("COMMIT")
        except BaseException:
            # A read has nothing to roll back, and a cancelled caller must not wait for it.
            self._drop(connection)
            raise
        finally:
            self._release(connection)

    @asynccontextmanager
    async def transaction(self, initialize: Initialize | None = None) -> AsyncIterator[PostgresSession]:
        """A write transaction. It is not repeated here when the connection is lost: it may have been
        committed. `initialize` is called before the first one over each connection."""
        session = PostgresSession(self, initialize)
        try:
            yield session
            if session.connection is not None and session.connection.is_in_transaction():
                await session.connection.execute("COMMIT")
        except TimeoutError:
            if session.connection is not None:
                self._drop(session.connection)
            raise
        except BaseException:
            if session.connection is not None:
                await _roll_back(session.connection)
            raise
        finally:
            if session.connection is not None:
                self._release(session.connection)

    async def begin_write(
        self, session: PostgresSession, initialize: Initialize | None
    ) -> asyncpg.Connection:
        """Begin the transaction of a session, on a connection of its own."""
        if session.connection is not None:
            await session.connection.execute("BEGIN")
            return session.connection
        connection = session.connection = await self._begin("BEGIN")
        if initialize is not None and connection not in self._initialized:
            await initialize(session.execute)
            await connection.execute("COMMIT; BEGIN")
            self._initialized.add(connection)
        return connection

    async def take_for_write(self, session: PostgresSession, initialize: Initialize | None) -> None:
        """Give a session a connection without a transaction."""
        connection = session.connection = self._take_recent() or await self._take()
        if initialize is not None and connection not in self._initialized:
            await connection.execute("BEGIN")
            await initialize(session.execute)
            await connection.execute("COMMIT")
            self._initialized.add(connection)

    async def _begin(self, begin: str) -> asyncpg.Connection:
        """A connection in a transaction."""
        for is_last in (False, True):
            connection = self._idle.pop()[0] if self._idle else await self._take()
            try:
                await connection.execute(begin, timeout=postgres.ANSWER_TIMEOUT)
            except BaseException as error:
                self._drop(connection)
                self._wake()
                if is_last or not isinstance(error, (TimeoutError, *CONNECTION_LOST)):
                    raise
                # It may have been lost while idle, and others with it; a new one was not.
                self._drop_idle()
            else:
                return connection
        raise AssertionError("the last attempt raises")

    def _release(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed() or connection not in self._open:
            self._drop(connection)
        else:
            self._idle.append((connection, time.monotonic()))
        self._wake()

    def _release_later(self, connection: asyncpg.Connection) -> None:
        """Release it once the driver has ended its cancelled statement."""

        async def wait() -> None:
            is_alive = False
            try:
                is_alive = await self._answers(connection)
            finally:
                if not is_alive:
                    self._drop(connection)

        def release(waiting: asyncio.Task[None]) -> None:
            self._cancelled.discard(waiting)
            self._release(connection)

        waiting = asyncio.create_task(wait())
        self._cancelled.add(waiting)
        waiting.add_done_callback(release)

    async def _answers(self, connection: asyncpg.Connection) -> bool:
        try:
            async with asyncio.timeout(postgres.ANSWER_TIMEOUT):
                await connection.execute(PING)
        except (OSError, asyncpg.PostgresError, *CONNECTION_LOST):
            return False
        return True

    def _take_recent(self) -> asyncpg.Connection | None:
        """An idle connection that answered recently and needs no ping."""
        if not self._idle or time.monotonic() - self._idle[-1][1] > postgres.PING_AFTER:
            return None
        return None if self._idle[-1][0].is_closed() else self._idle.pop()[0]

    async def _take(self) -> asyncpg.Connection:
        """A connection that answers. Raises TimeoutError when none becomes free in time."""
        async with asyncio.timeout(self._wait_timeout):
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
            await self._set_up(connection)
            self._open.add(connection)
        finally:
            self._connecting -= 1
            self._wake()
        return connection

    async def _set_up(self, connection: asyncpg.Connection) -> None:
        """Configure a new connection. Raises CannotConnect."""
        try:
            async with postgres.connecting():
                await return_numbers(connection)
        except BaseException:
            connection.terminate()
            raise

    async def _take_idle(self) -> asyncpg.Connection | None:
        """The most recently used idle connection, if it answers. Else all idle ones are dropped."""
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
                self._wake()  # pass the turn on
            raise

    def renew(self) -> None:
        self._drop_idle()
        self._open.clear()

    def _drop_idle(self) -> None:
        while self._idle:
            self._drop(self._idle.pop()[0])

    def _drop(self, connection: asyncpg.Connection) -> None:
        self._open.discard(connection)
        connection.terminate()

    def _wake(self) -> None:
        """Wake the first waiter: a connection may be available."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def close(self) -> None:
        for waiting in list(self._cancelled):
            waiting.cancel()
        closing = [connection.close(timeout=_CLOSE_TIMEOUT) for connection in self._open]
        await asyncio.gather(*closing, return_exceptions=True)
        self._open.clear()
        self._idle.clear()


async def _roll_back(connection: asyncpg.Connection) -> None:
    if connection.is_in_transaction():
        try:
            await connection.execute("ROLLBACK", timeout=postgres.ANSWER_TIMEOUT)
        except Exception:  # the error of the statement before counts
            connection.terminate()
