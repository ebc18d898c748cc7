"""The database: reads, snapshots and writes, and their connections. Prepared statements and snapshots use
pools of the driver's connections; everything else uses SQLAlchemy's pool."""

import asyncio
import math
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select, event, select, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import QueuePool

from repo.domain.cursors import FeedPosition, Incarnation
from repo.domain.errors import DatabaseReadOnly, DatabaseUnavailable
from repo.sql import postgres, sqlite_file
from repo.sql.errors import invalidate_unusable, is_retryable, translated
from repo.sql.functions import this_transaction
from repo.sql.incarnations import Incarnations
from repo.sql.pools import Execute, ReadPool
from repo.sql.postgres import Connector, replace_lost
from repo.sql.postgres_pool import PostgresPool
from repo.sql.sqlite_pool import SqlitePool
from repo.sql.sqlite_writer import SqliteWriter
from repo.sql.statements import ResultSet, StatementCache
from repo.sql.transactions import Transaction, WritePool
from repo.sql.types import dump_json
from repo.sql.urls import parse_url

T = TypeVar("T")
_Lock = AbstractAsyncContextManager[Any]

_WRITE_ATTEMPTS = 5
_SQLITE_LOCK_TIMEOUT = 30.0
"""Seconds that SQLite waits for a lock of another process."""
_FINISH_TIMEOUT = 2.5
"""Seconds that reads and writes get to finish before their connections are closed."""
_DISPOSE_TIMEOUT = 0.5
"""Seconds that SQLAlchemy's connections get to close in order."""
_SQLITE_READERS = 4
_SNAPSHOT_CONNECTIONS = 2
_WRITE_CONNECTIONS = 6


