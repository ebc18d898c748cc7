"""SQLite: whether the file can be used and written, and how its connections begin, write and stop."""

import asyncio
import errno
import fcntl
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

IS_WRITER = "rungraph_writes"
"""The execution option of connections that write."""
BEGIN_WRITE = ("BEGIN IMMEDIATE", "UPDATE transaction_counter SET value = value + 1")
"""The statements that begin a write transaction, and give it a number."""
WAL_SIZE_LIMIT = 16 << 20
"""Bytes to which the WAL is truncated after a checkpoint; a long read makes it grow."""


def prepare(connection: Any, record: object) -> None:
    """Set up a new connection."""
    connection.isolation_level = None  # transactions are begun by Database, not by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"journal_size_limit={WAL_SIZE_LIMIT}",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction. Writers lock the database at once: a reader cannot upgrade its lock while another
    process writes."""
    if connection.get_execution_options().get(IS_WRITER):
        for statement in BEGIN_WRITE:
            connection.exec_driver_sql(statement)


@asynccontextmanager
async def interrupting(connection: AsyncConnection, seconds: float) -> AsyncIterator[None]:
    """Interrupt the statements of the connection after so many seconds, unless 0, or when the caller is
    cancelled."""
    driver: Any = (await connection.get_raw_connection()).driver_connection

    def interrupt() -> None:
        with suppress(ValueError):  # the connection is closed
            driver._conn.interrupt()

    limit = asyncio.get_running_loop().call_later(seconds, interrupt) if seconds else None
    try:
        yield
    except asyncio.CancelledError:
        interrupt()
        raise
    finally:
        if limit is not None:
            limit.cancel()


def check(path: str) -> None:
    """Raise sqlite3.Error if the file cannot be opened, or OSError if it cannot be locked."""
    sqlite3.connect(path).close()
    try:
        # On a file system without locks SQLite waits as if others held the lock. Not tested on its own file:
        # closing a file releases all locks that the process holds on it.
        with tempfile.TemporaryFile(dir=os.path.dirname(path) or ".") as probe:
            fcntl.lockf(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            reason = "its file system does not lock files: SQLite needs one that does, such as a local disk"
            raise OSError(error.errno, reason) from error


def can_write(path: str) -> bool:
    """Whether this process may write the file and its directory."""
    if path.startswith("file:"):
        return True
    effective = os.access in os.supports_effective_ids
    needed = (path, os.path.dirname(path) or ".")
    return all(os.access(each, os.W_OK, effective_ids=effective) for each in needed)
