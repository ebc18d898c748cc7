"""Subscribers: each client of a stream, and the encoded results that wait for it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graphql import GraphQLError

from graph.transport.frames import text_frame

MAX_WAITING = 32
"""Results that wait for one subscriber, beyond which it leaves the stream and resumes by itself."""
MAX_WAITING_BYTES = 64 * 1024
"""Bytes of them, likewise."""


@dataclass(slots=True)
class EncodedResult:
    """A result of an operation, encoded."""

    body: bytes
    """The payload of its message."""
    errors: list[GraphQLError]
    """The errors that end the operation; empty if it continues."""
    cursor: str | None
    """Where a client resumes after it; None unless it is a frame of a stream."""
    problems: Sequence[GraphQLError] = ()
    """All errors in it, those of single fields included."""
    _before: bytes = b""
    _frame: bytes = b""

    def frame(self, before: bytes) -> bytes:
        """The websocket frame of a message that has `before` in front of the payload. Subscribers that use
        the same operation id share it."""
        if before != self._before:
            self._before, self._frame = before, text_frame(before, self.body, b"}")
        return self._frame


class Source(Protocol):
    """The stream of a subscriber."""

    @property
    def can_be_resumed(self) -> bool:
        """Whether a subscriber that leaves can resume after its last cursor."""

    def note_sent(self) -> None:
        """Called after a subscriber was sent one of its waiting results."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """A client that gets the results of a stream. There are many, and a list and a future take less memory
    than a deque and an event."""

    _write: Callable[[EncodedResult], bool] | None
    stream: Source | None = None
    """None once it was too slow, and gets no more results."""
    cursor: str | None = None
    """That of the last result it was sent."""
    _waiting: list[EncodedResult] = field(default_factory=list)
    _size: int = 0
    _is_sending: bool = False
    _ended: bool = False
    _error: BaseException | None = None
    _waiter: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of results that wait for it."""
        return len(self._waiting)

    def put(self, result: EncodedResult) -> bool:
        """Send it this result; False if it is too slow, and gets no more."""
        write = self._write
        if write and not self._waiting and not self._is_sending and not result.errors and write(result):
            self.cursor = result.cursor
            return True
        is_full = len(self._waiting) >= MAX_WAITING or self._size > MAX_WAITING_BYTES
        if self._waiting and is_full and self.stream is not None and self.stream.can_be_resumed:
            self._waiting.clear()
            self._size = 0
            self.stream = None
            self._wake()
            return False
        self._waiting.append(result)
        self._size += len(result.body)
        self._wake()
        return True

    def end(self, error: BaseException | None) -> None:
        """End after the waiting results, with this error if one is given."""
        self._ended, self._error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def results(self) -> AsyncGenerator[EncodedResult, None]:
        """The results that could not be written at once, until the stream ends or this was too slow."""
        while self.stream is not None:
            if self._waiting:
                result = self._waiting.pop(0)
                self._size -= len(result.body)
                self._is_sending = True
                yield result
                self._is_sending = False
                self.cursor = result.cursor
                if self.stream is not None:
                    self.stream.note_sent()
            elif self._ended:
                if self._error is not None:
                    raise self._error
                return
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
