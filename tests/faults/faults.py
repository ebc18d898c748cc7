"""Owns the faults: what is done to the stack while executors write and viewers watch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from repo.domain.identifiers import ActionIdentifier
from repo.sql.database import Database
from repo.tables import actions
from tests.faults.replica import DIES, MISHEARS
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
"""What happens to the stack, for about so many seconds. Nobody else writes to the action."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong."""

    name: str
    act: Act
    short: float
    """Seconds that it lasts in the tests."""
    long: float
    """Seconds that it lasts in the soak."""
    buses: tuple[BusKind, ...] = ("postgresql", "redis")
    heard_within: float | None = None
    """Seconds within which what is written is seen even while it lasts, where that is promised."""


async def nothing(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """For comparison."""
    await asyncio.sleep(seconds)


async def writer_dies_before_its_bell(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """The replica that is written through is killed between a commit and its bell, again and again."""
    stack.replicas[0].suffer(DIES)
    await asyncio.sleep(seconds)
    stack.replicas[0].suffer()
    await stack.replicas[0].is_ready()


async def replica_dies(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """A replica with subscribers is killed, now this one, now that one."""
    for turn in range(max(1, round(seconds / 3))):
        replica = stack.replicas[turn % 2]
        replica.kill()
        await asyncio.sleep(3)
        await replica.is_ready()


async def connections_are_terminated(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Three connections to the database a second, at random."""
    for _ in range(round(seconds * 3)):
        await stack.fetch(_TERMINATE_ONE)
        await asyncio.sleep(1 / 3)


async def listeners_are_terminated(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """The connections that the bells come by, each second."""
    for _ in range(round(seconds)):
        await stack.fetch(_TERMINATE_LISTENERS)
        await asyncio.sleep(1)


async def postgres_restarts(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """PostgreSQL stops in order, which cuts everybody off, and starts again."""
    await _restart(stack, seconds, immediately=False)


async def postgres_crashes(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """PostgreSQL stops as in a crash, and recovers when it starts again."""
    await _restart(stack, seconds, immediately=True)


async def _restart(stack: Stack, seconds: float, immediately: bool) -> None:
    for _ in range(max(1, round(seconds / 3))):
        await asyncio.to_thread(stack.postgres.stop, immediately)
        await asyncio.to_thread(stack.postgres.start)
        await asyncio.sleep(3)


async def postgres_is_away(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """There is no database for a while."""
    await asyncio.to_thread(stack.postgres.stop)
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(stack.postgres.start)


async def redis_restarts(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Redis stops and starts again, every two seconds."""
    assert stack.redis is not None
    for _ in range(max(1, round(seconds / 2))):
        await asyncio.to_thread(stack.redis.stop)
        await asyncio.to_thread(stack.redis.start)
        await asyncio.sleep(2)


async def redis_cuts_its_clients_off(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Redis closes all connections of its clients, each second."""
    assert stack.redis is not None
    for _ in range(max(1, round(seconds))):
        await asyncio.to_thread(stack.redis.cut_clients_off)
        await asyncio.sleep(1)


async def redis_is_away(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """There is no bus for a while."""
    assert stack.redis is not None
    await asyncio.to_thread(stack.redis.stop)
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(stack.redis.start)


async def bells_are_misheard(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Half of the bells are lost; some come twice, some late and after others."""
    for replica in stack.replicas:
        replica.suffer(MISHEARS)
    await asyncio.sleep(seconds)
    for replica in stack.replicas:
        replica.suffer()


async def logs_cannot_be_written(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """The disk is full on which the replicas' logs are, while PostgreSQL restarts, of which they log."""
    for replica in stack.replicas:
        replica.fill_disk(True)
    try:
        await _restart(stack, seconds, immediately=False)
    finally:
        for replica in stack.replicas:
            replica.fill_disk(False)


async def clocks_jump(stack: Stack, seconds: float, own: ActionIdentifier | None = None) -> None:
    """Each second the clock of the database or of a replica is put back or forward by an hour, and all are
    right at the end. No action ends before it starts."""
    for turn in range(max(2 * len(stack.clocks), round(seconds))):
        clock = stack.clocks[turn // 2 % len(stack.clocks)]
        clock.jump((-HOUR, HOUR)[turn % 2])
        await asyncio.sleep(1)
    for clock in stack.clocks:
        clock.jump(0)
    (row,) = await stack.fetch("SELECT count(*) AS wrong FROM actions WHERE ended_at < started_at")
    assert not row["wrong"], f"{row['wrong']} actions ended before they started"


async def a_transaction_stays_open(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """It writes, and commits at the end, after many that began later."""
    database = Database(stack.postgres.url)

    async def write_late(connection: AsyncConnection) -> None:
        await connection.execute(actions.update().where(actions.c.key == own.key).values(group="late"))
        await asyncio.sleep(seconds)

    try:
        await database.write(write_late)
    finally:
        await database.close()


async def database_is_read_only(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """As after a failover to a server that accepts no writes; then it accepts them, and ends no session."""
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
    """The database's host answers nothing any more, and another one is there 2 s later; in the soak again and
    again. Where no network can be made, a proxy swallows what is sent."""
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
    Fault("nothing", nothing, 2, 30, heard_within=1.0),
    Fault("the writer is killed between commit and bell", writer_dies_before_its_bell, 4, 60),
    Fault("a replica is killed", replica_dies, 3, 60),
    Fault("3 database connections a second are terminated", connections_are_terminated, 3, 30),
    Fault("the listener is terminated", listeners_are_terminated, 2, 20, ("postgresql",), 2.0),
    Fault("PostgreSQL restarts (fast)", postgres_restarts, 3, 30),
    Fault("PostgreSQL restarts (immediate)", postgres_crashes, 3, 30),
    Fault("the database is away", postgres_is_away, 3, 20),
    Fault("the database is read-only", database_is_read_only, 3, 20),
    Fault("Redis restarts", redis_restarts, 2, 20, ("redis",), 2.0),
    Fault("Redis cuts its clients off", redis_cuts_its_clients_off, 2, 20, ("redis",), 2.0),
    Fault("Redis is away", redis_is_away, 3, 20, ("redis",), 2.0),
    Fault("bells are lost, doubled, late", bells_are_misheard, 2, 30, heard_within=2.0),
    Fault("a transaction stays open", a_transaction_stays_open, 2, 10, heard_within=1.0),
    Fault("logs cannot be written", logs_cannot_be_written, 3, 20),
]

CLOCKS = Fault("clocks jump", clocks_jump, 6, 40)
"""On a stack of its own, whose clocks can be moved."""

SILENT_DEATH = Fault("the database's host dies silently", host_dies_silently, 3, 60)
