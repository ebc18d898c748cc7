"""Runs Alembic on the connection and transaction of repo.migration, or on RUNGRAPH_DATABASE_URL when a
developer creates a revision."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from repo.sql.database import Database
from repo.tables import metadata


def _is_compared(name: str | None, kind: str, parent_names: object) -> bool:
    """Whether a draft compares this with `repo.tables`: not SQLite's full-text index and its parts, which a
    migration created by hand."""
    return kind != "table" or not (name or "").startswith(("run_terms", "run_positions"))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        include_name=_is_compared,
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect() -> None:
    database = Database(os.environ.get("RUNGRAPH_DATABASE_URL", "sqlite:///rungraph.db"))
    async with database.engine.begin() as connection:
        await connection.run_sync(run)
    await database.close()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    asyncio.run(connect())
