"""Read pools and snapshots: waiting, cancelled callers, and lost connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Float, literal_column, select

from repo import ActionPhase, ActionRepo
from repo.sql.database import Database, Snapshot
from repo.sql.postgres import CONNECTION_LOST, Connector
from repo.sql.postgres_pool import PostgresPool
from repo.tables import actions
from tests.support.making import action, make_run

SECONDS = 40
ONLY_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


@asynccontextmanager
async def pool(url: str, size: int, wait_timeout: float = SECONDS) -> AsyncIterator[PostgresPool]:
    """Read connections to a PostgreSQL database."""
    made = PostgresPool(size, wait_timeout, Connector(url, {}))
    try:
        async with asyncio.timeout(SECONDS):
            yield made
    finally:
        await made.close()


@ONLY_POSTGRESQL
async def test_more_reads_than_connections_wait_for_their_turn(database_url: str) -> None:
    async with pool(database_url, 2) as reading:
        found = await asyncio.gather(*(reading.execute("SELECT $1::int", (number,)) for number in range(50)))
        assert [row[0] for (row,) in found] == list(range(50))
        ((connections,),) = await reading.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> 0"
            " AND backend_type = 'client backend'"
        )
        assert connections <= 2
        assert reading.in_use == 0


@ONLY_POSTGRESQL
async def test_waiting_too_long_for_a_connection_raises_timeout_error(database_url: str) -> None:
    async with pool(database_url, 1, wait_timeout=0.2) as reading:
        async with reading.snapshot():
            with pytest.raises(TimeoutError):
                await reading.execute("SELECT 1")
        assert await reading.execute("SELECT 1")


@ONLY_POSTGRESQL
async def test_a_read_that_is_cancelled_at_any_time_leaves_its_connection_usable(
    database_url: str,
) -> None:
    async with pool(database_url, 3) as reading:
        for turn in range(40):
            reads = [asyncio.create_task(reading.execute("SELECT pg_sleep(0.05)")) for _ in range(6)]
            for _ in range(turn):
                await asyncio.sleep(0)
            await asyncio.sleep(turn % 4 * 0.01)
            for read in reads[::2]:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
        found = await asyncio.gather(*(reading.execute("SELECT $1::int", (number,)) for number in range(9)))
        assert [row[0] for (row,) in found] == list(range(9))
        assert reading.in_use == 0


@ONLY_POSTGRESQL
async def test_a_connection_that_was_lost_while_idle_is_replaced(database_url: str) -> None:
    async with pool(database_url, 3) as reading, pool(database_url, 1) as other:
        await asyncio.gather(*(reading.execute("SELECT pg_sleep(0.05)") for _ in range(3)))
        terminate = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await other.execute(terminate)
        assert await reading.execute("SELECT 1")
        await other.execute(terminate)
        async with reading.snapshot() as execute:
            assert await execute("SELECT 1")

        async def lose_it_meanwhile() -> None:
            async with reading.snapshot() as execute:
                await other.execute(terminate)
                await asyncio.sleep(0.1)
                await execute("SELECT 1")

        with pytest.raises(CONNECTION_LOST):
            await lose_it_meanwhile()
        assert await reading.execute("SELECT 1")
        assert reading.in_use == 0


async def phases(snapshot: Snapshot) -> list[ActionPhase]:
    """The phases of all actions."""
    found = await snapshot.fetch("phases", lambda: select(actions.c.phase), {})
    return [phase for (phase,) in found.decoded()]


async def test_a_snapshot_does_not_see_later_writes(database_url: str, repository: ActionRepo) -> None:
    await make_run(repository)
    database = Database(database_url)
    try:
        async with database.snapshot() as snapshot:
            assert await phases(snapshot) == [ActionPhase.QUEUED]
            await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
            assert await phases(snapshot) == [ActionPhase.QUEUED]
        async with database.snapshot() as snapshot:
            assert await phases(snapshot) == [ActionPhase.RUNNING]
    finally:
        await database.close()


async def test_a_cancelled_snapshot_does_not_block_later_ones(database_url: str) -> None:
    database = Database(database_url)

    async def polled() -> None:
        async with database.snapshot() as snapshot:
            await phases(snapshot)

    try:
        async with asyncio.timeout(SECONDS):
            for turn in range(60):
                reading = asyncio.create_task(polled())
                for _ in range(turn // 2):
                    await asyncio.sleep(0 if turn % 2 else 0.0002)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            await polled()
        assert database.connections_in_use == 0
    finally:
        await database.close()


async def test_numbers_with_fractions_are_returned_as_they_are(database_url: str) -> None:
    database = Database(database_url)
    try:
        found = await database.fetch("fraction", lambda: select(literal_column("1.5e0", Float)), {})
        assert found.decoded() == [[1.5]]
    finally:
        await database.close()
