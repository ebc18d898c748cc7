"""The notification bus: a replica notifies the others that something was committed.

A notification carries no data, so a lost one costs time but nothing else: every replica polls once a second
anyway. It is sent after a commit, never within one, and at most every 20 ms.
"""

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from broadcaster import Broadcast, BroadcastBackend, Event

from repo.domain.errors import InvalidArgument
from repo.sql.postgres import TCP_OPTIONS, Connector
from repo.sql.urls import split_hosts
from repo.supervision import Supervisor

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = structlog.get_logger("rungraph.bus")

CHANNEL = "rungraph"
MIN_INTERVAL = 0.02
"""Seconds between two notifications of one replica."""
HEARTBEAT = 5.0
"""Seconds after which a silent connection is probed, and within which it must answer."""
RETRY = (0.1, 2.0)
"""Upper bounds of the random delays before the first and each later attempt to reconnect, in seconds."""


def check_broadcast_url(url: str) -> None:
    """Raise InvalidArgument unless it is a memory://, postgresql:// or redis:// URL. The message does not
    repeat it."""
    _backend(url)


def _backend(url: str) -> "ReconnectingBackend | None":
    """The backend for a URL; None for the library's own, in memory."""
    try:
        for each in split_hosts(url):
            parsed = urlsplit(each)
            _ = parsed.port
    except ValueError:
        # The parser takes a password that contains a slash for the port, and quotes it in its error.
        raise InvalidArgument("the bus URL is invalid: is its password percent-encoded?") from None
    match parsed.scheme:
        case "memory":
            return None
        case "postgres" | "postgresql" | "postgresql+asyncpg":
            return PostgresBackend(url)
        case "redis" | "rediss":
            return RedisBackend(url)
    raise InvalidArgument("the bus URL must be memory://, postgresql:// or redis://")


