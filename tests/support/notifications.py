"""Opens buses, waits for their notifications and terminates their connections."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
from redis.asyncio import Redis

from repo.watch.bus import Bus
from tests.support.waiting import until

SECONDS = 30


class NotificationCounter:
    """Counts notifications."""

    def __init__(self) -> None:
        self.received = 0

    def count(self) -> None:
        self.received += 1


@asynccontextmanager
async def open_bus(url: str) -> AsyncIterator[tuple[Bus, NotificationCounter]]:
    """A connected bus and a counter of its notifications."""
    counter = NotificationCounter()
    bus = Bus(url, counter.count)
    async with bus.open():
        await until(lambda: bus.connected)
        yield bus, counter


async def wait_for_notification(sender: Bus, counter: NotificationCounter) -> None:
    """Waits until a notification of the sender is counted."""
    before = counter.received
    async with asyncio.timeout(SECONDS):
        while counter.received == before:
            sender.notify()
            await asyncio.sleep(0.05)


def logged(logs: Sequence[Mapping[str, object]], beginning: str, times: int) -> bool:
    """Whether at least this many log events begin with this text."""
    return sum(str(log["event"]).startswith(beginning) for log in logs) >= times


async def terminate_listeners(url: str) -> None:
    """Close every connection that receives notifications."""
    if url.startswith("redis"):
        async with Redis.from_url(url) as link:
            await link.client_kill_filter(_type="pubsub")
        return
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rungraph-bus'"
    )
    await connection.close()