def _always(result: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent snapshot of the database."""

    position: FeedPosition
    """The position that it contains."""
    _incarnations: Incarnations
    _execute: Execute
    _statements: StatementCache

    async def fetch(
        self, key: Hashable, make: Callable[[], Select[Any]], values: Mapping[str, Any]
    ) -> ResultSet:
        """As `Database.fetch`."""
        prepared = self._statements.prepare(key, make, values)
        return ResultSet(prepared, await self._execute(prepared.text, prepared.arguments(values)))

    async def incarnations(self) -> list[Incarnation]:
        """The known incarnations of the database, oldest first; the last one is current."""
        return await self._incarnations.all(self._execute)


@dataclass(frozen=True, slots=True)
class DatabaseMetrics:
    """How the connections and prepared statements of one replica are used."""

    in_use: int
    """Connections in use."""
    limit: int
    """Connections that there may be."""
    waiting: int
    """Calls that wait for a connection."""
    hits: int
    """Statements that were already prepared."""
    misses: int
    """Statements that had to be prepared."""


class Database:
    """A pool of connections. Every read and every write holds one while it lasts."""

    def __init__(
        self,
        url: str,
        pool_size: int = 10,
        on_commit: Callable[[], None] = lambda: None,
        statement_timeout: float = 0,
        connection_timeout: float = 10.0,
    ) -> None:
        """Raises InvalidArgument for a URL that is not supported. `on_commit` is called after each committed
        write. Statements that take longer than `statement_timeout` seconds are cancelled, except writes of
        SQLite; 0 means no limit. A call waits at most `connection_timeout` seconds for a connection."""
        parsed = parse_url(url)
        self.is_sqlite = parsed.drivername.startswith("sqlite")
        self.on_commit = on_commit
        # SQLite has one writer at a time. Waiting here is fair; SQLite's own waiting is not.
        self._write_lock: _Lock = asyncio.Lock() if self.is_sqlite else nullcontext()
        self._writing: set[asyncio.Task[Any]] = set()
        self._reads = 0
        self._calls = 0
        self._no_reads = asyncio.Event()
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "json_serializer": dump_json}
        options["hide_parameters"] = True  # else the text of an error contains what a client sent
        options["pool_timeout"] = connection_timeout
        self._connector: Connector | None = None
        if self.is_sqlite:
            options["connect_args"] = {"timeout": _SQLITE_LOCK_TIMEOUT}
        else:
            settings = {"application_name": "rungraph", "timezone": "UTC", "jit": "off"}
            if statement_timeout:
                settings["statement_timeout"] = str(math.ceil(statement_timeout * 1000))
            # PostgreSQL cancels a statement itself, unless the server is unreachable.
            command_timeout = statement_timeout + postgres.ANSWER_TIMEOUT if statement_timeout else None
            self._connector = Connector(url, settings, command_timeout)
            options["async_creator"] = self._connector.connect
        self._statement_timeout = statement_timeout
        self._connection_timeout = connection_timeout
        self.engine = create_async_engine(parsed, **options)
        self.read_pool = self._make_pool(parsed, pool_size)
        # Of their own, so that watches do not queue behind queries.
        self.snapshot_pool = self._make_pool(parsed, _SNAPSHOT_CONNECTIONS)
        self.write_pool = self._make_write_pool(parsed, pool_size)
        self._last_write_failed = False
        self._statements = StatementCache(self.engine.dialect)
        self._incarnations = Incarnations(self.is_sqlite)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", sqlite_file.prepare)
            event.listen(self.engine.sync_engine, "begin", sqlite_file.begin)
            self._reader = self.engine
        else:
            replace_lost(self.engine.sync_engine)
            self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = self.engine.execution_options(**{sqlite_file.IS_WRITER: True})
        event.listen(self.engine.sync_engine, "handle_error", invalidate_unusable)

    @property
    def connections_in_use(self) -> int:
        """Connections that calls hold at the moment."""
        pool = self.engine.pool
        used = pool.checkedout() if isinstance(pool, QueuePool) else 0
        return used + sum(each.in_use for each in self._pools)

    @property
    def _pools(self) -> tuple[ReadPool | WritePool, ...]:
        return self.read_pool, self.snapshot_pool, self.write_pool

    @property
    def metrics(self) -> DatabaseMetrics:
        """The current metrics."""
        pool, pools = self.engine.pool, self._pools
        assert isinstance(pool, QueuePool)
        return DatabaseMetrics(
            in_use=self.connections_in_use,
            limit=pool.size() + sum(each.size for each in pools),
            waiting=max(0, self._calls - pool.checkedout()) + sum(each.waiting for each in pools),
            hits=self._statements.hits,
            misses=self._statements.misses,
        )

    async def check_file(self) -> None:
        """Raise sqlite3.Error or OSError if the SQLite file cannot be opened or locked. When aiosqlite fails
        to open one, its thread may outlive the event loop."""
        path = self.engine.url.database
        if self.is_sqlite and path is not None and not path.startswith("file:"):
            await asyncio.to_thread(sqlite_file.check, path)

    def _make_pool(self, parsed: URL, size: int) -> ReadPool:
        if self._connector is not None:
            return PostgresPool(size, self._connection_timeout, self._connector)
        path, options = self._file(parsed)
        return SqlitePool(path, options, min(size, _SQLITE_READERS), self._statement_timeout)

    def _make_write_pool(self, parsed: URL, size: int) -> WritePool:
        if self._connector is not None:
            connections = min(size, _WRITE_CONNECTIONS)
            return PostgresPool(connections, self._connection_timeout, self._connector)
        return SqliteWriter(*self._file(parsed))

    def _file(self, parsed: URL) -> tuple[str, dict[str, Any]]:
        """The file of SQLite, and how it is opened."""
        positional, options = self.engine.dialect.create_connect_args(parsed)
        return positional[0], {"timeout": _SQLITE_LOCK_TIMEOUT, "uri": options.get("uri", False)}

    async def fetch(
        self, key: Hashable, make: Callable[[], Select[Any]], values: Mapping[str, Any]
    ) -> ResultSet:
        """The rows of the statement that `make` returns, with these values of its parameters. It sees what
        is committed when it begins. `key` identifies the statement, which is prepared only once."""
        prepared = self._statements.prepare(key, make, values)
        with translated():
            return ResultSet(
                prepared, await self.read_pool.execute(prepared.text, prepared.arguments(values))
            )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement sees what is committed when it begins."""
        with translated(), self._note_read(), self._note_call():
            async with self._reader.connect() as connection:
                if not self.is_sqlite:  # PostgreSQL has a timeout for statements, and cancels them
                    yield connection
                    return
                async with sqlite_file.interrupting(connection, self._statement_timeout):
                    yield connection

    @asynccontextmanager
    async def snapshot(self, last: FeedPosition | None = None) -> AsyncIterator[Snapshot]:
        """A snapshot of the database. If the database is behind the `last` position that was read, but in the
        same incarnation, an older copy was restored unnoticed: a new incarnation begins."""
        with translated(), self._note_read():
            while True:
                async with self.snapshot_pool.snapshot() as execute:
                    position = await self._incarnations.position(execute)
                    went_back = (
                        position is not None
                        and last is not None
                        and position.incarnation == last.incarnation
                        and not last.is_before(position)
                    )
                    if position is not None and not went_back:
                        yield Snapshot(position, self._incarnations, execute, self._statements)
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
        """Count a call that holds or waits for a connection of the engine's pool."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def invalidate_positions(self) -> None:
        """Make every position invalid: all watches restart with a fresh snapshot."""
        async with self.snapshot() as snapshot:
            newest = snapshot.position.incarnation
        await self._begin_incarnation(newest)

    async def _begin_incarnation(self, lost_after: str | None = None) -> None:
        async with self._write_lock, self.write_pool.transaction() as session:
            await self._incarnations.begin(session.execute, lost_after)

    async def transact(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        is_visible: Callable[[T], bool] = _always,
        is_shielded: bool = True,
    ) -> T:
        """Commit `work` as one transaction, by prepared statements of the driver, and return its result; if
        it raises, everything is rolled back. A transaction that PostgreSQL rolled back for a deadlock is
        retried. `on_commit` is not called if the result says that nothing changed that anyone watches.

        If the caller is cancelled, a begun transaction still finishes and calls `on_commit`: interrupted
        during a commit, its outcome would be unknown, and SQLite would keep its lock. A task that is never
        cancelled needs no such shield."""
        leases: set[bytes] = set()
        committing = self._commit(lambda: self._with_transaction(work, leases), is_visible)
        return await (self._to_its_end(committing) if is_shielded else committing)

    async def transact_on_connection(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """As `transact`, by a connection of SQLAlchemy's."""
        return await self._to_its_end(self._commit(lambda: self._with_connection(work), _always))

    async def _to_its_end(self, committing: Coroutine[Any, Any, T]) -> T:
        writing = asyncio.create_task(committing)
        self.finish(writing)
        return await asyncio.shield(writing)

    def finish(self, writing: asyncio.Task[Any]) -> None:
        """Let this task run to its end before the database is closed."""
        self._writing.add(writing)
        writing.add_done_callback(self._finished)

    def _finished(self, writing: asyncio.Task[Any]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # retrieved here in case the caller was cancelled

    async def _commit(self, run: Callable[[], Awaitable[T]], is_visible: Callable[[T], bool]) -> T:
        result = await self._retried(run)
        if is_visible(result):
            self.on_commit()
        return result

    async def _retried(self, run: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, _WRITE_ATTEMPTS + 1):
            try:
                with translated():
                    result = await run()
            except Exception as error:
                cause = error.__cause__ or error
                self._last_write_failed = isinstance(error, DatabaseUnavailable)
                if isinstance(error, DatabaseReadOnly) and attempt == 1 and self._may_be_writable():
                    await self._renew()
                    continue
                if not is_retryable(cause) or attempt == _WRITE_ATTEMPTS:
                    raise
            else:
                self._last_write_failed = False
                return result
        raise AssertionError("the last attempt returns or raises")

    async def _with_transaction(self, work: Callable[[Transaction], Awaitable[T]], leases: set[bytes]) -> T:
        async with self._write_lock, self.write_pool.transaction(self._incarnations.begin) as session:
            return await work(Transaction(session, self._statements, self.is_sqlite, leases))

    async def _with_connection(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with self._note_call():
            async with self._write_lock, self._writer.connect() as connection:
                if "incarnation" not in connection.info:
                    async with connection.begin():
                        await self._incarnations.begin(_executing(connection))
                    connection.info["incarnation"] = True
                async with connection.begin():
                    return await work(connection)

    def _may_be_writable(self) -> bool:
        return not self.is_sqlite or sqlite_file.can_write(str(self.engine.url.database))

    async def _renew(self) -> None:
        """Reuse no connection: after a failover they lead to the former primary, or to a SQLite file that
        was read-only when it was opened."""
        for pool in self._pools:
            pool.renew()
        if self.is_sqlite:
            await self.engine.dispose()

    async def check(self) -> None:
        """Return if reads and writes work. Raises DatabaseUnavailable, or DatabaseReadOnly if only writes
        fail."""
        with translated():
            await self.read_pool.execute("SELECT 1")
        if not self._may_be_writable():
            raise DatabaseReadOnly("this user cannot write the SQLite file")
        if self._last_write_failed or not self.is_sqlite:
            await self._retried(lambda: self._with_connection(self._try_to_write))

    async def _try_to_write(self, connection: AsyncConnection) -> None:
        # Changes no row, but is refused where writes are.
        await connection.execute(text("UPDATE removal_horizon SET transaction_id = 0 WHERE false"))
        if self._last_write_failed:
            # Getting a transaction number writes to the WAL.
            await connection.execute(select(this_transaction()))

    async def close(self) -> None:
        """Close every connection after the last read and write. On PostgreSQL these have limited time: a dead
        connection would block the shutdown."""
        ending = asyncio.create_task(self._finish())
        try:
            await asyncio.wait({ending}, timeout=None if self.is_sqlite else _FINISH_TIMEOUT)
            for pool in self._pools:
                await pool.close()
            if not self.is_sqlite:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_DISPOSE_TIMEOUT):
                        await self.engine.dispose()
        finally:
            ending.cancel()
            if self._connector is not None:
                self._connector.close()  # also if this call is cancelled
        if not self.is_sqlite:
            await asyncio.gather(*self._writing, return_exceptions=True)
        await self.engine.dispose()

    async def _finish(self) -> None:
        """Wait for reads and writes, including reads whose caller was cancelled: they hold connections."""
        while self._writing:
            await asyncio.wait(self._writing)
        while self._reads:
            self._no_reads.clear()
            await self._no_reads.wait()


def _executing(connection: AsyncConnection) -> Execute:
    async def execute(text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        result = await connection.exec_driver_sql(text, arguments)
        return result.all() if result.returns_rows else []

    return execute
