"""Read connections of SQLite: a whole read runs in one thread, instead of one thread hop per step."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from repo.sql.pools import Execute, StatementStopped

_INTERRUPT_AGAIN_AFTER = 0.05
"""Seconds after which a statement that did not stop is interrupted again."""


class _RunningStatement:
    """A statement in another thread that can be stopped from the event loop."""

    __slots__ = ("_connection", "_is_stopped", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_stopped = False

    def begin(self, connection: sqlite3.Connection) -> None:
        """The statement now runs on this connection. Raises StatementStopped."""
        with self._lock:
            if self._is_stopped:
                raise StatementStopped
            self._connection = connection

    def end(self) -> None:
        """The connection may run another statement from now on, which must not be interrupted."""
        with self._lock:
            self._connection = None

    def stop(self) -> None:
        """Make it raise, also if it has not begun."""
        with self._lock:
            self._is_stopped = True
            if self._connection is None:
                return
            self._connection.interrupt()
        # SQLite interrupts only what runs at this moment, and this statement may be about to start.
        asyncio.get_running_loop().call_later(_INTERRUPT_AGAIN_AFTER, self.stop)


class SqlitePool:
    """Threads with a read connection each, and one for snapshots."""

    def __init__(self, path: str, options: dict[str, Any], threads: int, statement_timeout: float) -> None:
        """`statement_timeout` limits a statement in seconds, the wait for a thread included; 0 for no
        limit."""
        self._path = path
        self._statement_timeout = statement_timeout
        self._options = options
        self.size = threads + 1
        self._threads = ThreadPoolExecutor(threads, "rungraph-read")
        # All statements of a snapshot run on one connection.
        self._snapshot_thread = ThreadPoolExecutor(1, "rungraph-snapshot")
        self._snapshot_lock = asyncio.Lock()
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

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        return await self._execute_in(self._threads, text, arguments)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Execute]:
        async with self._snapshot_lock:
            try:
                # The thread goes on with it even if the caller is cancelled meanwhile.
                await self._execute_in(self._snapshot_thread, "BEGIN")
                yield partial(self._execute_in, self._snapshot_thread)
            finally:
                await asyncio.shield(self._execute_in(self._snapshot_thread, "ROLLBACK"))

    async def _execute_in(
        self, threads: ThreadPoolExecutor, text: str, arguments: tuple[Any, ...] = ()
    ) -> Sequence[Sequence[Any]]:
        self._calls += 1
        loop, statement, limit = asyncio.get_running_loop(), _RunningStatement(), None
        if self._statement_timeout:
            limit = loop.call_later(self._statement_timeout, statement.stop)
        try:
            return await loop.run_in_executor(threads, self._run, statement, text, arguments)
        except asyncio.CancelledError:
            # Else callers that give up and retry would fill all threads with abandoned statements.
            statement.stop()
            raise
        finally:
            if limit is not None:
                limit.cancel()
            self._calls -= 1

    def _run(
        self, statement: _RunningStatement, text: str, arguments: tuple[Any, ...]
    ) -> Sequence[Sequence[Any]]:
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
        for threads in (self._threads, self._snapshot_thread):
            await asyncio.to_thread(threads.shutdown)
        for connection in self._connections:
            connection.close()
