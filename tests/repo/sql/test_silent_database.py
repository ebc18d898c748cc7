"""A database whose host dies silently: unresponsive connections are dropped and replaced."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import asyncpg
import httpx2
import pytest
from sqlalchemy import make_url, text

from graph.app import create_app
from graph.settings import Settings
from repo import ActionPhase, ActionRepo, DatabaseUnavailable, DeadlineExceeded, open_repository
from repo.sql import postgres
from repo.sql.database import Database
from tests.support.client import GraphQLClient
from tests.support.making import action, make_run
from tests.support.proxy import Proxy, proxied
from tests.support.waiting import until

SECONDS = 60
LIMIT = 1.0
ONLY_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
CREATE = """mutation {
  createAction(input: {id: {project: "p", domain: "d", runName: "r", name: "a0"}}) { created }
}"""


@pytest.fixture(autouse=True)
def answers_are_soon_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ANSWER_TIMEOUT", 1.0)


@asynccontextmanager
async def through(url: str, limit: float = LIMIT, size: int = 3) -> AsyncIterator[tuple[ActionRepo, Proxy]]:
    """A repository whose database is behind a proxy, with a statement timeout of `limit` seconds."""
    async with (
        asyncio.timeout(SECONDS),
        proxied(url) as proxy,
        open_repository(proxy.url(url), size, statement_timeout=limit) as repository,
    ):
        yield repository, proxy


async def at_last(call: Callable[[], Awaitable[object]]) -> None:
    """Returns once the call works; until then it may only raise DatabaseUnavailable."""
    while True:
        with suppress(DatabaseUnavailable, DeadlineExceeded):
            await call()
            return


async def every_kind_of_call(repository: ActionRepo, number: int) -> None:
    """Every connection pool has to recover."""
    await at_last(lambda: repository.update_action_phase(action(), ActionPhase.RUNNING, number))
    await at_last(lambda: repository.runs.page())
    await at_last(lambda: repository.runs.count())
    await at_last(repository.check)


@ONLY_POSTGRESQL
async def test_connections_that_died_while_idle_are_replaced(database_url: str) -> None:
    """No caller notices, however many there are."""
    async with through(database_url, limit=0) as (repository, proxy):
        await make_run(repository)

        async def many() -> None:
            await asyncio.gather(
                *(repository.runs.page() for _ in range(6)), *(repository.runs.count() for _ in range(6))
            )

        await many()
        await asyncio.sleep(postgres.PING_AFTER + 0.1)
        proxy.strand()
        await many()
        await repository.update_action_phase(action(), ActionPhase.RUNNING, 2)
        await repository.check()


@ONLY_POSTGRESQL
async def test_running_statements_end_and_their_connections_are_dropped(database_url: str) -> None:
    async with (
        through(database_url) as (repository, proxy),
        aclosing(repository.watch_action_updates(action())),
    ):
        await make_run(repository)
        database = repository.database

        async def write_slowly() -> None:
            await database.transact_on_connection(
                lambda connection: connection.execute(text("SELECT pg_sleep(0.5)"))
            )

        async def read_slowly() -> None:
            async with database.read() as connection:
                await connection.execute(text("SELECT pg_sleep(0.5)"))

        async def run_slowly() -> None:
            await database.read_pool.execute("SELECT pg_sleep(0.5)")

        kinds = (write_slowly, write_slowly, read_slowly, run_slowly, run_slowly, run_slowly)
        calls = [asyncio.create_task(call()) for call in kinds]
        await asyncio.sleep(0.2)
        proxy.strand()
        for ended in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(ended, OSError | DatabaseUnavailable), ended
        assert database.connections_in_use == 0
        await every_kind_of_call(repository, 2)


@ONLY_POSTGRESQL
async def test_a_cancelled_read_on_a_dead_connection_releases_its_slot(database_url: str) -> None:
    async with through(database_url, limit=0) as (repository, proxy):
        pool = repository.database.read_pool
        reads = [asyncio.create_task(pool.execute("SELECT pg_sleep(60)")) for _ in range(3)]
        await asyncio.sleep(0.3)
        proxy.strand()
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        assert [tuple(row) for row in await pool.execute("SELECT 1")] == [(1,)]


@ONLY_POSTGRESQL
async def test_subscribers_get_changes_over_new_connections(
    database_url: str, bus_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repo.watch.hub.POLL_TIMEOUT", 2.0)
    monkeypatch.setattr("repo.watch.bus.HEARTBEAT", 0.5)
    async with (
        asyncio.timeout(SECONDS),
        proxied(database_url) as proxy,
        proxied(bus_url) as bus,
        open_repository(proxy.url(database_url), 3, bus.url(bus_url), statement_timeout=LIMIT) as repository,
        aclosing(repository.watch_action_updates(action())) as updates,
    ):
        await make_run(repository)
        assert (await anext(updates)).phase is ActionPhase.QUEUED
        proxy.strand()
        bus.strand()
        await at_last(lambda: repository.update_action_phase(action(), ActionPhase.RUNNING, 1))
        assert (await anext(updates)).phase is ActionPhase.RUNNING
        while not repository.watches.metrics().bus_connected:  # noqa: ASYNC110 - it connects in its own time
            await asyncio.sleep(0.01)


@ONLY_POSTGRESQL
async def test_a_server_is_not_ready_while_the_database_is_unresponsive(database_url: str) -> None:
    async with asyncio.timeout(SECONDS), proxied(database_url) as proxy:
        app = create_app(Settings(database_url=proxy.url(database_url), operation_timeout=LIMIT))
        async with (
            app.router.lifespan_context(app),
            GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
        ):
            while (await client.get("/readyz")).status_code != 200:
                pass
            proxy.stall()
            while (await client.get("/readyz")).status_code != 503:
                pass
            (error,) = (await client.execute(CREATE))["errors"]
            assert error["extensions"]["code"] in ("SERVICE_UNAVAILABLE", "TIMEOUT")
            proxy.flow()
            while (await client.get("/readyz")).status_code != 200:
                pass
            assert "errors" not in await client.execute(CREATE)


@ONLY_POSTGRESQL
async def test_closing_does_not_wait_for_an_unresponsive_database(database_url: str) -> None:
    """Even with a write that would never end."""
    async with asyncio.timeout(SECONDS), proxied(database_url) as proxy:
        database = Database(proxy.url(database_url))
        sleep = text("SELECT pg_sleep(0.2)")
        await asyncio.gather(*(database.transact_on_connection(lambda c: c.execute(sleep)) for _ in range(5)))
        await asyncio.gather(*(database.read_pool.execute("SELECT pg_sleep(0.2)") for _ in range(5)))
        writing = asyncio.create_task(
            database.transact_on_connection(lambda connection: connection.execute(sleep))
        )
        reading = asyncio.create_task(database.read_pool.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.1)
        proxy.stall()
        began = time.monotonic()
        await database.close()
        took = time.monotonic() - began
        for ended in await asyncio.gather(writing, reading, return_exceptions=True):
            assert isinstance(ended, DatabaseUnavailable | OSError | asyncpg.PostgresConnectionError), ended
    assert took < 9, "a stop takes 9 s at the most, however many connections there are"


@ONLY_POSTGRESQL
async def test_a_cancelled_close_terminates_every_connection(database_url: str) -> None:
    database = Database(database_url)

    async def read() -> None:
        async with database.read() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    reading = asyncio.create_task(read())
    await until(lambda: database.connections_in_use == 1)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0.1)  # it waits for the read
    closing.cancel()
    async with asyncio.timeout(SECONDS / 2):
        (ended,) = await asyncio.gather(reading, return_exceptions=True)
    assert isinstance(ended, DatabaseUnavailable | OSError), ended
    assert closing.cancelled()


def keepalive_timers(port: int) -> dict[str, bool]:
    """For each connection of this process to a local port, whether TCP keepalive is on."""
    own = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            own.add(os.readlink(f"/proc/self/fd/{name}"))
    found = {}
    with open("/proc/self/net/tcp") as table:
        for line in table.read().splitlines()[1:]:
            _, _, there, state, _, timer, _, _, _, inode, *_ = line.split()
            if state == "01" and int(there.rpartition(":")[2], 16) == port and f"socket:[{inode}]" in own:
                found[inode] = timer.startswith("02:")
    return found


def opened_since(earlier: set[str], port: int) -> list[bool]:
    return [is_on for inode, is_on in keepalive_timers(port).items() if inode not in earlier]


@ONLY_POSTGRESQL
async def test_every_connection_uses_tcp_keepalive(database_url: str, bus_url: str) -> None:
    """Used and idle ones, of the database and the bus."""
    ports = {make_url(url).port or 0 for url in (database_url, bus_url)}
    of_the_tests = {inode for port in ports for inode in keepalive_timers(port)}
    async with asyncio.timeout(SECONDS), open_repository(database_url, 3, bus_url) as repository:
        await make_run(repository)
        await asyncio.gather(*(repository.runs.page() for _ in range(5)))
        await asyncio.gather(*(repository.runs.count() for _ in range(5)))
        async with aclosing(repository.watch_action_updates(action())) as updates:
            await anext(updates)
            while not repository.watches.metrics().bus_connected:  # noqa: ASYNC110 - in its own time
                await asyncio.sleep(0.01)
            for port in ports:
                # While data is unacknowledged, TCP uses another timer.
                while not all(timers := opened_since(of_the_tests, port)):  # noqa: ASYNC110 - in its own time
                    await asyncio.sleep(0.01)
                assert timers
