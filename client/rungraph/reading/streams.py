"""What a client does with the frames of a subscription, and when it subscribes again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from . import documents
from .decoding import decode
from .errors import BAD_RESPONSE, SERVICE_UNAVAILABLE, TRANSIENT, ApiError
from .operations import LogPage, LogQuery, Operation
from .protocol import EventParser, result_of
from .types import Action, ActionEvent, Change, LogLine, Run

T = TypeVar("T")
TICK_SECONDS = 1.0
"""How long to wait for a part of a stream before its state is checked."""
_SILENT_SECONDS = 45.0
"""The server sends something every 15 s; after so long without, the connection counts as lost."""
_PAUSES = (0.25, 5.0)
_MAX_CHECK_SECONDS = 10.0


class Stream(Generic[T]):
    """A subscription, and how far it was read."""

    document = ""

    def __init__(self, variables: dict[str, Any]) -> None:
        self.variables = variables
        """Of the next subscription: with the cursor, once there is one."""
        self.is_done = False

    def feed(self, data: dict[str, Any]) -> Iterator[T]:
        """The items of a result."""
        raise NotImplementedError

    def check(self) -> Operation[LogPage] | None:
        """What to read while nothing arrives, if anything."""
        return None

    def checked(self, page: LogPage) -> Iterator[T]:
        """The items of what was read."""
        raise NotImplementedError


class RunStream(Stream[Run]):
    """The versions of a run until it has ended."""

    document = documents.WATCH_RUN

    def feed(self, data: dict[str, Any]) -> Iterator[Run]:
        yield decode(Run, data["run"])


class ActionStream(Stream[Change]):
    """The changes of a run's actions until it has ended."""

    document = documents.WATCH_ACTIONS

    def __init__(self, variables: dict[str, Any]) -> None:
        super().__init__(variables)
        self._known: dict[str, Action] = {}
        self._restarted: dict[str, Action] | None = None
        """After RESYNC: the actions of the new snapshot until it is complete."""

    def feed(self, data: dict[str, Any]) -> Iterator[Change]:
        frame = data["actions"]
        if frame["kind"] == "RESYNC":
            self._restarted = {}
        for value in frame["actions"]:
            yield from self._changed(decode(Action, value))
        for key in frame["removed"]:
            if (removed := self._known.pop(key, None)) is not None:
                yield Change(removed, removed, True)
        if frame["kind"] == "SYNCED" and self._restarted is not None:
            missing = [action for key, action in self._known.items() if key not in self._restarted]
            self._restarted = None
            for action in missing:
                del self._known[action.id]
                yield Change(action, action, True)
        self.variables["after"] = frame["cursor"]

    def _changed(self, action: Action) -> Iterator[Change]:
        known = self._known.get(action.id)
        if self._restarted is not None:
            is_first = action.id not in self._restarted
            self._restarted[action.id] = action
        else:
            is_first = False
        # A new snapshot may have older rows: the database was restored.
        is_newer = known is None or action.revision >= known.revision or is_first
        if is_newer and action != known:
            self._known[action.id] = action
            yield Change(action, known)


class EventStream(Stream[ActionEvent]):
    """The events that are stored."""

    document = documents.EVENTS

    def __init__(self, variables: dict[str, Any]) -> None:
        super().__init__(variables)
        self._known: set[str] = set()

    def feed(self, data: dict[str, Any]) -> Iterator[ActionEvent]:
        frame = data["events"]
        for value in frame["events"]:
            if value["id"] not in self._known:
                self._known.add(value["id"])
                yield decode(ActionEvent, value)
        self.variables["after"] = frame["cursor"]
        self.is_done = frame["kind"] in ("SYNCED", "CHANGE")


class LogStream(Stream[LogLine]):
    """The lines of a log until the attempt has ended, and no more arrive."""

    document = documents.WATCH_LOG

    def __init__(self, query: LogQuery) -> None:
        super().__init__(query.variables(0))
        self._query = query
        self._end = 0
        self._check_after = 0.0
        self._read_at = time.monotonic()

    def feed(self, data: dict[str, Any]) -> Iterator[LogLine]:
        frame = data["logLines"]
        self._read_at, self._check_after = time.monotonic(), 0.0
        if frame["kind"] == "RESYNC":
            self._end = 0
        yield from self._lines([decode(LogLine, value) for value in frame["lines"]], frame["end"])

    def _lines(self, lines: list[LogLine], end: int) -> Iterator[LogLine]:
        for line in lines:
            if line.number > self._end:
                self._end = line.number
                yield line
        self._end = max(self._end, end)
        self.variables["after"] = self._end

    def check(self) -> Operation[LogPage] | None:
        """Whether the attempt has ended: the less often, the longer nothing was logged."""
        now = time.monotonic()
        if now < self._read_at + self._check_after:
            return None
        self._read_at, self._check_after = now, min(2 * self._check_after + TICK_SECONDS, _MAX_CHECK_SECONDS)
        return self._query.page(self._end)

    def checked(self, page: LogPage) -> Iterator[LogLine]:
        if page.has_ended:
            yield from self._lines(page.lines, page.end)
            self.is_done = not page.has_more
            self._check_after = 0.0


class Follower(Generic[T]):
    """Reads a stream across lost connections."""

    def __init__(
        self, stream: Stream[T], url: str, outage_seconds: float, timeout: float | None = None
    ) -> None:
        self.stream = stream
        self._url, self._outage_seconds = url, outage_seconds
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._events = EventParser()
        self._was_connected = False
        self._received_at = time.monotonic()
        self._begun_at = self._received_at
        self._pause = _PAUSES[0]

    def seconds_left(self, limit: float) -> float:
        """The time until the deadline, at most so long. Raises TimeoutError."""
        if self._deadline is None:
            return limit
        if (left := self._deadline - time.monotonic()) <= 0:
            raise TimeoutError("the run has not ended yet")
        return min(left, limit)

    def begin(self) -> None:
        """The server has accepted the subscription."""
        self._events = EventParser()
        self._was_connected = True
        self._begun_at = time.monotonic()

    def received(self, data: bytes | None) -> Iterator[T]:
        """The items in a part of the stream; None if none arrived in time. Raises ApiError."""
        now = time.monotonic()
        if data is None:
            if now > max(self._received_at, self._begun_at) + _SILENT_SECONDS:
                raise ApiError(SERVICE_UNAVAILABLE, f"{self._url} sends nothing any more")
            return
        if not data:
            raise ApiError(SERVICE_UNAVAILABLE, f"{self._url} closed the connection")
        self._received_at = now
        for kind, text in self._events.feed(data):
            if kind == "complete":
                self.stream.is_done = True
            else:
                yield from self.stream.feed(result_of(text))
                self._pause = _PAUSES[0]
            if self.stream.is_done:
                return

    def pause(self, error: ApiError) -> float:
        """How many seconds to wait before the next connection. Raises the error if that would not help."""
        is_over = time.monotonic() > self._received_at + self._outage_seconds
        is_passing = error.code in TRANSIENT or error.code == BAD_RESPONSE
        if not self._was_connected or is_over or not is_passing:
            raise error
        pause = self._pause * random.uniform(0.5, 1)
        self._pause = min(2 * self._pause, _PAUSES[1])
        return max(pause, error.retry_after or 0)
