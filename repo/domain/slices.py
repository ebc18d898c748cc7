"""Long loops that leave the event loop to others now and then."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

_SLICE = 250
"""Items that take a few milliseconds in the loops of writes."""


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """The items; between some of them other tasks run."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % _SLICE == 0:
            await asyncio.sleep(0)
