"""Supervises background loops: one that ends by an unexpected error is logged, counted and restarted."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context

import structlog

logger = structlog.get_logger("rungraph.background")

_PAUSES = (0.1, 5.0)
"""Restart backoff in seconds: initial and maximum."""

ALIVE_AFTER = 1.0
"""Seconds after a restart until the loop counts as alive."""

_HEALTHY_AFTER = 30.0
"""Seconds of running after which the backoff is reset."""


class Supervisor:
    """The background loops of one server."""

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        """The number of failures by loop name."""
        self._failed: set[str] = set()

    @property
    def failed(self) -> list[str]:
        """The names of loops that failed and are not alive again."""
        return sorted(self._failed)

    def start(
        self, name: str, work: Callable[[], Awaitable[None]], context: Context | None = None
    ) -> asyncio.Task[None]:
        """Starts a task that runs `work` until it returns or the task is cancelled."""
        self.restarts.setdefault(name, 0)
        return asyncio.create_task(self._keep(name, work), name=name, context=context)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._run(name, work)
                    return
                except (Exception, asyncio.CancelledError) as error:
                    if _is_cancelled():
                        raise asyncio.CancelledError from error
                    # Something that it awaited was cancelled: that counts as an error.
                    failures = 1 if time.monotonic() - began > _HEALTHY_AFTER else failures + 1
                    pause = min(_PAUSES[1], _PAUSES[0] * 2.0 ** min(failures - 1, 20))
                    self._note(name, error, pause)
                await asyncio.sleep(random.uniform(pause / 2, pause))
        finally:
            self._failed.discard(name)

    async def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        alive = asyncio.get_running_loop().call_later(ALIVE_AFTER, self._failed.discard, name)
        try:
            await work()
        finally:
            alive.cancel()

    def _note(self, name: str, error: BaseException, pause: float) -> None:
        self._failed.add(name)
        self.restarts[name] += 1
        with suppress(Exception):  # the configured logging may fail
            logger.error(
                "background loop ended by an error", loop=name, again_in_seconds=pause, exc_info=error
            )


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
