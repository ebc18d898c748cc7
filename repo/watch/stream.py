"""Streams: frames of bounded size, and how far a stream has come."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from repo.domain.cursors import FeedPosition, WatchCursor
from repo.domain.errors import DatabaseUnavailable
from repo.domain.models import RemovedRun
from repo.sql.rows import Rows
from repo.watch.hub import Hub
from repo.watch.mailboxes import Mailbox

T = TypeVar("T")

MAX_ROWS = 500
"""Rows in a frame. Executing and encoding them blocks the event loop."""
MAX_BYTES = 1024 * 1024
"""Characters of long text in a frame; one row may have more alone."""
_RETRY = 1.0
"""The longest delay until an unavailable database is tried again, in seconds."""


class FrameKind(Enum):
    """The kind of a frame."""

    SNAPSHOT = "snapshot"
    SYNCED = "synced"
    CHANGE = "change"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Frame(Generic[T]):
    """A part of a stream. Passed as `after`, `cursor` resumes the stream after it."""

    kind: FrameKind
    items: Sequence[T]
    removed: Sequence[T | RemovedRun]
    cursor: str


class Stream(AsyncGenerator[T, None]):
    """An async iterator of frames (or of single entities); `aclose` ends it.

    Two streams of the same rows that are both drained between two polls continue alike: one can take the
    place of the other.
    """

    def __init__(
        self, hub: Hub, mailbox: Mailbox, generate: "Callable[[Stream[T]], AsyncGenerator[T, None]]"
    ):
        self.hub = hub
        self.mailbox = mailbox
        self.cursor: str | None = None
        """The cursor of the last frame; None in a stream of entities or before the first one."""
        self.is_complete = False
        """The last frame completed what it is part of: a snapshot, or the changes of a poll."""
        self.is_waiting = False
        """There was nothing to yield, and it waits for its mailbox to be filled."""
        self.on_next: Callable[[], None] | None = None
        """Called before each item."""
        self.on_waiting: Callable[[], None] | None = None
        """Called when it begins to wait."""
        self._items = generate(self)

    def __anext__(self) -> Coroutine[Any, Any, T]:
        return self.asend(None)

    def asend(self, value: None) -> Coroutine[Any, Any, T]:
        """The next item."""
        if self.on_next is not None:
            self.on_next()
        return self._items.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, T]:
        """Raise an error inside."""
        return self._items.athrow(*error)

    def aclose(self) -> Coroutine[Any, Any, None]:
        """End the stream."""
        return self._items.aclose()

    @property
    def is_drained(self) -> bool:
        """Whether everything that was read from the feed has been yielded. Meaningful between polls."""
        return self.is_complete and self.mailbox.is_empty

    def between_polls(self) -> AbstractAsyncContextManager[object]:
        """While it is entered, no poll fills mailboxes."""
        return self.hub.between_polls()

    def mark(self, frame: Frame[Any], is_complete: bool) -> Frame[Any]:
        """The frame, which is yielded next."""
        self.cursor, self.is_complete = frame.cursor, is_complete
        return frame

    def resync(self, position: FeedPosition) -> Frame[Any]:
        """The frame that restarts the stream from this position."""
        self.hub.metrics.resyncs += 1
        return self.mark(Frame(FrameKind.RESYNC, [], [], cursor_text(position)), False)

    async def wait(self) -> None:
        """Wait for the mailbox to be filled."""
        self.mailbox.wake_up.clear()
        self.is_waiting = self.is_complete = True
        if self.on_waiting is not None:
            self.on_waiting()
        try:
            await self.mailbox.wake_up.wait()
        finally:
            self.is_waiting = False


def cursor_text(position: FeedPosition, page: str | None = None) -> str:
    """The cursor of a frame."""
    return _text(WatchCursor(position, page))


@lru_cache(64)  # the streams that get the same changes get the same cursor
def _text(cursor: WatchCursor) -> str:
    return str(cursor)


async def until_available(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` returns, retried while the database is unavailable: that does not end a stream."""
    while True:
        try:
            return await read()
        except DatabaseUnavailable:
            await asyncio.sleep(random.uniform(0, _RETRY))


def parts_of(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each frame begins and ends, for rows of these sizes."""
    if 0 < len(sizes) <= MAX_ROWS and sum(sizes) <= MAX_BYTES:
        yield 0, len(sizes)
        return
    start = total = 0
    for index, size in enumerate(sizes):
        if index - start == MAX_ROWS or (index > start and total + size > MAX_BYTES):
            yield start, index
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes)


def part(items: Sequence[T], start: int, end: int) -> Sequence[T]:
    """A slice of the items, which does not turn rows into objects."""
    return items.part(start, end) if isinstance(items, Rows) else items[start:end]
