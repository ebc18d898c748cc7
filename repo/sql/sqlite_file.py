"""The SQLite file: whether it can be used and written, and how its connections are set up."""

import errno
import fcntl
import os
import sqlite3
import tempfile
from typing import Any

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
