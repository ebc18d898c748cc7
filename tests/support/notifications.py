"""Owns how the tests open a bus, hear its bells and cut its connections."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
from redis.asyncio import Redis

from repo.watch.bus import Bus
from tests.support.waiting import until

SECONDS = 30


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rings = 0

    def ring(self) -> None:
        self.rings += 1


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Bus, Bell]]:
    """A bus that is connected, and what it rings."""
    bell = Bell()
    bus = Bus(url, bell.ring)
    async with bus.open():
        await until(lambda: bus.connected)
        yield bus, bell


async def heard(sender: Bus, bell: Bell) -> None:
    """Return when a ring of the one is heard by the other."""
    before = bell.rings
    async with asyncio.timeout(SECONDS):
        while bell.rings == before:
            sender.ring()
            await asyncio.sleep(0.05)


def came(logs: Sequence[Mapping[str, object]], beginning: str, times: int) -> bool:
    """Whether so many entries of the log begin so."""
    return sum(str(log["event"]).startswith(beginning) for log in logs) >= times


async def cut_all(url: str) -> None:
    """Close every connection that hears bells."""
    if url.startswith("redis"):
        async with Redis.from_url(url) as link:
            await link.client_kill_filter(_type="pubsub")
        return
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rungraph-bus'"
    )
    await connection.close()
