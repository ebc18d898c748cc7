"""Migrations to the newest schema."""

import asyncio
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, select, text
from sqlalchemy.exc import MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncConnection

from repo import migrate, open_repository
from repo.migration import MIGRATIONS, SchemaOutdated, head
from repo.sql.database import Database
from repo.tables import actions, metadata
from tests.support.making import RUN, action, make_run

BEFORE = {column.name for column in actions.c} - {"dependencies", "duration_ms"}
"""Writes of the previous version."""


# SQLAlchemy cannot read the index over an expression back from SQLite.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
async def test_a_migrated_database_matches_the_tables_of_the_code(database_url: str) -> None:
    database = Database(database_url)
    try:
        async with database.read() as connection:

            def differences(sync: Connection) -> list[object]:
                context = MigrationContext.configure(sync, opts={"compare_type": True})
                return list(compare_metadata(context, metadata))

            found = await connection.run_sync(differences)
    finally:
        await database.close()
    # PostgreSQL has transaction ids of its own and needs no table. The index of terms is not in the code.
    apart = ("transaction_counter", "run_terms", "run_positions")
    found = [x for x in found if not any(name in str(x) for name in apart)]
    assert found == []


def test_the_newest_schema_is_that_of_the_last_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == head()


async def test_a_database_with_two_revisions_is_refused(database_url: str) -> None:
    database = Database(database_url)
    try:
        async with database.engine.begin() as connection:
            await connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    finally:
        await database.close()
    with pytest.raises(MultipleResultsFound):
        await migrate(database_url)


async def test_migrating_again_keeps_the_data(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository)
    await migrate(database_url)
    async with open_repository(database_url) as repository:
        assert (await repository.get_run(RUN)).identifier == RUN


@pytest.mark.slow
async def test_four_processes_may_migrate_at_once(empty_database_url: str) -> None:
    code = "import asyncio, sys, repo; asyncio.run(repo.migrate(sys.argv[1]))"
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, empty_database_url, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    async with asyncio.timeout(60):
        errors = [(await process.communicate())[1].decode() for process in started]
    assert [process.returncode for process in started] == [0] * 4, errors
    async with open_repository(empty_database_url) as repository:
        await repository.check()


async def test_a_server_of_the_previous_version_can_still_write(database_url: str) -> None:
    """It omits dependencies, which it does not know."""
    older = Table("actions", MetaData(), *(Column(c.name, c.type) for c in actions.c if c.name in BEFORE))
    async with open_repository(database_url) as repository:
        await make_run(repository, b="a0")
        database = repository.database
        async with database.read() as connection:
            (row,) = (await connection.execute(select(older).where(older.c.name == "b"))).mappings()

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(older.insert(), {**row, "key": action("c").key, "name": "c"})

        await database.transact_on_connection(write)
        written = await repository.get_action(action("c"))
        assert (written.parent_name, written.dependencies) == ("a0", [])


async def test_an_older_schema_is_not_ready(empty_database_url: str) -> None:
    async with open_repository(empty_database_url) as repository:
        with pytest.raises(SchemaOutdated, match="the database has no schema yet"):
            await repository.check()
    await migrate(empty_database_url)
    async with open_repository(empty_database_url) as repository:
        await repository.check()


async def test_a_failed_migration_is_rolled_back(empty_database_url: str) -> None:
    """Its last statement fails because a table of that name exists."""
    database = Database(empty_database_url)
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE action_events (id INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        await migrate(empty_database_url)
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP TABLE action_events"))
    await database.close()
    await migrate(empty_database_url)
    async with open_repository(empty_database_url) as repository:
        await repository.check()


async def options_of(table: str, database_url: str) -> list[str] | None:
    """The storage options of a table of PostgreSQL."""
    database = Database(database_url)
    try:
        async with database.read() as connection:
            found = text("SELECT reloptions FROM pg_class WHERE relname = :name AND relkind = 'r'")
            options: list[str] | None = await connection.scalar(found, {"name": table})
            return options
    finally:
        await database.close()


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_pages_of_actions_have_free_space_for_updates(database_url: str) -> None:
    assert await options_of("actions", database_url) == ["fillfactor=70"]


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_runs_are_vacuumed_after_few_changes(database_url: str) -> None:
    assert await options_of("runs", database_url) == [
        "autovacuum_vacuum_scale_factor=0.02",
        "autovacuum_vacuum_insert_scale_factor=0.02",
    ]
