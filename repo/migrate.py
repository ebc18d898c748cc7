"""Owns bringing a database to the schema of this version."""

from contextlib import aclosing
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from repo.database import Database, without_password
from repo.errors import DatabaseUnavailable

_LOCK = 7_238_520_417
"""The advisory lock under which one replica at a time migrates."""


class SchemaOutdated(Exception):
    """The database is not at the newest schema of this version."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


@cache
def head() -> str:
    """The newest revision of the schema in this version."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def is_at_head(connection: Connection) -> None:
    """Return where the database is at the newest schema. Raises SchemaOutdated."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current != head():
        raise SchemaOutdated(f"the schema is at {current}, this version needs {head()}")


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(url: str) -> None:
    """Bring the database to the newest schema, in one transaction. Any number of processes may call
    this at once: one works, the others wait and find nothing to do. Raises DatabaseUnavailable."""
    database = Database(url, pool_size=1)
    try:
        try:
            await database.try_file()
            connection = await database.engine.connect().start()
        except Exception as error:  # the drivers have no common class for it, nor is all of it wrapped
            reason = str(error).partition("\n")[0]
            raise DatabaseUnavailable(
                f"the database {without_password(url)} cannot be opened: {reason}"
            ) from error
        async with aclosing(connection), connection.begin():
            if database.is_sqlite:
                await connection.execute(text("BEGIN IMMEDIATE"))
            else:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await database.close()
