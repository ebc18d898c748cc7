"""Owns the doorbell: how a replica tells the others that something was written.

A message says nothing but that, so losing one costs time and no data: every replica looks by itself once
a second. It is rung after a commit, never within one, and at most every 20 ms.
"""

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
from broadcaster import Broadcast, BroadcastBackend, Event
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from repo.domain.errors import InvalidArgument
from repo.sql.keepalive import TCP_OPTIONS
from repo.sql.postgres import Connector
from repo.sql.urls import split_hosts
from repo.supervision import Supervisor

logger = structlog.get_logger("rungraph.bus")

CHANNEL = "rungraph"
_QUIET = 0.02
"""Seconds between two rings of one replica, at least."""
_BEAT = 5.0
"""Seconds after which a silent connection is asked whether it lives, and within which it has to answer."""
_RETRY = (0.1, 2.0)
"""Seconds to wait before the first and before every later attempt to connect again, at the most."""


def check_broadcast_url(url: str) -> None:
    """Raise InvalidArgument for a URL that is none of memory://, postgresql:// and redis://, or not even one.
    The message does not repeat it."""
    _backend(url)


def _backend(url: str) -> "_ReconnectingBackend | None":
    """The backend for a URL; None where the library's own is right."""
    try:
        for each in split_hosts(url):
            parsed = urlsplit(each)
            _ = parsed.port
    except ValueError:
        # A password with a slash in it ends up in the port, and from there it came into the log.
        raise InvalidArgument("the URL of the bus is not one: is its password percent-encoded?") from None
    match parsed.scheme:
        case "memory":
            return None
        case "postgres" | "postgresql" | "postgresql+asyncpg":
            return PostgresBackend(url)
        case "redis" | "rediss":
            return RedisBackend(url)
    raise InvalidArgument("the bus must be memory://, postgresql:// or redis://")


