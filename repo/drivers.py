"""Owns the short way of a read: SQLAlchemy writes the statement once, and the driver itself runs it.

A page of 50 runs costs a third of what it costs through SQLAlchemy's connections. PostgreSQL runs a prepared
statement on a connection of a pool of its own; SQLite runs the whole read in one thread, instead of a thread
for every step of it.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Dialect, Select
from sqlalchemy.sql.compiler import SQLCompiler

_THREADS = 4
"""Reads of SQLite at a time."""
_CLOSE_WITHIN = 5.0
"""Seconds that connections have to say goodbye."""

AWAY = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError)
"""What the driver of PostgreSQL raises where it is not the statement's fault."""

Decode = Callable[[Any], Any]


class Prepared:
    """A statement as its text, with what makes arguments of values, and values of what comes back."""

    def __init__(
        self,
        statement: Select[Any],
        values: Mapping[str, Any],
        dialect: Dialect,
        decode: Sequence[Decode | None],
    ) -> None:
        """`decode` has one function a column, or None where the driver gives the right thing."""
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
        self._decode = [(index, each) for index, each in enumerate(decode) if each is not None]

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in their order: these values, and those that the statement was made with."""
        encode, given = self._encode, self._given
        found = []
        for name in self._names:
            value = values[name] if name in values else given[name]
            found.append(encode[name](value) if name in encode else value)
        return tuple(found)

    def rows(self, found: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The rows as SQLAlchemy would give them."""
        decode, rows = self._decode, []
        for each in found:
            row = list(each)
            for index, convert in decode:
                if (value := row[index]) is not None:
                    row[index] = convert(value)
            rows.append(row)
        return rows


class Driver(Protocol):
    """What runs a statement."""

    async def run(self, text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        """The rows of a statement, which sees what was committed when it begins."""

    @property
    def in_use(self) -> int:
        """How many connections are at work."""

    async def close(self) -> None:
        """Close every connection."""


class Postgres:
    """A pool of asyncpg, without what a pool does for those who change their session."""

    def __init__(self, size: int, patience: float, options: dict[str, Any]) -> None:
        """`patience` is how many seconds a read waits for a connection; `options` are asyncpg's."""
        self._size = size
        self._patience = patience
        self._options = options
        self._opening: asyncio.Task[asyncpg.Pool] | None = None
        self._pool: asyncpg.Pool | None = None

    @property
    def in_use(self) -> int:
        return 0 if self._pool is None else self._pool.get_size() - self._pool.get_idle_size()

    async def run(self, text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        pool = self._pool or await self._open()
        try:
            return await self._fetch(pool, text, arguments)
        except AWAY:
            # A connection may have been lost while nobody used it; another one is new.
            return await self._fetch(pool, text, arguments)

    async def _fetch(self, pool: asyncpg.Pool, text: str, arguments: tuple[Any, ...]) -> Sequence[Any]:
        async with pool.acquire(timeout=self._patience) as connection:
            found: Sequence[Any] = await connection.fetch(text, *arguments)
        return found

    async def _open(self) -> asyncpg.Pool:
        if self._opening is None:
            self._opening = asyncio.create_task(self._make())
        self._pool = await asyncio.shield(self._opening)
        return self._pool

    async def _make(self) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            min_size=0, max_size=self._size, init=_read_json, reset=_nothing, **self._options
        )

    async def close(self) -> None:
        if self._opening is None:
            return
        pool = await self._opening
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _read_json(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=json.loads)


async def _nothing(connection: asyncpg.Connection) -> None:
    """A read leaves nothing behind in its session."""


class Sqlite:
    """Threads with a connection each."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self._path = path
        self._options = options
        self._threads = ThreadPoolExecutor(_THREADS, "rungraph-read")
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self.in_use = 0

    async def run(self, text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        self.in_use += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, text, arguments)
        finally:
            self.in_use -= 1

    def _run(self, text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, check_same_thread=False, **self._options)
            connection.isolation_level = None
            connection.execute("PRAGMA query_only=ON")
            self._own.connection = connection
            self._connections.append(connection)
        rows: list[Sequence[Any]] = connection.execute(text, arguments).fetchall()
        return rows

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
