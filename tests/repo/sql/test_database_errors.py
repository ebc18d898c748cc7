"""Database errors: temporary ones are distinguished from errors of the statement."""

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from repo import (
    ActionRepo,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DeadlineExceeded,
    RunIdentifier,
    open_repository,
)
from repo.sql.database import Database
from repo.sql.errors import ErrorClass, classify
from tests.support.making import make_run

ONLY_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
ONLY_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
STATES = {
    "08006": DatabaseUnavailable,
    "25006": DatabaseReadOnly,
    "25P03": DatabaseUnavailable,
    "25P04": DeadlineExceeded,
    "40001": DatabaseUnavailable,
    "40P01": DatabaseUnavailable,
    "53100": DatabaseUnavailable,
    "53200": DatabaseUnavailable,
    "55000": DatabaseUnavailable,
    "55P03": DatabaseUnavailable,
    "57014": DeadlineExceeded,
    "57P01": DatabaseUnavailable,
    "58030": DatabaseUnavailable,
    "22012": None,
    "23505": None,
    "42P01": None,
    "XX001": None,
}


MEANINGS: dict[type[Exception] | None, ErrorClass] = {
    DatabaseReadOnly: ErrorClass.READ_ONLY,
    DatabaseUnavailable: ErrorClass.UNAVAILABLE,
    DeadlineExceeded: ErrorClass.TIMEOUT,
}


@ONLY_POSTGRESQL
@pytest.mark.parametrize(("state", "meant"), STATES.items())
async def test_errors_of_postgresql_are_classified(
    database_url: str, state: str, meant: type[Exception] | None
) -> None:
    """For both kinds of reads, and for writes."""
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'test error' USING ERRCODE = '{state}'; END $$"
    database = Database(database_url)
    try:
        with pytest.raises(meant or DBAPIError) as read:
            async with database.read() as connection:
                await connection.execute(text(raising))
        with pytest.raises(meant or DBAPIError) as written:
            await database.transact_on_connection(lambda connection: connection.execute(text(raising)))
        with pytest.raises(asyncpg.PostgresError) as caught:
            await database.read_pool.execute(raising)
    finally:
        await database.close()
    assert classify(caught.value) is MEANINGS.get(meant)
    assert "test error" not in str(read.value) + str(written.value) or meant is None


@ONLY_POSTGRESQL
async def test_a_value_rejected_by_the_driver_is_not_a_lost_connection(database_url: str) -> None:
    database = Database(database_url)
    try:
        with pytest.raises(asyncpg.DataError) as caught:
            await database.read_pool.execute("SELECT $1::int", (1 << 40,))
    finally:
        await database.close()
    assert classify(caught.value) is None


@ONLY_POSTGRESQL
async def test_a_lock_timeout_is_temporary(database_url: str) -> None:
    holder = await asyncpg.connect(database_url)
    await holder.execute(f"ALTER DATABASE {make_url(database_url).database} SET lock_timeout = '50ms'")
    try:
        async with open_repository(database_url) as repository:
            async with holder.transaction():
                await holder.execute("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE")
                with pytest.raises(DatabaseUnavailable):
                    await make_run(repository)
                with pytest.raises(DatabaseUnavailable):
                    await repository.runs.page()
            await make_run(repository)
    finally:
        await holder.close()


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Limits the file size of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@ONLY_SQLITE
async def test_a_full_disk_is_temporary(database_url: str, repository: ActionRepo) -> None:
    await make_run(repository)
    log = f"{database_url.removeprefix('sqlite:///')}-wal"
    with files_no_larger_than(os.stat(log).st_size + 100):
        with pytest.raises(DatabaseUnavailable) as caught:
            await make_run(repository, **{f"c{number}": "a0" for number in range(100)})
        cause = caught.value.__cause__
        assert isinstance(cause, sqlite3.Error)
        assert cause.sqlite_errorcode == sqlite3.SQLITE_IOERR_WRITE
        with pytest.raises(DatabaseUnavailable):  # it is not ready, as long as it would be refused again
            await repository.check()
    await repository.check()
    await make_run(repository, RunIdentifier("etl", "production", "another"))


CODES = {
    sqlite3.SQLITE_BUSY_SNAPSHOT: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_BUSY_RECOVERY: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_CANTOPEN_ISDIR: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_FULL: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_IOERR_WRITE: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_IOERR_FSYNC: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_LOCKED_SHAREDCACHE: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_PROTOCOL: ErrorClass.UNAVAILABLE,
    sqlite3.SQLITE_READONLY_DBMOVED: ErrorClass.READ_ONLY,
    sqlite3.SQLITE_READONLY_DIRECTORY: ErrorClass.READ_ONLY,
    sqlite3.SQLITE_INTERRUPT: ErrorClass.TIMEOUT,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: None,
    sqlite3.SQLITE_CORRUPT: None,
    sqlite3.SQLITE_ERROR: None,
}


@pytest.mark.parametrize(("code", "meaning"), CODES.items())
def test_extended_codes_of_sqlite_are_classified_by_their_lowest_byte(
    code: int, meaning: ErrorClass | None
) -> None:
    error = sqlite3.OperationalError("test error")
    error.sqlite_errorcode = code
    assert classify(error) is meaning
    assert classify(DBAPIError("SELECT 1", None, error)) is meaning
