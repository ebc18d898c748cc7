"""The hub: one reader of the change feed per replica, which puts what it finds into the mailboxes.

It polls when it is notified, and once a second anyway.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass

import structlog

from repo.domain.cursors import FeedPosition, Incarnation, WatchCursor, is_valid, parse_watch_cursor
from repo.domain.errors import DatabaseUnavailable
from repo.sql.database import Database
from repo.supervision import Supervisor
from repo.watch.feed import Changes, EventRow, FeedSnapshot, RelatedRow, read_feed
from repo.watch.mailboxes import Mailbox, RowMailbox

logger = structlog.get_logger("rungraph.hub")

POLL_INTERVAL = 1.0
"""Seconds between two polls without a notification."""
_MIN_INTERVAL = 0.01
"""Seconds between two polls: changes in between are read together."""
POLL_TIMEOUT = 10.0
"""Seconds that a poll may take; its connection counts as lost afterwards."""


@dataclass
class HubMetrics:
    """Counts of a hub since it started."""

    polls: int = 0
    """Polls that were begun."""
    polls_without_notification: int = 0
    """Periodic polls that found changes of which there had been no notification."""
    failures: int = 0
    """Polls that failed."""
    resyncs: int = 0
    """Streams that had to start again."""
    polled_at: float = 0.0
    """When the last poll ended, by time.monotonic()."""


class Hub:
    """All mailboxes of one replica. A poll, a join, a resume and a merge of two streams exclude each
    other."""

    def __init__(self, database: Database, supervisor: Supervisor | None = None) -> None:
        self._supervisor = supervisor or Supervisor()
        self._database = database
        self._mailboxes: set[Mailbox] = set()
        self._position = FeedPosition(0)
        self._notified = asyncio.Event()
        self._lock = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        # The first stream starts the reader, which is not part of that request.
        self._context = copy_context()
        self._incarnations: list[Incarnation] = []
        self.metrics = HubMetrics()
        self.on_notification: set[Callable[[], None]] = set()
        """Called whenever something was written, here or on another replica."""

    @property
    def lag(self) -> float:
        """Seconds since the last poll; 0 without streams."""
        return time.monotonic() - self.metrics.polled_at if self._mailboxes else 0.0

    @property
    def pending(self) -> int:
        """Entries in all mailboxes."""
        return sum(mailbox.size for mailbox in self._mailboxes)

    @property
    def mailboxes(self) -> frozenset[Mailbox]:
        """Those of all open streams."""
        return frozenset(self._mailboxes)

    def between_polls(self) -> asyncio.Lock:
        """While it is held, no mailbox is being filled: what was read is in all mailboxes alike."""
        return self._lock

    def notify(self) -> None:
        """Poll soon: something was written, here or on another replica."""
        self._notified.set()
        for notify in self.on_notification:
            notify()

    async def join(self, mailbox: Mailbox) -> None:
        """From here on, everything that is written after `mailbox.position` is put into the mailbox."""
        # Not during a poll, which would leave out this mailbox but move its position.
        async with self._lock:
            if self._reader is None or self._reader.done():
                async with self._snapshot() as snapshot:
                    self._position, self._incarnations = snapshot.position, await snapshot.incarnations()
                self.metrics.polled_at = time.monotonic()
                self._reader = self._supervisor.start("feed reader", self._read, self._context.copy())
            mailbox.position = self._position
            self._mailboxes.add(mailbox)

    def leave(self, mailbox: Mailbox) -> None:
        """Stop putting changes into this mailbox."""
        self._mailboxes.discard(mailbox)

    async def close(self) -> None:
        """Stop reading; the mailboxes keep what they hold."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def resume(self, mailbox: Mailbox, after: str | None) -> WatchCursor | None:
        """Continue after a cursor: put everything since into the mailbox, unless its stream reads that
        itself. Returns the cursor, or None if it is not valid any more, or removals since are not known: the
        stream has to start again, and everything after `mailbox.position` follows."""
        cursor = None if after is None else parse_watch_cursor(after)
        if cursor is None:
            return None
        since = cursor.position
        async with self._lock, self._snapshot() as snapshot:
            await self._advance(snapshot)
            mailbox.begin()
            if not is_valid(since, self._incarnations) or not since.is_before(snapshot.position):
                return None
            if mailbox.is_filled_on_resume:
                await self._deliver(snapshot, since, {mailbox})
                return cursor
            removed = await snapshot.removed_runs(since)
            is_removed = removed is None or any(run.run_key == mailbox.run_key for run in removed)
            return None if is_removed else cursor

    async def poll(self) -> bool:
        """Put all changes into the mailboxes; whether there were any."""
        async with self._lock, self._snapshot() as snapshot:
            return await self._advance(snapshot)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[FeedSnapshot]:
        """A snapshot of the feed, with a timeout: a dead connection may not report an error."""
        try:
            async with asyncio.timeout(POLL_TIMEOUT), read_feed(self._database, self._position) as snapshot:
                yield snapshot
        except TimeoutError as error:
            raise DatabaseUnavailable("the database does not answer") from error

    async def _advance(self, snapshot: FeedSnapshot) -> bool:
        if snapshot.position.incarnation != self._position.incarnation:
            await self._enter_incarnation(snapshot)
        found = await self._deliver(snapshot, self._position, self._mailboxes)
        self._position = snapshot.position
        for mailbox in self._mailboxes:
            mailbox.position = snapshot.position
        self.metrics.polled_at = time.monotonic()
        return found

    async def _enter_incarnation(self, snapshot: FeedSnapshot) -> None:
        """The database has begun another incarnation. If it lost anything that was read before, all
        streams restart, since any of them may have sent it."""
        self._incarnations = await snapshot.incarnations()
        if is_valid(self._position, self._incarnations):
            return
        logger.warning("the database lost data that was read before: all streams restart")
        self._position = snapshot.position
        for mailbox in self._mailboxes:
            # Both at once: a stream may restart before this poll has ended.
            mailbox.position = snapshot.position
            mailbox.restart()

    async def _read(self) -> None:
        failures = 0
        while self._mailboxes:
            # Not wait_for, which may swallow a cancellation (cpython#86296).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._notified.wait()
            was_notified = self._notified.is_set()
            self._notified.clear()
            try:
                found = await self.poll()
                if found and not was_notified:
                    self.metrics.polls_without_notification += 1
                failures = 0
                await asyncio.sleep(_MIN_INTERVAL)
            except Exception as error:  # whatever it is, the position stays, so nothing is lost
                failures += 1
                self.metrics.failures += 1
                if failures == 1:
                    cause = error.__cause__ or error
                    logger.warning("cannot read changes", reason=f"{type(cause).__name__}: {cause}")
                self._notified.set()
                await asyncio.sleep(random.uniform(0, min(1.0, 0.1 * 2**failures)))

    async def _deliver(self, snapshot: FeedSnapshot, since: FeedPosition, mailboxes: set[Mailbox]) -> bool:
        """Put the changes since a position into the mailboxes; whether there were any."""
        self.metrics.polls += 1
        number = self.metrics.polls
        rows = await snapshot.changed_rows(since) if any(m.reads_rows for m in mailboxes) else []
        events: list[EventRow] | None = []
        if any(m.reads_events for m in mailboxes):
            events = await snapshot.changed_events(since)
        removed = await snapshot.removed_runs(since) if mailboxes else []
        if rows is None or events is None or removed is None:
            for mailbox in list(mailboxes):
                if removed is None:
                    mailbox.restart()
                else:
                    mailbox.overflow()
            return True
        changes = Changes(number, since, rows, events, removed)
        changes.related = await self._related(snapshot, changes, mailboxes)
        # No await from here on: a stream that ends does so before or after all of it.
        for mailbox in mailboxes & self._mailboxes:
            mailbox.put(changes)
        return bool(rows or events or removed)

    async def _related(
        self, snapshot: FeedSnapshot, changes: Changes, mailboxes: set[Mailbox]
    ) -> list[RelatedRow]:
        """Rows that did not change themselves, but a descendant or an event that some mailbox counts."""
        of_rows = [m for m in mailboxes if isinstance(m, RowMailbox)]
        changed = {row.action.run_key for row in changes.rows}
        with_events = {item.run_key for item in changes.events}
        of_changed = _watched(changed, [m for m in of_rows if m.of_runs and m.related.descendants])
        of_events = _watched(with_events, [m for m in of_rows if m.of_runs and m.related.events])
        trees = _watched(changed, [m for m in of_rows if not m.of_runs and m.related.descendants])
        ancestors = await snapshot.ancestors(
            [r.action.key for r in changes.rows if r.action.run_key in trees]
        )
        runs = _watched(with_events, [m for m in of_rows if not m.of_runs and m.related.events])
        actions = {item.action_key for item in changes.events if item.run_key in runs}
        roots = await snapshot.roots(of_changed | of_events)
        rows = await snapshot.rows(ancestors | actions)
        return [
            *(
                RelatedRow(row, True, row.action.run_key in of_changed, row.action.run_key in of_events)
                for row in roots
            ),
            *(RelatedRow(row, False, row.action.key in ancestors, row.action.key in actions) for row in rows),
        ]


def _watched(runs: set[bytes], mailboxes: list[RowMailbox]) -> set[bytes]:
    """Those of the runs that one of the mailboxes is about."""
    keys = {mailbox.run_key for mailbox in mailboxes}
    return runs if None in keys else runs & keys
