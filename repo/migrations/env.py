"""Runs Alembic on the connection and transaction of repo.migration, or on RUNGRAPH_DATABASE_URL when a
developer creates a revision."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from repo.sql.database import Database
from repo.tables import metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
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
