"""The newest lines of watched logs: one reader per replica, which reads each change of a log once, however
many streams want it."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass, field

import structlog

from repo.domain.logs import NO_LOG, LogGap, LogLine, LogQuery, LogSummary
from repo.logs.reader import LogKey, read_summaries, scan_log
from repo.logs.scanning import Scan
from repo.sql.database import Database
from repo.supervision import Supervisor
from repo.watch.hub import POLL_INTERVAL, Hub
from repo.watch.mailboxes import Mailbox

logger = structlog.get_logger("rungraph.logs")

MAX_LINES = 10_000
"""Lines in a mailbox, beyond which its stream reads them itself."""
MAX_BYTES = 4 * 1024 * 1024
"""Characters of them, likewise; and the bytes of a log that one poll reads."""
_MIN_INTERVAL = 0.02
"""Seconds between two polls: changes in between are read together."""

_ALL = LogQuery()


@dataclass(eq=False, kw_only=True)
class LogMailbox(Mailbox):
    """New lines of a log. It holds all lines after `base` up to `until`; what its stream lacks before that,
    the stream reads from the database: numbers tell what is missing and what was sent."""

    log: LogKey
    base: int = 0
    until: int = 0
    summary: LogSummary = NO_LOG
    lines: list[LogLine] = field(default_factory=list)
    gaps: list[LogGap] = field(default_factory=list)
    must_restart: bool = False
    """The run may have been removed, or lines that were sent may be lost."""
    restarts: int = 0

    reads_rows = False
    is_filled_on_resume = False

    @property
    def size(self) -> int:
        """How many lines it holds."""
        return len(self.lines)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing for its stream to do."""
        return not (self.overflowed or self.must_restart) and self.until == self.base

    def is_stale(self) -> bool:
        """Whether the stream has to start again."""
        return self.must_restart

    def put_changed(self, changes: object) -> None:
        """Nothing: lines are no part of what the hub reads."""

    def put_lines(self, found: Scan, until: int, summary: LogSummary) -> None:
        """Put in the lines up to a number."""
        self.until, self.summary = until, summary
        self.lines += found.lines
        self.gaps += found.gaps
        self.total_size += found.text
        if self.size > MAX_LINES or self.total_size > MAX_BYTES:
            self.overflow()
        self.wake_up.set()

    def skip(self, until: int, summary: LogSummary) -> None:
        """The stream has to read the lines up to a number itself."""
        self.until, self.summary = until, summary
        self.overflow()

    def take(self) -> tuple[list[LogLine], list[LogGap]]:
        """Empty the mailbox: the lines, and the gaps between them."""
        taken = self.lines, self.gaps
        self.clear()
        return taken

    def clear(self) -> None:
        """Drop all lines."""
        self.lines, self.gaps, self.total_size, self.base = [], [], 0, self.until

    def restart(self) -> None:
        """The stream starts again, if its action still exists."""
        self.must_restart = True
        self.restarts += 1
        self.overflow()

    def begin(self) -> None:
        """The stream starts again, with an empty mailbox."""
        super().begin()
        self.must_restart = False


@dataclass(eq=False)
class _Tail:
    """A watched log."""

    position: int
    """The number of the last line in all mailboxes."""
    summary: LogSummary
    mailboxes: set[LogMailbox] = field(default_factory=set)

    @property
    def restarts(self) -> int:
        return sum(mailbox.restarts for mailbox in self.mailboxes)


class LogTails:
    """The watched logs of a replica. It polls them when anything was written, and once a second anyway."""

    def __init__(self, database: Database, hub: Hub, supervisor: Supervisor | None = None) -> None:
        self._database = database
        self._hub = hub
        self._supervisor = supervisor or Supervisor()
        self._tails: dict[LogKey, _Tail] = {}
        self._notified = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        # The first stream starts the reader, which is not part of that request.
        self._context = copy_context()
        self.parts_read = 0
        """Changes of logs that were read."""

    def join(self, mailbox: LogMailbox, summary: LogSummary) -> None:
        """From here on, all lines after `mailbox.until` are put into the mailbox. `summary` was just read."""
        tail = self._tails.setdefault(mailbox.log, _Tail(summary.line_count, summary))
        mailbox.until, mailbox.summary = tail.position, tail.summary
        mailbox.begin()
        tail.mailboxes.add(mailbox)
        if self._reader is None or self._reader.done():
            self._hub.on_notification.add(self._notified.set)
            self._reader = self._supervisor.start("log reader", self._read, self._context.copy())
        # The log may have grown since the summary was read.
        self._notified.set()

    def leave(self, mailbox: LogMailbox) -> None:
        """Stop putting lines into this mailbox."""
        tail = self._tails.get(mailbox.log)
        if tail is not None:
            tail.mailboxes.discard(mailbox)
            if not tail.mailboxes:
                del self._tails[mailbox.log]

    async def close(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        failures = 0
        while self._tails:
            # Not wait_for, which may swallow a cancellation (cpython#86296).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._notified.wait()
            self._notified.clear()
            try:
                await self._poll()
                failures = 0
                await asyncio.sleep(_MIN_INTERVAL)
            except Exception as error:  # whatever it is, the positions stay, so nothing is lost
                failures += 1
                if failures == 1:
                    cause = error.__cause__ or error
                    logger.warning("cannot read logs", reason=f"{type(cause).__name__}: {cause}")
                self._notified.set()
                await asyncio.sleep(random.uniform(0, min(1.0, 0.1 * 2**failures)))
        self._hub.on_notification.discard(self._notified.set)

    async def _poll(self) -> None:
        before = {key: tail.restarts for key, tail in self._tails.items()}
        found: Mapping[LogKey, LogSummary] = await read_summaries(self._database, list(self._tails))
        for key, tail in list(self._tails.items()):
            summary = found.get(key, NO_LOG)
            if tail.restarts != before.get(key):
                self._notified.set()
                continue
            if summary.line_count < tail.position:
                # It was removed and begun again, or restored.
                tail.position, tail.summary = summary.line_count, summary
                for mailbox in tail.mailboxes:
                    mailbox.until = tail.position
                    mailbox.restart()
            elif summary.line_count > tail.position:
                await self._read_tail(key, tail, summary)

    async def _read_tail(self, key: LogKey, tail: _Tail, summary: LogSummary) -> None:
        """Put the new lines of a log into its mailboxes. If there are too many, the streams read them."""
        restarts, last = tail.restarts, summary.line_count
        scan = Scan(_ALL, tail.position, last + 1, MAX_LINES)
        newest, is_end = await scan_log(self._database, key, scan, summary, MAX_BYTES)
        if tail.restarts != restarts:
            self._notified.set()
            return
        self.parts_read += 1
        tail.position, tail.summary = last, newest
        # No await from here on: a stream that ends does so before or after all of it.
        for mailbox in tail.mailboxes:
            if is_end:
                mailbox.put_lines(scan, last, newest)
            else:
                mailbox.skip(last, newest)
