"""Migrates a database to the schema of this version. Revisions are numbered. A version works on later
schemas too, so that both versions can run during an upgrade."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from repo import restore
from repo.domain.errors import DatabaseUnavailable
from repo.sql.database import Database
from repo.sql.errors import ErrorClass, classify, is_retryable
from repo.sql.urls import without_password

T = TypeVar("T")

logger = structlog.get_logger("rungraph.migrate")

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_238_520_417
"""The advisory lock under which one replica at a time migrates."""
LOCK_TIMEOUT = 2.0
"""Lock timeout in seconds: while a migration waits for a table, others queue behind it."""
RETRY_TIMEOUT = 60.0
"""Seconds of retries."""
_MAX_PAUSE = 5.0
"""Maximum pause between retries in seconds."""
_LOCK_NOT_AVAILABLE = "55P03"


Prepare = Callable[[Connection, Any], Any]
"""One part of the work that a migration does beforehand: from where it begins, None at first, to where the
next part begins, None at the end. Each is a transaction of its own, and may be done again."""

OLDEST = 14
"""The oldest supported major version of PostgreSQL."""


class UnsuitableDatabase(Exception):
    """The database is unsuitable, for example by its encoding."""


class SchemaOutdated(Exception):
    """The database has an older schema than this version."""


@cache
def head() -> str:
    """The newest revision of the schema in this version: the highest number of a migration's file."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def revision(connection: Connection) -> str | None:
    """The revision of the database's schema; None without one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    current: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return current


def is_newer(current: str | None) -> bool:
    """Whether the revision is of a later version."""
    return current is not None and current.isdecimal() and int(current) > int(head())


def is_at_head(connection: Connection) -> None:
    """Returns if the schema is current or newer. Raises SchemaOutdated."""
    current = revision(connection)
    if current != head() and not is_newer(current):
        found = f"the schema is at {current}" if current else "the database has no schema yet"
        raise SchemaOutdated(f"{found}, this version needs {head()}: run rungraph migrate")


def upgrade(connection: Connection, to: str = "head") -> None:
    """Runs the migrations up to a revision."""
    # Imported here: it takes a tenth of a second, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _preparations(connection: Connection) -> list[tuple[str, Prepare]]:
    """The preparations of the migrations after the schema's revision, each with the revision that it needs.
    An empty database needs none."""
    current = revision(connection)
    if current is None or is_newer(current) or current == head():
        return []
    from alembic.script import ScriptDirectory

    newer = reversed(list(ScriptDirectory(str(MIGRATIONS)).iterate_revisions("head", current)))
    prepared = (each for each in newer if hasattr(each.module, "prepare"))
    return [(str(each.down_revision), each.module.prepare) for each in prepared]


def _prepare_part(prepare: Prepare, before: str, after: Any, connection: Connection) -> Any:
    """The next part of a preparation; None if another process has migrated the database meanwhile."""
    return prepare(connection, after) if revision(connection) == before else None


def _upgrade_to(connection: Connection, to: str) -> None:
    if (revision(connection) or "") < to:
        upgrade(connection, to)


def _upgrade_older(connection: Connection) -> None:
    current = revision(connection)
    if is_newer(current):
        logger.info("the schema is a later version's, with which this one works", schema=current, own=head())
    elif current != head():
        upgrade(connection)


async def migrate(url: str) -> None:
    """Migrates the database to the newest schema: what takes long in many transactions, then all changes in
    one. A newer schema is left alone, as is a current one that cannot be written. Safe to call concurrently:
    one process works, the others wait. Raises DatabaseUnavailable and UnsuitableDatabase."""
    database, name = Database(url, pool_size=1), without_password(url)
    try:
        try:
            await database.check_file()
            connection = await database.engine.connect().start()
        except Exception as error:  # the drivers have no common class for it, nor is all of it wrapped
            reason = str(error).partition("\n")[0]
            raise DatabaseUnavailable(f"the database {name} cannot be opened: {reason}") from error
        async with aclosing(connection):
            if not database.is_sqlite and (why := await unsuitable(connection)):
                raise UnsuitableDatabase(f"the database {name} cannot be used: {why}")
            try:
                await _upgrade_in_steps(database, connection)
            except (DBAPIError, sqlite3.Error) as error:
                if classify(error) is None:
                    raise
                reason = str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
                raise DatabaseUnavailable(f"the database {name} cannot be migrated: {reason}") from error
    finally:
        await database.close()


async def unsuitable(connection: AsyncConnection) -> str | None:
    """Why the PostgreSQL server or database is unsuitable; None if it is suitable."""
    number = int(await connection.scalar(text("SHOW server_version_num")) or 0)
    encoding = await connection.scalar(text("SHOW server_encoding"))
    await connection.rollback()
    if number < OLDEST * 10_000:
        return (
            f"PostgreSQL {number // 10_000}.{number % 10_000} is too old: {OLDEST} is the oldest that works"
        )
    if encoding != "UTF8":
        return f"its encoding is {encoding}: make a database with ENCODING 'UTF8'"
    return None


async def _upgrade_in_steps(database: Database, connection: AsyncConnection) -> None:
    async with connection.begin():
        preparations = await connection.run_sync(_preparations)
    for before, prepare in preparations:
        await _transact(database, connection, partial(_upgrade_to, to=before))
        after = await _transact(database, connection, partial(_prepare_part, prepare, before, None))
        while after is not None:
            after = await _transact(database, connection, partial(_prepare_part, prepare, before, after))
    await _transact(database, connection, _upgrade_older, is_last=True)


async def _transact(
    database: Database, connection: AsyncConnection, work: Callable[[Connection], T], is_last: bool = False
) -> T | None:
    """Does the work in a transaction under the lock, and again if others hold locks that it needs, or after a
    deadlock with them; nothing on a database that accepts no writes."""
    deadline, pause = time.monotonic() + RETRY_TIMEOUT, 0.5
    while True:
        try:
            async with connection.begin():
                if database.is_sqlite:
                    await connection.execute(text("BEGIN IMMEDIATE"))
                else:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                    await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT * 1000:.0f}"))
                result = await connection.run_sync(work)
                if is_last and not database.is_sqlite:
                    await restore.renumber(connection)
                return result
        except DBAPIError as error:
            if classify(error) is ErrorClass.READ_ONLY:
                await _check_read_only(connection, error)
                return None
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE and not is_retryable(error):
                raise
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"the schema could not be changed within {RETRY_TIMEOUT:.0f} s: other transactions held "
                    "locks all the time. End them (see pg_stat_activity), and try again"
                ) from error
        logger.warning("cannot change the schema yet: others hold locks")
        await asyncio.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, _MAX_PAUSE)


async def _check_read_only(connection: AsyncConnection, error: DBAPIError) -> None:
    """Allows a start on a read-only database. Raises DatabaseUnavailable if the schema is not current."""
    reason = str(error.orig).partition("\n")[0]
    try:
        async with connection.begin():
            await connection.run_sync(is_at_head)
    except SchemaOutdated as outdated:
        raise DatabaseUnavailable(
            f"the database accepts no writes ({reason}), and {outdated}, once it accepts them"
        ) from error
    logger.warning("the database accepts no writes: the server is not ready until it does", reason=reason)
