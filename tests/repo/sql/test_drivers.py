"""The short way of a read: its connections, and what becomes of them when callers leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from repo import ActionPhase, ActionRepo
from repo.sql.database import Database
from repo.sql.drivers import Postgres
from repo.sql.postgres import CONNECTION_LOST, Connector
from tests.support.making import action, make_run

SECONDS = 20
ONLY_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


@asynccontextmanager
async def driver(url: str, size: int, patience: float = SECONDS) -> AsyncIterator[Postgres]:
    """Connections for reads to a database of PostgreSQL."""
    made = Postgres(size, patience, Connector(url, {}))
    try:
        async with asyncio.timeout(SECONDS):
            yield made
    finally:
        await made.close()


@ONLY_POSTGRESQL
async def test_more_reads_than_connections_wait_for_their_turn(database_url: str) -> None:
    async with driver(database_url, 2) as reading:
        found = await asyncio.gather(*(reading.run("SELECT $1::int", (number,)) for number in range(50)))
        assert [row[0] for (row,) in found] == list(range(50))
        ((connections,),) = await reading.run(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> 0"
            " AND backend_type = 'client backend'"
        )
        assert connections <= 2
        assert reading.in_use == 0


@ONLY_POSTGRESQL
async def test_who_waits_too_long_for_a_connection_is_told(database_url: str) -> None:
    async with driver(database_url, 1, patience=0.2) as reading:
        async with reading.moment():
            with pytest.raises(TimeoutError):
                await reading.run("SELECT 1")
        assert await reading.run("SELECT 1")


@ONLY_POSTGRESQL
async def test_a_read_that_is_cancelled_at_any_moment_leaves_its_connection_in_order(
    database_url: str,
) -> None:
    async with driver(database_url, 3) as reading:
        for turn in range(40):
            reads = [asyncio.create_task(reading.run("SELECT pg_sleep(0.05)")) for _ in range(6)]
            for _ in range(turn):
                await asyncio.sleep(0)
            await asyncio.sleep(turn % 4 * 0.01)
            for read in reads[::2]:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
        found = await asyncio.gather(*(reading.run("SELECT $1::int", (number,)) for number in range(9)))
        assert [row[0] for (row,) in found] == list(range(9))
        assert reading.in_use == 0


@ONLY_POSTGRESQL
async def test_a_connection_that_was_lost_meanwhile_is_replaced(database_url: str) -> None:
    async with driver(database_url, 3) as reading, driver(database_url, 1) as other:
        await asyncio.gather(*(reading.run("SELECT pg_sleep(0.05)") for _ in range(3)))
        terminate = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await other.run(terminate)
        assert await reading.run("SELECT 1")
        await other.run(terminate)
        async with reading.moment() as run:
            assert await run("SELECT 1")

        async def lose_it_meanwhile() -> None:
            async with reading.moment() as run:
                await other.run(terminate)
                await asyncio.sleep(0.1)
                await run("SELECT 1")

        with pytest.raises(CONNECTION_LOST):
            await lose_it_meanwhile()
        assert await reading.run("SELECT 1")
        assert reading.in_use == 0


async def test_a_moment_does_not_see_what_is_written_meanwhile(
    database_url: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    database, phase = Database(database_url), "SELECT phase FROM actions"
    try:
        async with database.snapshot() as moment:
            before = await moment._run(phase)
            await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
            assert [tuple(row) for row in await moment._run(phase)] == [tuple(row) for row in before]
        async with database.snapshot() as moment:
            assert [tuple(row) for row in await moment._run(phase)] == [(ActionPhase.RUNNING,)]
    finally:
        await database.close()


async def test_a_moment_whose_reader_is_cancelled_hinders_no_later_one(database_url: str) -> None:
    database = Database(database_url)

    async def look() -> None:
        async with database.snapshot() as moment:
            await moment._run("SELECT 1")

    try:
        async with asyncio.timeout(SECONDS):
            for turn in range(60):
                looking = asyncio.create_task(look())
                for _ in range(turn // 2):
                    await asyncio.sleep(0 if turn % 2 else 0.0002)
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            await look()
        assert database.connections_in_use == 0
    finally:
        await database.close()
