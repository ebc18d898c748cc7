"""Servers of the previous version keep reading and writing during a migration."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    inspect,
    select,
    text,
)

from repo import migrate, open_repository
from repo.domain.errors import DatabaseUnavailable
from repo.migration import MIGRATIONS, head, upgrade
from repo.sql.database import Database
from tests.support.making import RUN, make_run

REVISIONS = sorted(each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
"""All revisions, oldest first."""
OWN = {"alembic_version", "action_changes", "runs"}
"""Tables that no server writes: a migration does, and triggers do."""
DROPPED = {
    "ix_actions_transaction",
    "ix_actions_paused",
    "ix_runs_created",
    "ix_runs_of_project_created",
    "ix_runs_time",
}
"""Indexes that a later migration dropped."""


class Older:
    """The statements of an older server, which name only the columns it knows."""

    def __init__(self, connection: Connection) -> None:
        self.metadata = MetaData()
        # It does not depend on indexes.
        self.metadata.reflect(connection, resolve_fks=False)
        # Those that others refer to first.
        self.tables = [
            table
            for table in self.metadata.sorted_tables
            if table.name not in OWN and not table.name.startswith("run_")
        ]

    def write_and_read(self, connection: Connection, number: int) -> None:
        """Inserts, reads, updates and deletes a row of each table."""
        written: list[tuple[Table, dict[str, Any]]] = []
        for table in self.tables:
            values = self.values(table, number)
            connection.execute(table.insert().values(values))
            written.append((table, values))
        for table, values in reversed(written):
            this = [column == values[column.name] for column in table.primary_key]
            row = connection.execute(select(table).where(*this)).one()
            assert {name: row._mapping[name] for name in values} == values
            free = {name: value for name, value in values.items() if name not in table.primary_key.columns}
            if free:
                assert connection.execute(table.update().where(*this).values(free)).rowcount == 1
            assert connection.execute(table.delete().where(*this)).rowcount == 1

    @staticmethod
    def values(table: Table, number: int) -> dict[str, Any]:
        """A value for each column that is not generated."""
        return {c.name: _value(c.name, c.type, number) for c in table.c if c.computed is None}


def _value(name: str, kind: Any, number: int) -> Any:
    if name == "parent_key":  # a root: triggers insert its row of `runs`
        return None
    if name in {"key", "action_key"}:
        return bytes([number]) * 32
    if isinstance(kind, LargeBinary):
        return bytes([number]) * 16
    if isinstance(kind, Boolean):
        return name != "in_store"  # an artifact in the store would have a trigger change its object
    if isinstance(kind, Integer | Numeric | Float):
        return number
    if isinstance(kind, DateTime):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if isinstance(kind, String):
        return str(number)  # JSON too: SQLite has documents as text, which triggers read
    return {"made": "up"}


def check_all(connection: Connection, revisions: list[str]) -> None:
    """Migrates an empty database step by step; at each step all older versions work."""
    known: list[Older] = []
    for number, revision in enumerate(revisions, start=100):
        upgrade(connection, revision)
        known.append(Older(connection))
        for older in known:
            older.write_and_read(connection, number)


async def run_sync(url: str, work: Any) -> None:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            if database.is_sqlite:
                await connection.execute(text("BEGIN IMMEDIATE"))
            await connection.run_sync(work)
    finally:
        await database.close()


# SQLAlchemy cannot read the index over an expression back from SQLite.
pytestmark = pytest.mark.filterwarnings("ignore:.*(expression-based index|Did not recognize type)")


async def test_every_version_works_on_the_schema_of_every_later_one(empty_database_url: str) -> None:
    await run_sync(empty_database_url, lambda connection: check_all(connection, REVISIONS))


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE actions ADD COLUMN made_up INTEGER NOT NULL DEFAULT 0; "
        "ALTER TABLE actions ALTER COLUMN made_up DROP DEFAULT",
        "ALTER TABLE actions DROP COLUMN state",
        "ALTER TABLE actions RENAME COLUMN state TO text",
        "DROP TABLE action_events",
        "ALTER TABLE action_events RENAME TO happenings",
    ],
)
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_an_incompatible_migration_is_detected(empty_database_url: str, change: str) -> None:
    def work(connection: Connection) -> None:
        upgrade(connection, head())
        older = Older(connection)
        older.write_and_read(connection, 101)
        for statement in change.split(";"):
            connection.execute(text(statement))
        older.write_and_read(connection, 102)

    with pytest.raises(Exception, match="not-null constraint|does not exist"):
        await run_sync(empty_database_url, work)


async def test_an_older_server_is_ready_on_the_schema_of_a_later_version(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository)
        async with repository.database.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9000'"))
        await repository.check()
        await migrate(database_url)
        async with repository.database.read() as connection:
            assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "9000"
        assert (await repository.get_run(RUN)).identifier == RUN


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_a_migration_waits_for_a_table_without_blocking_others(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another transaction has read a table and stays open, while writers keep writing to it."""
    await run_sync(empty_database_url, lambda connection: upgrade(connection, "0003"))
    monkeypatch.setattr(sys.modules["repo.migration"], "LOCK_TIMEOUT", 0.2)
    database = Database(empty_database_url)
    waits: list[float] = []
    try:
        # Writers queued behind the migration wait only for its lock timeout, not for the other transaction,
        # which stays open until they are done.
        async with asyncio.timeout(30), database.engine.connect() as busy:
            await busy.execute(text("LOCK TABLE actions IN ROW EXCLUSIVE MODE"))
            migrating = asyncio.create_task(migrate(empty_database_url))
            # One of them was queued behind the migration.
            while len(waits) < 15 or max(waits) < 0.05:
                begun = asyncio.get_running_loop().time()
                async with database.engine.begin() as writer:
                    await writer.execute(text("UPDATE actions SET phase = 1"))
                waits.append(asyncio.get_running_loop().time() - begun)
                await asyncio.sleep(0.1)
            assert not migrating.done()
            await busy.rollback()
        async with asyncio.timeout(30):
            await migrating
    finally:
        await database.close()
    async with open_repository(empty_database_url) as repository:
        await repository.check()


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_a_migration_that_gets_no_lock_says_what_to_do(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_sync(empty_database_url, lambda connection: upgrade(connection, "0003"))
    monkeypatch.setattr(sys.modules["repo.migration"], "LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr(sys.modules["repo.migration"], "RETRY_TIMEOUT", 0.5)
    database = Database(empty_database_url)
    try:
        async with database.engine.connect() as busy:
            await busy.execute(text("LOCK TABLE actions IN ROW EXCLUSIVE MODE"))
            with pytest.raises(DatabaseUnavailable, match="pg_stat_activity"):
                await migrate(empty_database_url)
    finally:
        await database.close()


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_a_migration_goes_on_after_a_deadlock(empty_database_url: str) -> None:
    database, lock = Database(empty_database_url), text("SELECT pg_advisory_xact_lock(:number)")
    try:
        async with asyncio.timeout(30), database.engine.connect() as connection:
            async with database.engine.connect() as other:
                # So the migration is the one that is rolled back.
                await other.execute(text("SET LOCAL deadlock_timeout = '1h'"))
                await other.execute(lock, {"number": 1})
                others: list[asyncio.Task[Any]] = []
                attempts = 0

                async def wait_for_the_migration() -> None:
                    await other.execute(lock, {"number": 2})
                    await other.commit()

                def work(sync: Connection) -> int:
                    nonlocal attempts
                    attempts += 1
                    sync.execute(lock, {"number": 2})
                    if not others:
                        others.append(asyncio.create_task(wait_for_the_migration()))
                    sync.execute(lock, {"number": 1})
                    return attempts

                transact = sys.modules["repo.migration"]._transact
                assert await transact(database, connection, work) == 2
                await others[0]
    finally:
        await database.close()


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_no_later_migration_builds_an_index_on_a_table_that_is_in_use(empty_database_url: str) -> None:
    """That would block writers; from 0005 on, indexes are built CONCURRENTLY or not at all."""

    def work(connection: Connection) -> None:
        upgrade(connection, "0004")
        before = indexes(connection)
        upgrade(connection, head())
        after = indexes(connection)
        assert {name: after[name] for name in before} == {name: before[name] - DROPPED for name in before}

    await run_sync(empty_database_url, work)


def indexes(connection: Connection) -> dict[str, set[str | None]]:
    found = inspect(connection)
    return {name: {each["name"] for each in found.get_indexes(name)} for name in found.get_table_names()}
