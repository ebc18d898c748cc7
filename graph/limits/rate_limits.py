"""Rate limits: how often each caller, or each address, may do something.

Calls are counted in the process and reported to the storage a few times a second: a request to the storage
for each call would cost more than most operations.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItem, parse
from limits.aio.strategies import FixedWindowRateLimiter

from graph.errors import RequestRefused

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

logger = structlog.get_logger("rungraph.rate_limits")

REPORT_INTERVAL = 0.1
"""Seconds for which calls are counted here before they are reported to the storage."""
STORAGE_TIMEOUT = 0.5
"""Seconds for the storage to respond."""
RETRY_INTERVAL = 5.0
"""Seconds after which a storage that was unavailable is tried again."""
MAX_KEYS = 10_000
"""Callers, or addresses, that are counted at a time."""
_MAX_CLOCK_DRIFT = 1.0
"""Seconds by which the rest of a window may exceed its length without a clock that was set back."""


@dataclass(slots=True)
class Counter:
    """The calls of one key since the last report to the storage."""

    pending: int = 0
    """Calls that are not reported yet."""
    remaining: int = 0
    """Calls that are allowed until the next report."""
    reported_at: float = 0.0
    refused_until: float = 0.0
    is_reporting: bool = False


class RateLimit:
    """Limits how often each key may do something."""

    def __init__(self, limit: str, subject: str, storage: "RateStorage") -> None:
        """`limit` is like `100/minute`, or empty for no limit; `subject` is what is counted."""
        self._item: RateLimitItem | None = parse(limit) if limit else None
        self._subject = subject
        self._storage = storage
        self._reports: set[asyncio.Task[None]] = set()
        self.counters: OrderedDict[str, Counter] = OrderedDict()
        """By key, the oldest first; at most MAX_KEYS."""

    async def admit(self, key: str) -> None:
        """Count a call. Raises RequestRefused if it is over the limit."""
        if self._item is None:
            return
        counter, now = self._counter(key), time.monotonic()
        if counter.pending < counter.remaining and now < counter.reported_at + REPORT_INTERVAL:
            counter.pending += 1
            return
        if now >= counter.refused_until:
            counter.pending += 1
            await self._report(key, counter)
            if now >= counter.refused_until:
                return
        raise self._refusal(counter)

    def record(self, key: str) -> None:
        """Count a call without waiting for the storage. Raises RequestRefused if an earlier report has found
        the key over the limit."""
        if self._item is None:
            return
        counter = self._counter(key)
        counter.pending += 1
        if not counter.is_reporting:
            counter.is_reporting = True
            report = asyncio.create_task(self._report(key, counter))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)
        if time.monotonic() < counter.refused_until:
            raise self._refusal(counter)

    def _counter(self, key: str) -> Counter:
        counter = self.counters.get(key)
        if counter is None:
            counter = self.counters[key] = Counter()
            if len(self.counters) > MAX_KEYS:
                self.counters.popitem(last=False)
        return counter

    async def _report(self, key: str, counter: Counter) -> None:
        assert self._item is not None
        number, counter.pending = counter.pending, 0
        try:
            remaining, reset_after = await self._storage.add(self._item, self._subject, key, number)
        finally:
            counter.is_reporting = False
        now = counter.reported_at = time.monotonic()
        counter.remaining = remaining
        if remaining < 0:
            counter.refused_until = now + reset_after

    def _refusal(self, counter: Counter) -> RequestRefused:
        seconds = max(1, round(counter.refused_until - time.monotonic() + 0.5))
        text = f"Too many {self._subject}: the limit is {self._item}. Try again in {seconds} s."
        return RequestRefused(429, "RATE_LIMITED", text, retry_after=str(seconds))


class RateStorage:
    """Counts in this process, or in Redis for all replicas. While Redis is unavailable, this process counts
    alone."""

    def __init__(self, url: str) -> None:
        self._windows = Windows()
        self._limiter: FixedWindowRateLimiter | None = None
        self._pool: ConnectionPool | None = None
        self._unavailable_until = 0.0
        if not url.startswith("memory"):
            from limits.aio.storage import RedisStorage
            from redis import asyncio as redis

            timeouts = {"socket_timeout": STORAGE_TIMEOUT, "socket_connect_timeout": STORAGE_TIMEOUT}
            self._pool = redis.ConnectionPool.from_url(url, **timeouts)
            shared = RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix="rungraph",
                connection_pool=self._pool,  # type: ignore[arg-type]
            )
            self._limiter = FixedWindowRateLimiter(shared)

    async def add(self, item: RateLimitItem, subject: str, key: str, number: int) -> tuple[int, float]:
        """Count `number` calls. Returns how many more are allowed, below 0 if these are too many, and the
        seconds until the count is reset."""
        if self._limiter is not None and time.monotonic() >= self._unavailable_until:
            try:
                async with asyncio.timeout(STORAGE_TIMEOUT):
                    result = await _add(self._limiter, item, subject, key, number)
            except Exception as error:  # whatever it is, no request is refused for it
                if not self._unavailable_until:
                    reason = type(error).__name__
                    logger.warning("rate limits are counted by this process alone", reason=reason)
                self._unavailable_until = time.monotonic() + RETRY_INTERVAL
            else:
                if self._unavailable_until:
                    logger.info("rate limits are shared by all replicas again")
                    self._unavailable_until = 0.0
                return result
        return self._windows.add(item, subject, key, number)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()


async def _add(
    limiter: FixedWindowRateLimiter, item: RateLimitItem, subject: str, key: str, number: int
) -> tuple[int, float]:
    is_within = await limiter.hit(item, subject, key, cost=number)
    window = await limiter.get_window_stats(item, subject, key)
    # The library adds the same clock to the time to live of the key in Redis.
    reset_after = window.reset_time - time.time()
    if reset_after > item.get_expiry() + _MAX_CLOCK_DRIFT:
        # The clock of Redis was set back: the window would last longer by as much.
        await limiter.clear(item, subject, key)
        reset_after = float(item.get_expiry())
    return window.remaining if is_within else -1, reset_after


class Windows:
    """Fixed windows in this process, by the monotonic clock."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._max_windows = MAX_KEYS

    def add(self, item: RateLimitItem, subject: str, key: str, number: int) -> tuple[int, float]:
        """The same as RateStorage.add."""
        now, name = time.monotonic(), (str(item), subject, key)
        ends, count = self._windows.get(name, (0.0, 0))
        if now >= ends:
            ends, count = now + item.get_expiry(), 0
        self._windows[name] = ends, count + number
        if len(self._windows) > self._max_windows:
            self._windows = {each: window for each, window in self._windows.items() if now < window[0]}
            self._max_windows = max(MAX_KEYS, 2 * len(self._windows))
        return max(item.amount - count - number, -1), ends - now


def check_rate(limit: str) -> None:
    """Raise ValueError for an invalid limit."""
    try:
        if limit:
            parse(limit)
    except ValueError:
        raise ValueError("must be like `100/minute` or `1000/10seconds`, or empty") from None
