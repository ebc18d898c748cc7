"""Servers migrate at startup while others write; those writes are not mistaken for rows of another server."""

import asyncio

from sqlalchemy import text

from repo import ActionPhase, RunIdentifier, migrate, open_repository
from tests.support.making import event, make_run, update

SECONDS = 60
STARTS = 15
WRITERS = 6


async def test_a_starting_server_does_not_renumber_concurrent_writes(database_url: str) -> None:
    async with asyncio.timeout(SECONDS), open_repository(database_url) as repository:
        runs = [RunIdentifier("p", "d", f"r{number}") for number in range(WRITERS)]
        for run in runs:
            await make_run(repository, run)
        started = asyncio.Event()

        async def write(run: RunIdentifier) -> None:
            attempt = 1
            while not started.is_set():
                attempt += 1
                await repository.actions.update_phases([update("a0", ActionPhase.FAILED, attempt, run)])
                await repository.insert_events([event(attempt=attempt, run=run)])

        writing = [asyncio.create_task(write(run)) for run in runs]
        for _ in range(STARTS):
            await migrate(database_url)
        started.set()
        await asyncio.gather(*writing)
        for table in ("actions", "action_events"):
            async with repository.database.read() as connection:
                renumbered = text(f"SELECT count(*) FROM {table} WHERE transaction_id = 0")
                assert await connection.scalar(renumbered) == 0, table
