"""The faults that are injected while executors write and viewers watch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from repo.domain.identifiers import ActionIdentifier
from repo.sql.database import Database
from repo.tables import actions
from tests.faults.replica import DIES, UNRELIABLE
from tests.faults.stack import BusKind, Stack
from tests.support.fake_clock import HOUR

_TERMINATE_ONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'rungraph%' ORDER BY random() LIMIT 1
"""
_TERMINATE_LISTENERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rungraph-bus'
"""

Act = Callable[[Stack, float, ActionIdentifier], Awaitable[None]]
"""Injects a fault for about this many seconds. Only the fault writes to the action."""


@dataclass(frozen=True)
class Fault:
    """A fault and its duration."""

    name: str
    act: Act
    short: float
    """Duration in the tests, in seconds."""
    long: float
    """Duration in the soak, in seconds."""
    buses: tuple[BusKind, ...] = ("postgresql", "redis")
    max_lag: float | None = None
    """Seconds within which writes arrive during the fault, if that is guaranteed."""


async def nothing(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """No fault, for comparison."""
    await asyncio.sleep(seconds)


async def writer_dies_before_notifying(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Repeatedly kills the writing replica between a commit and its notification."""
    stack.replicas[0].inject(DIES)
    await asyncio.sleep(seconds)
    stack.replicas[0].inject()
    await stack.replicas[0].wait_until_ready()


async def replica_dies(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Kills replicas with subscribers in turns."""
    for turn in range(max(1, round(seconds / 3))):
        replica = stack.replicas[turn % 2]
        replica.kill()
        await asyncio.sleep(3)
        await replica.wait_until_ready()


async def connections_are_terminated(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Terminates three random database connections a second."""
    for _ in range(round(seconds * 3)):
        await stack.fetch(_TERMINATE_ONE)
        await asyncio.sleep(1 / 3)


async def listeners_are_terminated(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Terminates the connections that receive notifications every second."""
    for _ in range(round(seconds)):
        await stack.fetch(_TERMINATE_LISTENERS)
        await asyncio.sleep(1)


async def postgres_restarts(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Restarts PostgreSQL, which disconnects all clients."""
    await _restart(stack, seconds, immediately=False)


async def postgres_crashes(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Crashes PostgreSQL; it recovers at its start."""
    await _restart(stack, seconds, immediately=True)


async def _restart(stack: Stack, seconds: float, immediately: bool) -> None:
    for _ in range(max(1, round(seconds / 3))):
        await asyncio.to_thread(stack.postgres.stop, immediately)
        await asyncio.to_thread(stack.postgres.start)
        await asyncio.sleep(3)


async def postgres_is_unavailable(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Stops the database for a while."""
    await asyncio.to_thread(stack.postgres.stop)
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(stack.postgres.start)


async def redis_restarts(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Restarts Redis every two seconds."""
    assert stack.redis is not None
    for _ in range(max(1, round(seconds / 2))):
        await asyncio.to_thread(stack.redis.stop)
        await asyncio.to_thread(stack.redis.start)
        await asyncio.sleep(2)


async def redis_cuts_its_clients_off(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Closes all client connections of Redis every second."""
    assert stack.redis is not None
    for _ in range(max(1, round(seconds))):
        await asyncio.to_thread(stack.redis.cut_clients_off)
        await asyncio.sleep(1)


async def redis_is_unavailable(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Stops the bus for a while."""
    assert stack.redis is not None
    await asyncio.to_thread(stack.redis.stop)
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(stack.redis.start)


async def notifications_are_unreliable(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Loses half of the notifications, duplicates some, and delays some so that they arrive out of order."""
    for replica in stack.replicas:
        replica.inject(UNRELIABLE)
    await asyncio.sleep(seconds)
    for replica in stack.replicas:
        replica.inject()


async def logs_cannot_be_written(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Fills the disk of the replicas' logs while PostgreSQL restarts, which they log."""
    for replica in stack.replicas:
        replica.fill_log_disk(True)
    try:
        await _restart(stack, seconds, immediately=False)
    finally:
        for replica in stack.replicas:
            replica.fill_log_disk(False)


async def clocks_jump(stack: Stack, seconds: float, own: ActionIdentifier | None = None) -> None:
    """Every second, moves the clock of the database or of a replica back or forward by an hour; all are
    correct at the end. No action may end before it starts."""
    for turn in range(max(2 * len(stack.clocks), round(seconds))):
        clock = stack.clocks[turn // 2 % len(stack.clocks)]
        clock.jump((-HOUR, HOUR)[turn % 2])
        await asyncio.sleep(1)
    for clock in stack.clocks:
        clock.jump(0)
    (row,) = await stack.fetch("SELECT count(*) AS wrong FROM actions WHERE ended_at < started_at")
    assert not row["wrong"], f"{row['wrong']} actions ended before they started"


async def a_transaction_stays_open(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """A transaction writes and commits at the end, after many later ones."""
    database = Database(stack.postgres.url)

    async def write_late(connection: AsyncConnection) -> None:
        await connection.execute(actions.update().where(actions.c.key == own.key).values(group="late"))
        await asyncio.sleep(seconds)

    try:
        await database.transact_on_connection(write_late)
    finally:
        await database.close()


async def database_is_read_only(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """The database rejects writes, as after a failover to a standby; then it accepts them without ending
    sessions."""
    setting = "ALTER DATABASE postgres SET default_transaction_read_only"
    await stack.fetch(f"{setting} = on")
    await stack.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rungraph%'"
    )
    try:
        await asyncio.sleep(seconds)
    finally:
        await stack.fetch(f"{setting} = off")


async def host_dies_silently(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """The database host stops responding and is replaced 2 s later; repeatedly in the soak. Without network
    namespaces, a proxy discards what is sent."""
    for turn in range(max(1, round(seconds / 10))):
        if turn:
            await asyncio.sleep(8)
        if stack.network is not None:
            await stack.network.die()
            await asyncio.sleep(2)
            await stack.network.replace()
        for proxy in stack.proxies:
            proxy.strand()


FAULTS = [
    Fault("nothing", nothing, 2, 30, max_lag=1.0),
    Fault("the writer is killed between commit and notification", writer_dies_before_notifying, 4, 60),
    Fault("a replica is killed", replica_dies, 3, 60),
    Fault("3 database connections a second are terminated", connections_are_terminated, 3, 30),
    Fault("the listener is terminated", listeners_are_terminated, 2, 20, ("postgresql",), 2.0),
    Fault("PostgreSQL restarts (fast)", postgres_restarts, 3, 30),
    Fault("PostgreSQL restarts (immediate)", postgres_crashes, 3, 30),
    Fault("the database is unavailable", postgres_is_unavailable, 3, 20),
    Fault("the database is read-only", database_is_read_only, 3, 20),
    Fault("Redis restarts", redis_restarts, 2, 20, ("redis",), 2.0),
    Fault("Redis cuts its clients off", redis_cuts_its_clients_off, 2, 20, ("redis",), 2.0),
    Fault("Redis is unavailable", redis_is_unavailable, 3, 20, ("redis",), 2.0),
    Fault("notifications are lost, duplicated and late", notifications_are_unreliable, 2, 30, max_lag=2.0),
    Fault("a transaction stays open", a_transaction_stays_open, 2, 10, max_lag=1.0),
    Fault("logs cannot be written", logs_cannot_be_written, 3, 20),
]

CLOCKS = Fault("clocks jump", clocks_jump, 6, 40)
"""Needs a stack whose clocks can be moved."""

SILENT_DEATH = Fault("the database's host dies silently", host_dies_silently, 3, 60)
