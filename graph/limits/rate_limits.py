"""Rate limits: connections of a caller and an address, operations of a caller, failed authentications of an
address.

Operations are counted in the process and reported to the storage a few times a second: asking the storage
each time would cost more than most operations.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Self

import structlog
from limits import RateLimitItem, parse
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection

from graph.auth.caller import ANONYMOUS, Caller
from graph.errors import RequestRefused

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

logger = structlog.get_logger("rungraph.throttle")

_TELL_EVERY = 0.1
"""Seconds for which is counted here, before the storage is told."""
_STORAGE_WITHIN = 0.5
"""Seconds that the storage has to answer."""
_ASK_AGAIN_AFTER = 5.0
"""Seconds after which a storage that is away is asked again."""
_DRIFT = 1.0
"""Seconds by which what is left of a window may be longer than it, for reasons other than a wrong clock."""
_MOST_COUNTED = 10_000
"""Callers, or addresses, that are counted at a time."""
_IPV6_NETWORK = 64
"""Bits that addresses of IPv6 have in common that one customer has."""


class Count:
    """How much somebody may do until the storage is asked again."""

    __slots__ = ("is_telling", "left", "refused_until", "told_at", "untold")

    def __init__(self) -> None:
        self.untold = 0
        self.left = 0
        self.told_at = 0.0
        self.refused_until = 0.0
        self.is_telling = False


class Rate:
    """How often each of many may do something."""

    def __init__(self, limit: str, subject: str, storage: "Counting") -> None:
        """`limit` is like `100/minute`, and nothing for no limit; `subject` is what is counted."""
        self._item: RateLimitItem | None = parse(limit) if limit else None
        self._subject = subject
        self._storage = storage
        self._counts: OrderedDict[str, Count] = OrderedDict()
        self._telling: set[asyncio.Task[None]] = set()

    async def admit(self, key: str) -> None:
        """They do it once more. Raises RequestRefused."""
        if self._item is None:
            return
        count, now = self._count(key), time.monotonic()
        if count.untold < count.left and now < count.told_at + _TELL_EVERY:
            count.untold += 1
            return
        if now >= count.refused_until:
            count.untold += 1
            await self._tell(key, count)
            if now >= count.refused_until:
                return
        raise self._refusal(count)

    def note(self, key: str) -> None:
        """They did it once more. Raises RequestRefused where that was too often, as soon as it is known."""
        if self._item is None:
            return
        count = self._count(key)
        count.untold += 1
        if not count.is_telling:
            count.is_telling = True
            telling = asyncio.create_task(self._tell(key, count))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
        if time.monotonic() < count.refused_until:
            raise self._refusal(count)

    def _count(self, key: str) -> Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = Count()
            if len(self._counts) > _MOST_COUNTED:
                self._counts.popitem(last=False)
        return count

    async def _tell(self, key: str, count: Count) -> None:
        assert self._item is not None
        number, count.untold = count.untold, 0
        try:
            left, again_after = await self._storage.add(self._item, self._subject, key, number)
        finally:
            count.is_telling = False
        now = count.told_at = time.monotonic()
        count.left = left
        if left < 0:
            count.refused_until = now + again_after

    def _refusal(self, count: Count) -> RequestRefused:
        seconds = max(1, round(count.refused_until - time.monotonic() + 0.5))
        text = f"Too many {self._subject}: {self._item} are allowed. Try again in {seconds} s."
        return RequestRefused(429, "RATE_LIMITED", text, retry_after=str(seconds))


class Counting:
    """Where is counted: in this process, or in Redis for all replicas. While Redis is away, it is this
    process: nobody is refused for that."""

    def __init__(self, url: str) -> None:
        self._own = Windows()
        self._shared: FixedWindowRateLimiter | None = None
        self._pool: ConnectionPool | None = None
        if not url.startswith("memory"):
            from limits.aio.storage import RedisStorage
            from redis import asyncio as redis

            within = {"socket_timeout": _STORAGE_WITHIN, "socket_connect_timeout": _STORAGE_WITHIN}
            self._pool = redis.ConnectionPool.from_url(url, **within)
            shared = RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix="rungraph",
                connection_pool=self._pool,  # type: ignore[arg-type]
            )
            self._shared = FixedWindowRateLimiter(shared)
        self._away_until = 0.0

    async def add(self, item: RateLimitItem, subject: str, key: str, number: int) -> tuple[int, float]:
        """Add to what was counted. How many more there may be, below 0 where these were too many already,
        and in how many seconds the count begins anew."""
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(_STORAGE_WITHIN):
                    found = await _add(self._shared, item, subject, key, number)
            except Exception as error:  # whatever it is, nobody is refused for it
                if not self._away_until:
                    logger.warning("counting in this process alone", reason=type(error).__name__)
                self._away_until = time.monotonic() + _ASK_AGAIN_AFTER
            else:
                if self._away_until:
                    logger.info("counting together with other replicas again")
                    self._away_until = 0.0
                return found
        return self._own.add(item, subject, key, number)

    async def close(self) -> None:
        """Leave Redis alone."""
        if self._pool is not None:
            await self._pool.aclose()


async def _add(
    limiter: FixedWindowRateLimiter, item: RateLimitItem, subject: str, key: str, number: int
) -> tuple[int, float]:
    is_within = await limiter.hit(item, subject, key, cost=number)
    window = await limiter.get_window_stats(item, subject, key)
    # The library adds the same clock to what Redis says is left.
    again_after = window.reset_time - time.time()
    if again_after > item.get_expiry() + _DRIFT:
        # The clock of Redis was put back, and the window would go on for as long as that.
        await limiter.clear(item, subject, key)
        again_after = float(item.get_expiry())
    return window.remaining if is_within else -1, again_after


class Windows:
    """Fixed windows in this process, by a clock that nobody can change."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._sweep_above = _MOST_COUNTED

    def add(self, item: RateLimitItem, subject: str, key: str, number: int) -> tuple[int, float]:
        """As Counting.add."""
        now, name = time.monotonic(), (str(item), subject, key)
        ends, count = self._windows.get(name, (0.0, 0))
        if now >= ends:
            ends, count = now + item.get_expiry(), 0
        self._windows[name] = ends, count + number
        if len(self._windows) > self._sweep_above:
            self._windows = {each: window for each, window in self._windows.items() if now < window[0]}
            self._sweep_above = max(_MOST_COUNTED, 2 * len(self._windows))
        left = item.amount - count - number
        return max(left, -1), ends - now


