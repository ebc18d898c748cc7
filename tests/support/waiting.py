"""Waits for conditions without an event."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

SECONDS = 40


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Polls until the condition is true. Raises TimeoutError."""
    async with asyncio.timeout(SECONDS):
        while True:
            holds = condition()
            if await holds if inspect.isawaitable(holds) else holds:
                return
            await asyncio.sleep(0.02)
