"""Checks of a database and a bus, for `rungraph doctor`."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from sqlalchemy import false, func, literal, select, text
from sqlalchemy.exc import DBAPIError

from repo.artifacts.stores import Store, open_store
from repo.domain.artifacts import new_id
from repo.domain.phases import AbortState
from repo.migration import head, is_newer, revision, unsuitable
from repo.sql.database import Database
from repo.sql.functions import constant, database_now
from repo.sql.urls import without_password
from repo.tables import (
    action_events,
    actions,
    incarnations,
    is_unconfirmed,
    log_chunks,
    log_heads,
    removal_horizon,
)
from repo.watch.bus import Bus

_TIMEOUT = 10.0
"""The time limit of a check, in seconds."""
RECEIVE_TIMEOUT = 1.0
"""The time limit for receiving a notification, in seconds."""
_CONNECT_TIMEOUT = 5.0
_SLOW = 0.02
"""Round trip in seconds above which a warning is given."""
MIN_FREE_SPACE = 1 << 30
"""Free disk bytes below which a warning is given."""
_CLOCK_DIFFERENCE = (1.0, 5.0)
"""Clock differences in seconds that give a warning and an error."""
_PREPARED_CODES = {"26000", "42P05"}
"""SQLSTATEs: a prepared statement does not exist, or exists already."""


class CheckStatus(Enum):
    """The status of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check and what to do. Contains no secrets."""

    check: str
    status: CheckStatus
    detail: str


def ok(check: str, detail: str) -> CheckResult:
    """Passed."""
    return CheckResult(check, CheckStatus.OK, detail)


def warning(check: str, detail: str) -> CheckResult:
    """Works, but needs attention."""
    return CheckResult(check, CheckStatus.WARNING, detail)


def failure(check: str, detail: str) -> CheckResult:
    """Failed."""
    return CheckResult(check, CheckStatus.FAILURE, detail)


async def check_bus(url: str) -> CheckResult:
    """Checks that another connection receives a notification."""
    if url.startswith("memory:"):
        return ok("bus", "memory://: notifies this process only; several servers need PostgreSQL or Redis")
    received = asyncio.Event()
    one, other = Bus(url, lambda: None), Bus(url, received.set)
    async with AsyncExitStack() as stack:
        for bus in (one, other):
            await stack.enter_async_context(bus.open())
        deadline = time.monotonic() + _CONNECT_TIMEOUT
        while not (one.connected and other.connected):
            if time.monotonic() > deadline:
                return failure(
                    "bus", "unreachable, or no permission to send and receive: changes arrive a second late"
                )
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # each sends a notification when it connects
        received.clear()
        begun = time.monotonic()
        one.notify()
        try:
            async with asyncio.timeout(RECEIVE_TIMEOUT):
                await received.wait()
        except TimeoutError:
            return failure("bus", "receives no notification: behind PgBouncer, use PostgreSQL's own address")
    return ok("bus", f"a notification takes {(time.monotonic() - begun) * 1000:.0f} ms")


async def check_store(url: str, database_url: str) -> CheckResult:
    """Checks that the store of large artifacts can be written and read."""
    store = open_store(url, database_url)
    if store is None:
        detail = "none: artifacts of more than 1 MiB are refused (RUNGRAPH_ARTIFACT_STORE)"
        return ok("artifacts", detail)
    return await _run("artifacts", _store(store))


async def _store(store: Store) -> CheckResult:
    id, content, begun = new_id(), b"rungraph doctor", time.monotonic()

    async def parts() -> AsyncIterator[bytes]:
        yield content

    await store.write(id, parts())
    try:
        found = b"".join([part async for part in store.read(id, 0, len(content))])
    finally:
        await store.delete([id])
    if found != content:
        return failure("artifacts", "the store returns other bytes than were written")
    took = (time.monotonic() - begun) * 1000
    return ok("artifacts", f"the store is readable and writable, {took:.0f} ms")


async def check_database(url: str, connections: int) -> AsyncIterator[CheckResult]:
    """Checks the database for a server that opens up to this many connections; if unreachable, only that."""
    database = Database(url, pool_size=2)
    try:
        try:
            async with asyncio.timeout(_TIMEOUT):
                await database.check_file()
                reached = await _round_trip(database)
        except Exception as error:  # the drivers have no common class for it
            yield failure("database", f"{without_password(url)} cannot be opened: {_reason(error)}")
            return
        yield reached
        if database.is_sqlite:
            yield await _run("file", _file(database))
        else:
            yield await _run("server", _server(database))
            yield await _run("pooler", _pooler(database))
            yield await _run("connections", _connections(database, connections))
        yield await _run("clock", _clock(database))
        schema = await _run("schema", _schema(database))
        yield schema
        if schema.status is not CheckStatus.FAILURE:
            yield await _run("rights", _rights(database))
            yield await _run("aborts", _aborts(database))
    finally:
        await database.close()


async def _run(check: str, result: Awaitable[CheckResult]) -> CheckResult:
    """Runs a check within its time limit."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await result
    except Exception as error:  # whatever it is, the other checks go on
        return failure(check, f"check failed: {_reason(error)}")


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(cause).partition("\n")[0] or type(cause).__name__


async def _round_trip(database: Database) -> CheckResult:
    times = []
    async with database.read() as connection:
        for _ in range(5):
            begun = time.monotonic()
            await connection.scalar(select(literal(1)))
            times.append(time.monotonic() - begun)
    fastest = min(times)
    detail = f"answers in {fastest * 1000:.1f} ms"
    if fastest > _SLOW:
        return warning("database", f"{detail}: servers should be nearer to it")
    return ok("database", detail)


