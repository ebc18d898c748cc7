"""The write connection of SQLite: a statement is one hop to its thread, also if it is for many rows."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from repo.sql import sqlite_file
from repo.sql.transactions import Initialize

T = TypeVar("T")

Rows = Sequence[Sequence[Any]]


class SqliteWriter:
    """A thread with the connection. Its caller begins one transaction at a time."""

    size = 1
    waiting = 0

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self._path = path
        self._options = options
        self._thread = ThreadPoolExecutor(1, "rungraph-write")
        self._connection: sqlite3.Connection | None = None
        self._has_begun = False
        self._is_initialized = False
        self.in_use = 0

    @asynccontextmanager
    async def transaction(self, initialize: Initialize | None = None) -> AsyncIterator["SqliteWriter"]:
        self.in_use = 1
        try:
            if initialize is not None and not self._is_initialized:
                async with self._transaction():
                    await initialize(self.execute)
                self._is_initialized = True
            async with self._transaction():
                yield self
        finally:
            self.in_use = 0

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """It begins with its first statement."""
        try:
            yield
            await self._in_thread(self._commit)
        except BaseException:
            await self._in_thread(self._roll_back)
            raise

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Rows:
        return await self._in_thread(lambda: self._begun().execute(text, arguments).fetchall())

    execute_alone = execute

    async def execute_each(self, text: str, rows: Sequence[tuple[Any, ...]]) -> Rows:
        def run() -> Rows:
            connection, returned = self._begun(), []
            for arguments in rows:
                returned += connection.execute(text, arguments).fetchall()
            return returned

        return await self._in_thread(run)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _begun(self) -> sqlite3.Connection:
        """The connection, in a transaction."""
        connection = self._connection
        if connection is None:
            connection = sqlite3.connect(self._path, check_same_thread=False, **self._options)
            try:
                sqlite_file.prepare(connection, None)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        if not self._has_begun:
            for statement in sqlite_file.BEGIN_WRITE:
                connection.execute(statement)
            self._has_begun = True
        return connection

    def _commit(self) -> None:
        if self._has_begun and self._connection is not None:
            self._connection.execute("COMMIT")
            self._has_begun = False

    def _roll_back(self) -> None:
        self._has_begun = False
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def renew(self) -> None:
        # Called by the one writer, outside of a transaction.
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._close()
