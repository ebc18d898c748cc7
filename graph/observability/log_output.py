"""Writes log lines in a thread, so that logging neither raises nor blocks when the disk is full or the
reader of a pipe has stopped. Lines that cannot be written are counted."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TextIO

_MAX_QUEUED = 5_000
"""The queue length in lines; more are dropped."""

_MAX_WRITE = select.PIPE_BUF
"""Maximum bytes written at once: lines of several workers on one pipe are not interleaved."""

_NEWLINE = 0x0A

_REPORT_INTERVAL = 10.0
"""Minimum seconds between two reports of dropped lines."""


class LogOutput:
    """A stream of log lines. `report` is called with the number of dropped lines when writing works again,
    and may log itself."""

    def __init__(self, stream: TextIO | None, report: Callable[[int], None] = lambda _: None) -> None:
        self._report = report
        # A duplicate descriptor: closing the stream must not make this write into another file.
        self._descriptor = _duplicate(stream)
        # `put` is reentrant: a signal handler or finalizer may log too.
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._held_back: bytes | threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._ends_within_line = False
        # Two counters, one for each thread.
        self._refused = self._failed = 0
        self._reported, self._report_at = 0, 0.0

    @property
    def dropped(self) -> int:
        """The number of dropped lines."""
        return self._refused + self._failed

    def write(self, line: bytes) -> None:
        """Queues the line. Never raises and never blocks."""
        if self._descriptor is None or self._queue.qsize() >= _MAX_QUEUED:
            self._refused += 1
            return
        self._queue.put(line)
        if self._thread is None:
            self._start()

    # The method names that structlog uses.
    debug = info = warning = error = critical = msg = write

    def drop(self) -> None:
        """Counts a line that could not be formatted."""
        self._refused += 1

    def flush(self, seconds: float) -> None:
        """Waits until everything queued so far is written or dropped, up to `seconds`."""
        if self._thread is not None:
            written = threading.Event()
            self._queue.put(written)
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
            elif self._write(self._batch(first)):
                self._report_dropped()

    def _next(self, wait: bool) -> bytes | threading.Event:
        """The next queue entry. Raises Empty."""
        if self._held_back is not None:
            item, self._held_back = self._held_back, None
            return item
        return self._queue.get(block=wait)

    def _batch(self, first: bytes) -> list[bytes]:
        """The line, with the following lines that fit into the same write."""
        lines, size = [first], len(first) + 1
        with contextlib.suppress(Empty):
            while True:
                item = self._next(wait=False)
                if isinstance(item, threading.Event) or size + len(item) + 1 > _MAX_WRITE:
                    self._held_back = item
                    return lines
                lines.append(item)
                size += len(item) + 1
        return lines

    def _write(self, lines: list[bytes]) -> bool:
        """Writes the lines; returns whether that succeeded."""
        assert self._descriptor is not None
        # The previous write may have ended within a line.
        rest = memoryview(b"\n" * self._ends_within_line + b"\n".join(lines) + b"\n")
        ends_with_line = not self._ends_within_line
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Another process that shares the stream made it non-blocking.
                _wait_until_writable(self._descriptor)
            except OSError:
                self._failed += len(lines)
                self._ends_within_line = not ends_with_line
                return False
            else:
                ends_with_line = rest[count - 1] == _NEWLINE if count else ends_with_line
                rest = rest[count:]
        self._ends_within_line = False
        return True

    def _report_dropped(self) -> None:
        if self.dropped == self._reported or self._queue.qsize() or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + _REPORT_INTERVAL
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