async def _clock(database: Database) -> CheckResult:
    async with database.read() as connection:
        begun = datetime.now(UTC)
        there = await connection.scalar(select(database_now()))
        ended = datetime.now(UTC)
    assert there is not None
    # The time lies somewhere in between.
    ahead = max((there - ended).total_seconds(), (begun - there).total_seconds(), 0.0)
    if ahead > _CLOCK_DIFFERENCE[1]:
        return failure("clock", f"differs from the database's by {ahead:.1f} s: synchronize both (NTP)")
    if ahead > _CLOCK_DIFFERENCE[0]:
        return warning("clock", f"differs from the database's by {ahead:.1f} s: synchronize both (NTP)")
    return ok("clock", "is the database's within a second")


async def _file(database: Database) -> CheckResult:
    async with database.read() as connection:
        mode = await connection.scalar(text("PRAGMA journal_mode"))
    return _file_status(Path(str(database.engine.url.database)), mode)


def _file_status(path: Path, mode: str | None) -> CheckResult:
    for needed in (path, path.parent):
        if not os.access(needed, os.W_OK):
            return failure("file", f"{needed} cannot be written by this user")
    if mode != "wal":
        return failure("file", f"its journal is {mode}, not WAL: is it on a network file system?")
    free = shutil.disk_usage(path.parent).free
    detail = f"{path.stat().st_size / 2**20:,.0f} MB, {free / 2**30:,.1f} GB free"
    return warning("file", f"{detail}: make room") if free < MIN_FREE_SPACE else ok("file", detail)


async def _server(database: Database) -> CheckResult:
    async with database.engine.connect() as connection:
        if reason := await unsuitable(connection):
            return failure("server", reason)
        version = await connection.scalar(text("SHOW server_version"))
        is_read_only = await connection.scalar(text("SHOW transaction_read_only"))
    if is_read_only == "on":
        return failure(
            "server",
            f"PostgreSQL {version} accepts no writes: name the primary, or end default_transaction_read_only",
        )
    return ok("server", f"PostgreSQL {version}, UTF-8")


async def _pooler(database: Database) -> CheckResult:
    """Checks that the connection keeps its server process: behind a pooler in transaction mode, prepared
    statements get lost."""
    process = text("SELECT pg_backend_pid()")
    async with database.engine.connect() as mine, database.engine.connect() as other:
        first = await mine.scalar(process)
        await mine.commit()
        # A concurrent transaction may get our server process.
        theirs = await other.scalar(process)
        try:
            again = await mine.scalar(process)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _PREPARED_CODES:
                raise
            return failure(
                "pooler",
                "a pooler gives each transaction another connection, and knows no prepared statements: set "
                "max_prepared_statements in PgBouncer (1.21 or newer), or pool_mode = session",
            )
    if theirs == first or again != first:
        return ok("pooler", "one for each transaction, and prepared statements survive it")
    return ok("pooler", "none, or one that leaves a connection to its session")


async def _connections(database: Database, needed: int) -> CheckResult:
    async with database.read() as connection:
        query = (
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int,"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)"
        )
        limit, used, of_user = (await connection.execute(text(query))).one()
    if of_user >= 0:
        limit = min(limit, of_user)
    detail = f"a server takes up to {needed}; {limit} are allowed, {used} in use"
    if needed > limit:
        return failure(
            "connections", f"{detail}: lower RUNGRAPH_DATABASE_POOL_SIZE, or raise max_connections"
        )
    if needed > limit - used:
        return warning("connections", f"{detail}: another server may find none left")
    return ok("connections", detail)


async def _schema(database: Database) -> CheckResult:
    async with database.read() as connection:
        current = await connection.run_sync(revision)
    if current == head():
        return ok("schema", f"{current}, this version's")
    if is_newer(current):
        detail = f"{current}, a later version's; this one's is {head()}. It works, but should be replaced"
        return warning("schema", detail)
    return failure("schema", f"{current or 'none'}, and {head()} is needed: run rungraph migrate")


async def _rights(database: Database) -> CheckResult:
    """Checks the write privileges; everything is rolled back."""
    try:
        async with database.engine.connect() as connection:
            for statement in (
                removal_horizon.update().values(transaction_id=removal_horizon.c.transaction_id),
                actions.update().where(false()).values(state=None),
                action_events.delete().where(false()),
                log_heads.delete().where(false()),
                log_chunks.update().where(false()).values(size=0),
                incarnations.delete().where(false()),
                incarnations.insert().from_select(list(incarnations.c), select(incarnations).where(false())),
            ):
                await connection.execute(statement)
            await connection.rollback()
    except DBAPIError as error:
        return failure("rights", f"this user may not write: {_reason(error)}")
    return ok("rights", "this user may read and write")


async def _aborts(database: Database) -> CheckResult:
    has_failed = constant(actions.c.abort_state, AbortState.FAILED)
    async with database.read() as connection:
        counted = select(func.count()).select_from(actions).where(is_unconfirmed, has_failed)
        count = await connection.scalar(counted) or 0
    if count:
        return warning(
            "aborts", f"{count} failed: no executor confirmed them. See Aborts in the web UI, and retryAbort"
        )
    return ok("aborts", "none failed")