class Throttle:
    """What one server counts. The limits of connections hold for each process of it."""

    def __init__(
        self,
        *,
        rate_limit: str = "",
        auth_failures: str = "",
        storage: str = "memory://",
        most_per_address: int = 5000,
        most_per_caller: int = 1000,
    ) -> None:
        self._counting = Counting(storage)
        self._operations = Rate(rate_limit, "operations", self._counting)
        self._failures = Rate(auth_failures, "failed attempts to sign in", self._counting)
        self._of_addresses = Connections(most_per_address, "from your address")
        self._of_callers = Connections(most_per_caller, "of yours")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """The same, as long as the context lasts."""
        try:
            yield self
        finally:
            await self._counting.close()

    def connection(self) -> "Connection":
        """A connection, or a request, that began."""
        return Connection(self._of_addresses, self._of_callers)

    async def admit(self, caller: Caller) -> None:
        """The caller sends one more operation. Raises RequestRefused. Whoever is asked nothing may be
        everybody, and is not counted."""
        if caller is not ANONYMOUS:
            await self._operations.admit(caller.key)

    def note_failure(self, connection: HTTPConnection) -> None:
        """Somebody showed what is not good. Raises RequestRefused where their address does so too often."""
        self._failures.note(address_of(connection))


class Connections:
    """How many go on at a time, by whose they are."""

    def __init__(self, most: int, whose: str) -> None:
        self._most = most
        self._whose = whose
        self._open: dict[str, int] = {}

    def enter(self, key: str) -> None:
        """One more. Raises RequestRefused."""
        count = self._open.get(key, 0)
        if count >= self._most:
            text = f"{self._most} connections {self._whose} are open; more are not allowed."
            raise RequestRefused(429, "RATE_LIMITED", text, retry_after="10")
        self._open[key] = count + 1

    def leave(self, key: str) -> None:
        """One less."""
        count = self._open[key] - 1
        if count:
            self._open[key] = count
        else:
            del self._open[key]


class Connection:
    """One that is counted until its context ends, once it is known whose it is."""

    __slots__ = ("_address", "_caller", "_of_addresses", "_of_callers")

    def __init__(self, of_addresses: Connections, of_callers: Connections) -> None:
        self._of_addresses = of_addresses
        self._of_callers = of_callers
        self._address: str | None = None
        self._caller: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._address is not None:
            self._of_addresses.leave(self._address)
        if self._caller is not None:
            self._of_callers.leave(self._caller)

    def comes_from(self, connection: HTTPConnection) -> None:
        """It is of this address. Raises RequestRefused."""
        address = address_of(connection)
        self._of_addresses.enter(address)
        self._address = address

    def belongs_to(self, caller: Caller) -> None:
        """It is of this caller. Raises RequestRefused. Whoever is asked nothing may be everybody."""
        if caller is not ANONYMOUS:
            self._of_callers.enter(caller.key)
            self._caller = caller.key


def check_rate(limit: str) -> None:
    """Raise ValueError for what is no limit."""
    try:
        if limit:
            parse(limit)
    except ValueError:
        raise ValueError("must be like `100/minute` or `1000/10seconds`, or empty") from None


def address_of(connection: HTTPConnection) -> str:
    """What stands for the address that a client comes from."""
    client = connection.scope.get("client")
    return _network(client[0]) if client else ""


@lru_cache(4096)
def _network(host: str) -> str:
    # Whoever has one address of IPv6 has very many.
    if ":" not in host:
        return host
    try:
        return str(ip_network((host.partition("%")[0], _IPV6_NETWORK), strict=False))
    except ValueError:
        return host
