"""The SQLite file: a file system without locks is rejected at startup, and the WAL shrinks again."""

import errno
import fcntl
import os
import sqlite3

import pytest

from repo import (
    ActionRepo,
    DatabaseUnavailable,
    RunIdentifier,
    migrate,
    open_repository,
)
from repo.sql import sqlite_file
from tests.support.making import make_run

pytestmark = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


async def test_a_file_system_without_locks_is_rejected_at_startup(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite behaves as if others held the lock, and waits for half a minute."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(DatabaseUnavailable, match="does not lock files"):
        await migrate(database_url)


async def write_much(repository: ActionRepo, name: str) -> None:
    for number in range(20):
        run = RunIdentifier("p", "d", f"{name}-{number}")
        await make_run(repository, run, **{f"action-{each}": "a0" for each in range(400)})


async def test_the_log_shrinks_after_a_long_read(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 100_000
    monkeypatch.setattr(sqlite_file, "WAL_SIZE_LIMIT", limit)
    path = database_url.removeprefix("sqlite:///")
    async with open_repository(database_url) as repository:
        await make_run(repository)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM actions").fetchone() == (1,)
        await write_much(repository, "during")
        grown = os.stat(f"{path}-wal").st_size
        reader.close()
        assert grown > 5_000_000  # beyond what SQLite writes back at a time
        # The next write first checkpoints the WAL, which then starts over.
        for name in ("one", "two", "three"):
            await make_run(repository, RunIdentifier("p", "d", name))
        assert os.stat(f"{path}-wal").st_size < 2 * limit  # it ends with a whole page