class Bus:
    """The doorbell of one replica. `ring` rings it; `on_ring` is called when another replica rang."""

    def __init__(self, url: str, on_ring: Callable[[], None], supervisor: Supervisor | None = None) -> None:
        """Raises InvalidArgument as check_broadcast_url does."""
        self._backend = _backend(url)
        self._supervisor = supervisor or Supervisor()
        if self._backend is not None:
            self._backend.supervisor = self._supervisor
        self._broadcast = Broadcast(url if self._backend is None else None, backend=self._backend)
        self._on_ring = on_ring
        self._rung = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether rings reach other replicas at the moment, as far as is known."""
        return self._backend is None or self._backend.connected

    def ring(self) -> None:
        """Tell the other replicas that something was committed. Returns at once, and never fails."""
        self._rung.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect, and hear others, for as long as the context lasts. A bus that is away is no error:
        it is tried again until it is there."""
        async with self._broadcast, self._broadcast.subscribe(CHANNEL) as bells:

            async def hear() -> None:
                while True:
                    await bells.get()
                    self._on_ring()

            tasks = [
                self._supervisor.start("bus receiver", hear),
                self._supervisor.start("bus sender", self._send),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            await self._broadcast.publish(CHANNEL, "")
            await asyncio.sleep(_QUIET)


class _ReconnectingBackend(BroadcastBackend, ABC):
    """A backend whose connection is kept by a task of its own, which connects again when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.supervisor = Supervisor()
        self.connected = False
        # One bell that waits says as much as many.
        self._heard: asyncio.Queue[Event] = asyncio.Queue(maxsize=1)

    async def connect(self) -> None:
        self._keeper = self.supervisor.start("bus connection", self._keep)

    async def disconnect(self) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)

    async def subscribe(self, group: str) -> None:
        """Nothing: the connection listens to the one channel from its beginning."""

    async def unsubscribe(self, group: str) -> None:
        """Nothing, likewise."""

    async def next_published(self) -> Event:
        return await self._heard.get()

    def _hear(self) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._heard.put_nowait(Event(CHANNEL, ""))

    async def publish(self, channel: str, message: Any) -> None:
        if self.connected:
            with contextlib.suppress(Exception):  # who listens finds out, and who rings must live on
                await self._ring()

    async def _keep(self) -> None:
        failures = 0
        while True:
            reason = "the connection was closed"
            try:
                async with self._connection():
                    # Bells that were rung or missed meanwhile are made up for: who rings is heard here too.
                    # And whoever may listen but not ring is not connected.
                    await self._ring()
                    if failures:
                        logger.info("the bus is back")
                    failures = 0
                    self.connected = True
                    try:
                        await self._listen()
                    finally:
                        self.connected = False  # at once: closing a dead link may take its time
            except Exception as error:  # whatever it is, another connection may do
                reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            if failures == 0:
                logger.warning("the bus is lost: changes are seen up to a second late", reason=reason)
            failures += 1
            longest = _RETRY[0] if failures == 1 else _RETRY[1]
            await asyncio.sleep(random.uniform(0, longest))

    @abstractmethod
    def _connection(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Connect and subscribe; let go when the context ends, however it ends."""

    @abstractmethod
    async def _ring(self) -> None:
        """Send a bell. Raises whatever goes wrong with it, within a beat or two."""

    @abstractmethod
    async def _listen(self) -> None:
        """Hear bells until the connection is lost; find out when it is lost silently."""


class PostgresBackend(_ReconnectingBackend):
    """LISTEN and NOTIFY on a connection of its own."""

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        link = await Connector(self._url, {"application_name": "rungraph-bus"}, _BEAT).connect()
        self._lost = asyncio.Event()
        # One connection does one thing at a time: a bell must not meet a heartbeat on it.
        self._turn = asyncio.Lock()
        try:
            link.add_termination_listener(lambda _: self._lost.set())
            await link.add_listener(CHANNEL, lambda *_: self._hear())
            self._link = link
            yield
        finally:
            link.terminate()

    async def _listen(self) -> None:
        while not self._lost.is_set():
            # Not wait_for, which may swallow that it is cancelled (cpython#86296), and the bus never ended.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT):
                    await self._lost.wait()
                return
            async with self._turn:
                await self._link.execute("SELECT 1", timeout=_BEAT)

    async def _ring(self) -> None:
        link = self._link
        async with self._turn:
            try:
                await link.execute("SELECT pg_notify($1, '')", CHANNEL, timeout=_BEAT)
            except Exception:
                link.terminate()  # which who listens is told of
                raise


class RedisBackend(_ReconnectingBackend):
    """Redis publish and subscribe."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._turn = asyncio.Lock()
        self._link: Redis | None = None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        # No timeout on reading: silence is the rule. Whether the link lives is asked by PING. And no second
        # tries of the library's own, with which nobody would know that the link was lost.
        link = Redis.from_url(
            self._url,
            socket_timeout=None,
            socket_connect_timeout=_BEAT,
            socket_keepalive=True,
            socket_keepalive_options=TCP_OPTIONS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            async with link.pubsub() as bells:
                async with asyncio.timeout(_BEAT):
                    await bells.subscribe(CHANNEL)
                self._link, self._bells = link, bells
                yield
        finally:
            async with self._turn:
                self._link = None
                await link.aclose()

    async def _listen(self) -> None:
        asked = False
        while True:
            # Its own timeout is for what comes in. When the link is lost, it connects once more without any.
            async with asyncio.timeout(2 * _BEAT):
                message = await self._bells.get_message(timeout=_BEAT)
            if message is not None:
                asked = False
                if message["type"] == "message":
                    self._hear()
            elif asked:
                raise TimeoutError("Redis does not answer")
            else:
                async with asyncio.timeout(_BEAT):
                    await self._bells.ping()
                asked = True

    async def _ring(self) -> None:
        # A ring that met the link being closed, or that waited for that, would open another connection, which
        # nobody closed.
        async with self._turn, asyncio.timeout(_BEAT):
            if self._link is None:
                raise ConnectionError("the link was closed")
            await self._link.publish(CHANNEL, "")
