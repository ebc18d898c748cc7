"""Fresh databases for tests, on SQLite and PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from repo import migrate

T = TypeVar("T")
_SECONDS = 60


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, run on a separate event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asyncio.wait_for(work, _SECONDS)).result()


class Databases(Protocol):
    """Creates databases."""

    def create(self) -> str:
        """Creates an empty database; returns its URL."""

    def copy(self, url: str) -> str:
        """Copies a database without connections; returns the URL of the copy."""

    def drop(self, url: str) -> None:
        """Drops a database, even with open connections."""


class SqliteDatabases:
    """Databases as files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> str:
        return f"sqlite:///{self._folder / uuid4().hex}.db"

    def copy(self, url: str) -> str:
        fresh = self.create()
        shutil.copyfile(_file(url), _file(fresh))
        return fresh

    def drop(self, url: str) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{_file(url)}{ending}").unlink(missing_ok=True)


def _file(url: str) -> str:
    return url.removeprefix("sqlite:///")


class PostgresDatabases:
    """Databases of one server, named `rungraph_test_…`."""

    def __init__(self, server_url: str) -> None:
        """`server_url` has a database of the server and a user who may create others."""
        self._server = make_url(server_url).set(drivername="postgresql")
        self._kept: asyncpg.Connection | None = None
        self._wait_for: Callable[[Coroutine[Any, Any, Any]], Any] = wait_for
        # From version 15 on, copying files must be requested explicitly; it takes half as long as through the
        # log.
        self._copying = "STRATEGY file_copy" if wait_for(self._version()) >= 15 else ""

    @contextmanager
    def staying_connected(self) -> Iterator[None]:
        """Keeps one connection in the meantime: a new one for each statement costs as much as a copy."""
        loop = asyncio.new_event_loop()
        with closing(loop), ThreadPoolExecutor(1) as thread:
            self._wait_for = lambda work: thread.submit(
                loop.run_until_complete, asyncio.wait_for(work, _SECONDS)
            ).result()
            self._kept = self._wait_for(self._connect())
            try:
                yield
            finally:
                self._wait_for(self._kept.close())
                self._kept, self._wait_for = None, wait_for

    def create(self) -> str:
        return self._create("")

    def copy(self, url: str) -> str:
        return self._create(f"TEMPLATE {make_url(url).database} {self._copying}")

    def drop(self, url: str) -> None:
        self._wait_for(self._execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)"))

    def _create(self, how: str) -> str:
        name = f"rungraph_test_{uuid4().hex}"
        self._wait_for(self._execute(f"CREATE DATABASE {name} {how}"))
        return self._server.set(database=name).render_as_string(hide_password=False)

    async def _execute(self, statement: str) -> None:
        if self._kept is not None:
            await self._kept.execute(statement)
            return
        async with self._connection() as connection:
            await connection.execute(statement)

    async def _version(self) -> int:
        async with self._connection() as connection:
            return int(connection.get_server_version().major)

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._server.render_as_string(hide_password=False))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await self._connect()
        try:
            yield connection
        finally:
            await connection.close()


def create_migrated(databases: Databases) -> str:
    """Creates a database with the newest schema, for `copy`; returns its URL."""
    url = databases.create()
    wait_for(migrate(url))
    return url