class Bus:
    """The bus as one replica sees it. `on_notification` is called when any replica has sent one."""

    def __init__(
        self, url: str, on_notification: Callable[[], None], supervisor: Supervisor | None = None
    ) -> None:
        """Raises InvalidArgument as check_broadcast_url does."""
        self._backend = _backend(url)
        self._supervisor = supervisor or Supervisor()
        if self._backend is not None:
            self._backend.supervisor = self._supervisor
        self._broadcast = Broadcast(url if self._backend is None else None, backend=self._backend)
        self._on_notification = on_notification
        self._to_send = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether notifications reach other replicas, as far as is known."""
        return self._backend is None or self._backend.connected

    def notify(self) -> None:
        """Notify the other replicas. Returns at once and never fails."""
        self._to_send.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect, send and receive for as long as the context lasts. An unavailable bus is no error: it is
        retried until it is available."""
        async with self._broadcast, self._broadcast.subscribe(CHANNEL) as notifications:

            async def receive() -> None:
                while True:
                    await notifications.get()
                    self._on_notification()

            tasks = [
                self._supervisor.start("bus receiver", receive),
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
            await self._to_send.wait()
            self._to_send.clear()
            await self._broadcast.publish(CHANNEL, "")
            await asyncio.sleep(MIN_INTERVAL)


class ReconnectingBackend(BroadcastBackend, ABC):
    """A backend with a task that keeps a connection open, and reconnects when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.supervisor = Supervisor()
        self.connected = False
        # One waiting notification says as much as many.
        self._received: asyncio.Queue[Event] = asyncio.Queue(maxsize=1)

    async def connect(self) -> None:
        self._connection_task = self.supervisor.start("bus connection", self._keep_connected)

    async def disconnect(self) -> None:
        self._connection_task.cancel()
        await asyncio.gather(self._connection_task, return_exceptions=True)

    async def subscribe(self, group: str) -> None:
        """Nothing to do: each connection subscribes to the one channel when it opens."""

    async def unsubscribe(self, group: str) -> None:
        """Nothing to do, likewise."""

    async def next_published(self) -> Event:
        return await self._received.get()

    def receive(self) -> None:
        """A notification came in."""
        with contextlib.suppress(asyncio.QueueFull):
            self._received.put_nowait(Event(CHANNEL, ""))

    async def publish(self, channel: str, message: Any) -> None:
        if self.connected:
            with contextlib.suppress(Exception):  # `_listen` finds out, and the sender must go on
                await self._notify()

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            reason = "the connection was closed"
            try:
                async with self._connection():
                    # Makes up for notifications lost meanwhile, in both directions: the sender receives its
                    # own. And without the permission to send, this replica is not connected.
                    await self._notify()
                    if failures:
                        logger.info("bus connection restored")
                    failures = 0
                    self.connected = True
                    try:
                        await self._listen()
                    finally:
                        self.connected = False  # at once: closing a dead connection may take long
            except Exception as error:  # whatever it is, a new connection may work
                reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            if failures == 0:
                logger.warning("bus connection lost: changes arrive up to a second late", reason=reason)
            failures += 1
            longest = RETRY[0] if failures == 1 else RETRY[1]
            await asyncio.sleep(random.uniform(0, longest))

    @abstractmethod
    def _connection(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Connect and subscribe; disconnect when the context ends."""

    @abstractmethod
    async def _notify(self) -> None:
        """Send a notification. Raises any error, within two heartbeats."""

    @abstractmethod
    async def _listen(self) -> None:
        """Receive notifications until the connection is lost, also where it is lost silently."""


class PostgresBackend(ReconnectingBackend):
    """LISTEN and NOTIFY on a connection of its own."""

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        link = await Connector(self._url, {"application_name": "rungraph-bus"}, HEARTBEAT).connect()
        self._lost = asyncio.Event()
        # A connection runs one statement at a time: heartbeats and notifications take turns.
        self._lock = asyncio.Lock()
        try:
            link.add_termination_listener(lambda _: self._lost.set())
            await link.add_listener(CHANNEL, lambda *_: self.receive())
            self._link = link
            yield
        finally:
            link.terminate()

    async def _listen(self) -> None:
        while not self._lost.is_set():
            # Not wait_for, which may swallow a cancellation (cpython#86296): the bus never closed.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._lost.wait()
                return
            async with self._lock:
                await self._link.execute("SELECT 1", timeout=HEARTBEAT)

    async def _notify(self) -> None:
        link = self._link
        async with self._lock:
            try:
                await link.execute("SELECT pg_notify($1, '')", CHANNEL, timeout=HEARTBEAT)
            except Exception:
                link.terminate()  # which ends `_listen`
                raise


class RedisBackend(ReconnectingBackend):
    """Redis publish and subscribe."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._lock = asyncio.Lock()
        self._link: Redis | None = None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        # Imported here: it takes a tenth of a second, which most servers can do without.
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        # No timeout on reads, since silence is normal: PING probes the connection. And no retries by the
        # library, which would hide that the connection was lost.
        link = Redis.from_url(
            self._url,
            socket_timeout=None,
            socket_connect_timeout=HEARTBEAT,
            socket_keepalive=True,
            socket_keepalive_options=TCP_OPTIONS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            async with link.pubsub() as subscription:
                async with asyncio.timeout(HEARTBEAT):
                    await subscription.subscribe(CHANNEL)
                self._link, self._subscription = link, subscription
                yield
        finally:
            async with self._lock:
                self._link = None
                await link.aclose()

    async def _listen(self) -> None:
        is_probing = False
        while True:
            # The timeout of get_message is for incoming data; its reconnecting has none.
            async with asyncio.timeout(2 * HEARTBEAT):
                message = await self._subscription.get_message(timeout=HEARTBEAT)
            if message is not None:
                is_probing = False
                if message["type"] == "message":
                    self.receive()
            elif is_probing:
                raise TimeoutError("Redis does not answer")
            else:
                async with asyncio.timeout(HEARTBEAT):
                    await self._subscription.ping()
                is_probing = True

    async def _notify(self) -> None:
        # Publishing while the connection is being closed would open another one and leak it.
        async with self._lock, asyncio.timeout(HEARTBEAT):
            if self._link is None:
                raise ConnectionError("the connection was closed")
            await self._link.publish(CHANNEL, "")
