"""Writes log lines to a stream that may fail or block: logging itself neither raises nor waits.

A thread does the writing, so that a full disk, a reader that left, or one that stopped reading holds up
nothing else. Lines that cannot be written are counted.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TextIO

_MOST_WAITING = 5_000
"""Lines that wait to be written; more are dropped."""

_AT_ONCE = select.PIPE_BUF
"""Bytes of several lines that are written together: what several workers write to one pipe is not mixed."""

_NEWLINE = 0x0A

_REPORT_EVERY = 10.0
"""Seconds between two reports that lines were dropped, at least."""


class LogOutput:
    """A stream of log lines. `report` is called with the number of dropped lines once lines can be written
    again; it may write one itself."""

    def __init__(self, stream: TextIO | None, report: Callable[[int], None] = lambda _: None) -> None:
        self._report = report
        # A descriptor of its own: whoever closes the stream must not make this write into another file.
        self._descriptor = _duplicate(stream)
        # Its `put` may be interrupted by another `put`, of a signal handler or of a finalizer.
        self._waiting: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._taken: bytes | threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._is_torn = False
        # Two counters, since two threads count.
        self._refused = self._failed = 0
        self._reported, self._report_at = 0, 0.0

    @property
    def dropped(self) -> int:
        """Lines that were not written."""
        return self._refused + self._failed

    def write(self, line: bytes) -> None:
        """Have the line written. Never raises, and never waits."""
        if self._descriptor is None or self._waiting.qsize() >= _MOST_WAITING:
            self._refused += 1
            return
        self._waiting.put(line)
        if self._thread is None:
            self._start()

    # The names by which structlog calls it.
    debug = info = warning = error = critical = msg = write

    def drop(self) -> None:
        """Count a line that could not even be made."""
        self._refused += 1

    def flush(self, seconds: float) -> None:
        """Wait until everything up to now is written or dropped, but no longer than so many seconds."""
        if self._thread is not None:
            written = threading.Event()
            self._waiting.put(written)
            written.wait(seconds)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends, or the system has no more threads
            self._thread = None

    def _run(self) -> None:
        while True:
            first = self._next(wait=True)
            if isinstance(first, threading.Event):
                first.set()
            elif self._write(self._those_that_fit(first)):
                self._report_dropped()

    def _next(self, wait: bool) -> bytes | threading.Event:
        """What was written or asked for next. Raises Empty."""
        if self._taken is not None:
            item, self._taken = self._taken, None
            return item
        return self._waiting.get(block=wait)

    def _those_that_fit(self, first: bytes) -> list[bytes]:
        """The line, and those behind it that may be written together with it."""
        lines, size = [first], len(first) + 1
        with contextlib.suppress(Empty):
            while True:
                item = self._next(wait=False)
                if isinstance(item, threading.Event) or size + len(item) + 1 > _AT_ONCE:
                    self._taken = item
                    return lines
                lines.append(item)
                size += len(item) + 1
        return lines

    def _write(self, lines: list[bytes]) -> bool:
        """Whether the lines were written."""
        assert self._descriptor is not None
        # What was written last may have ended within a line.
        rest = memoryview(b"\n" * self._is_torn + b"\n".join(lines) + b"\n")
        is_whole = not self._is_torn
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Whoever shares the stream made it non-blocking.
                _wait_until_writable(self._descriptor)
            except OSError:
                self._failed += len(lines)
                self._is_torn = not is_whole
                return False
            else:
                is_whole = rest[count - 1] == _NEWLINE if count else is_whole
                rest = rest[count:]
        self._is_torn = False
        return True

    def _report_dropped(self) -> None:
        if self.dropped == self._reported or self._waiting.qsize() or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + _REPORT_EVERY
        count, self._reported = self.dropped - self._reported, self.dropped
        with contextlib.suppress(Exception):
            self._report(count)


def _wait_until_writable(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()


def _duplicate(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else os.dup(stream.fileno())
    except (OSError, ValueError):  # it is closed, or none of the system's
        return None
