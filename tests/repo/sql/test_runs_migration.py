"""The table `runs` is filled while servers of the previous version write; then triggers maintain it."""

import asyncio
import random
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from repo import (
    ActionError,
    ActionPhase,
    ActionRepo,
    ErrorKind,
    Label,
    RunFilter,
    RunIdentifier,
    migrate,
    open_repository,
)
from repo.migration import upgrade
from repo.sql.database import Database
from repo.tables import actions
from tests.support.making import event, new, update
from tests.support.runs_table import read_runs
from tests.support.waiting import until

BEFORE = "0009"
RUNS = [RunIdentifier("p", "d", f"Straße-{number}") for number in range(30)]


async def to_previous(url: str) -> None:
    """Migrates to the schema before the table, with the columns of actions that this version writes."""
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(lambda sync: upgrade(sync, BEFORE))
            known = await connection.run_sync(lambda sync: inspect(sync).get_columns("actions"))
            for name in set(actions.c.keys()) - {column["name"] for column in known}:
                kind = actions.c[name].type.compile(database.engine.dialect)
                await connection.execute(text(f"ALTER TABLE actions ADD COLUMN {name} {kind}"))
    finally:
        await database.close()


async def make(repository: ActionRepo, run: RunIdentifier) -> None:
    """A run with a paused action, an error and a label."""
    label = Label("team", run.name)
    await repository.actions.create([new(run=run, labels=(label,)), new("a", "a0", run), new("b", "a0", run)])
    await repository.actions.update_phases([update("a", ActionPhase.PAUSED, run=run)])
    await repository.insert_events(
        [
            event(
                run=run, phase=ActionPhase.FAILED, error=ActionError(ErrorKind.USER, "why", f"Code{run.name}")
            )
        ]
    )
    await repository.actions.update_phases([update("a0", ActionPhase.FAILED, run=run)])


async def check(repository: ActionRepo) -> None:
    """The table is what a scan of all actions says, and all runs are found by the index of terms."""
    async with repository.database.read() as connection:
        stored, expected = await read_runs(connection)
    assert stored == expected
    assert await repository.runs.count(RunFilter(search="SSE-")) == len(expected)
    coded = [row for row in expected if row[-3] is not None]
    assert await repository.runs.count(RunFilter(search="Code")) == len(coded) > 0
    assert await repository.runs.count(RunFilter(search="p/d/Straße")) == len(expected)
    for row in expected:
        assert await repository.runs.count(RunFilter(search=f"{row[4]}".casefold())) >= 1


@pytest.fixture
async def before(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ActionRepo]:
    """A database of the previous version with 20 runs, which will be migrated in small parts."""
    migration = import_module("repo.migration")
    monkeypatch.setattr(migration, "_preparations", in_small_parts(migration))
    await to_previous(empty_database_url)
    async with open_repository(empty_database_url) as repository:
        for run in RUNS[:20]:
            await make(repository, run)
        yield repository


@pytest.mark.slow
async def test_runs_are_copied_while_others_write(empty_database_url: str, before: ActionRepo) -> None:
    async with asyncio.timeout(120):
        migrated = asyncio.Event()

        async def write(seed: int) -> None:
            chance = random.Random(seed)
            attempt, more = 1, RUNS[20 + 5 * seed : 25 + 5 * seed]
            while not migrated.is_set() or more:
                attempt += 1
                phase = chance.choice([ActionPhase.PAUSED, ActionPhase.RUNNING, ActionPhase.FAILED])
                of = [update(name, phase, attempt, chance.choice(RUNS[:20])) for name in ("a0", "a", "b")]
                await before.actions.update_phases(of)
                if more:
                    await make(before, more.pop())

        writing = [asyncio.create_task(write(seed)) for seed in range(2)]
        await migrate(empty_database_url)
        migrated.set()
        await asyncio.gather(*writing)
        await check(before)


async def test_servers_that_start_together_migrate_once(empty_database_url: str, before: ActionRepo) -> None:
    """One of them is done while others have parts left."""
    async with asyncio.timeout(120):
        await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))
        await check(before)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_copying_runs_and_a_batch_do_not_deadlock(empty_database_url: str) -> None:
    """The batch changes two runs in the order of all writers, while both are being copied."""
    await to_previous(empty_database_url)
    first, second = sorted(RUNS[:2], key=lambda run: run.key)
    migration, database = import_module("repo.migrations.versions.0011_runs"), Database(empty_database_url)
    change = text("UPDATE actions SET updated_at = now() WHERE run_key = :key")
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    try:
        async with open_repository(empty_database_url) as repository:
            for run in (second, first):  # a scan finds them in this order
                await make(repository, run)
            async with database.engine.begin() as connection:
                await connection.run_sync(migration.create)

            async def copy() -> None:
                async with database.engine.begin() as connection:
                    await connection.run_sync(lambda sync: migration.fill(sync, "true"))

            async with asyncio.timeout(30), database.engine.connect() as batch:

                async def is_waiting() -> bool:
                    return bool(await batch.scalar(waits))

                await batch.execute(change, {"key": first.key})
                copying = asyncio.create_task(copy())
                await until(is_waiting)
                await batch.execute(change, {"key": second.key})
                await batch.commit()
                await copying
            await migrate(empty_database_url)
            await check(repository)
    finally:
        await database.close()


async def test_a_migration_at_once_copies_all_runs(empty_database_url: str) -> None:
    await to_previous(empty_database_url)
    async with open_repository(empty_database_url) as repository:
        for run in RUNS[:3]:
            await make(repository, run)

        def work(connection: Connection) -> None:
            upgrade(connection)

        async with repository.database.engine.begin() as connection:
            await connection.run_sync(work)
        await check(repository)


async def test_removed_runs_leave_the_table_and_the_index(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        for run in RUNS[:3]:
            await make(repository, run)
        async with repository.database.engine.begin() as connection:
            await connection.execute(
                text("DELETE FROM actions WHERE run_name = :name"), {"name": RUNS[1].name}
            )
        await check(repository)
        found = await repository.runs.page(RunFilter(search="straße"))
        assert {run.name for run in found.items} == {RUNS[0].name, RUNS[2].name}
        async with repository.database.read() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM runs")) == 2


def in_small_parts(migration: Any) -> Any:
    """The preparations, with parts of two runs."""
    original = migration._preparations

    def prepared(connection: Connection) -> Any:
        found = original(connection)
        for _, prepare in found:
            if "PART" in prepare.__globals__:
                prepare.__globals__["PART"] = 2
        return found

    return prepared
