"""Owns how long something may take: many waits of the same length have one timer together.

A timer for each, as asyncio has it, costs ten times as much, for what hardly ever happens.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class _Wait:
    __slots__ = ("cancelling", "ends", "is_over", "task")

    def __init__(self, task: asyncio.Task[object], ends: float) -> None:
        self.task = task
        self.ends = ends
        self.cancelling = task.cancelling()
        self.is_over = False


class Deadline:
    """Breaks off what takes longer than so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # In the order in which they end.
        self._waits: dict[_Wait, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def keep(self, result: Awaitable[T]) -> T:
        """The result. Raises TimeoutError where it takes too long, for which it is cancelled."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        if loop is not self._loop:
            # An application may be started again, in another loop: the timer of the last one never rings.
            self._loop, self._timer = loop, None
            self._waits.clear()
        wait = _Wait(task, loop.time() + self.seconds)
        self._waits[wait] = None
        if self._timer is None:
            self._timer = loop.call_at(wait.ends, self._look, loop)
        try:
            return await result
        except asyncio.CancelledError:
            # It may have been cancelled by somebody else too, who wants to see that.
            if wait.is_over and task.uncancel() <= wait.cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._waits.pop(wait, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for wait in list(self._waits):
            if wait.ends > now:
                self._timer = loop.call_at(wait.ends, self._look, loop)
                return
            del self._waits[wait]
            wait.is_over = True
            wait.task.cancel()
