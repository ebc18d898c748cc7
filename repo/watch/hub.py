"""Owns how changes reach those who watch: one reader of the feed per replica, and a mailbox a watch.

The reader looks when a bell rings, and once a second anyway. A mailbox keeps the latest state of each row;
whoever is slow holds up nobody.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from repo.actions.rows import ActionRow
from repo.domain.authorization import Scope, Scopes, includes
from repo.domain.cursors import FeedPosition, Incarnation, is_valid
from repo.domain.errors import DatabaseUnavailable
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import (
    Action,
    ActionEvent,
    RemovedRun,
    Run,
)
from repo.sql.database import Database
from repo.sql.rows import Rows
from repo.supervision import Supervisor
from repo.watch.feed import EventRow, Feed, Look
from repo.watch.frames import MAX_PENDING_BYTES
from repo.watch.matching import Match, Matcher

T = TypeVar("T")

logger = structlog.get_logger("rungraph.hub")

MAX_PENDING = 10_000
"""Entries that a mailbox holds; beyond, the watch begins anew instead."""
POLL_INTERVAL = 1.0
"""Seconds after which the reader looks without a bell."""
_PAUSE = 0.01
"""Seconds between two looks, at least: what comes meanwhile is seen together."""
_LOOK_WITHIN = 10.0
"""Seconds that a look may take; then the connection is given up for lost."""


@dataclass(eq=False)
class RowMailbox:
    """A watch of runs or of actions, and its mailbox."""

    match: Matcher
    """What a row is to the filter."""
    of_runs: bool
    run_key: bytes | None = None
    """Only this run, where one is given."""
    action_key: bytes | None = None
    """Only this action, where one is given."""
    descendants: bool = False
    """A change below a row counts as a change of it."""
    events: bool = False
    """A new event of a row (or, of a run, of any of its actions) counts as a change of it."""
    scopes: Scopes = None
    """Only rows in these projects and domains, where they are given."""
    listens_to: frozenset[Scope] = frozenset()
    """It is an executor that is told of aborts in these projects and domains by it."""
    pending: dict[bytes, Run | Action] = field(default_factory=dict)
    removed: dict[bytes, Run | Action | RemovedRun] = field(default_factory=dict)
    sizes: dict[bytes, int] = field(default_factory=dict)
    """Of what is pending, the characters of long text."""
    size: int = 0
    """All of them together."""
    overflowed: bool = False
    ended: bool = False
    """The run, or the action where one is given, was seen in a terminal phase."""
    position: FeedPosition = FeedPosition(0)
    """What has been put into the mailbox, or taken out of it."""
    floor: dict[bytes, int] = field(default_factory=dict)
    """The revisions that were sent with the snapshot: nothing older may follow."""
    floor_until: int = 0
    """The last look that may have begun before the snapshot was complete."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, row: ActionRow, look: int) -> None:
        """Put the row into the mailbox if this watch wants it."""
        entity = row.run if self.of_runs else row.action
        subject = row.action if row.action.key == self.action_key else row.run
        if self.run_key is not None and subject is not None and subject.phase.is_terminal:
            self.ended = self.ended or self.action_key in (None, row.action.key)
            self.woken.set()
        if entity is None or self.overflowed or not includes(self.scopes, entity.project, entity.domain):
            return
        key = row.action.key
        if self.action_key not in (None, key):
            return
        if self._is_older(key, entity.revision, look):
            return
        match self.match(row):
            case Match.NOW:
                self.removed.pop(key, None)
                self.pending[key] = entity
                self._note_size(key, row.size)
            case Match.NOT_NOW:
                self.pending.pop(key, None)
                self.removed[key] = entity
                self._note_size(key, 0)
            case Match.NEVER:
                return
        if len(self.pending) + len(self.removed) > MAX_PENDING or self.size > MAX_PENDING_BYTES:
            self.overflow()
        self.woken.set()

    def offer_removed(self, run: RemovedRun, look: int) -> None:
        """Put into the mailbox that a run was removed, if this watch is of runs. One of abort requests that
        may still hold one of this run's begins anew."""
        if self.overflowed or not includes(self.scopes, run.project, run.domain):
            return
        if not self.of_runs:
            if run.aborts_changed:
                self.overflow()
        elif not self._is_older(run.key, run.revision, look):
            self.pending.pop(run.key, None)
            self.removed[run.key] = run
            self._note_size(run.key, 0)
            if len(self.pending) + len(self.removed) > MAX_PENDING:
                self.overflow()
            self.woken.set()

    def _note_size(self, key: bytes, size: int) -> None:
        self.size += size - self.sizes.get(key, 0)
        self.sizes[key] = size

    def _is_older(self, key: bytes, revision: int, look: int) -> bool:
        """Whether a snapshot sent something newer."""
        if self.floor and look > self.floor_until:
            self.floor = {}
        return revision < self.floor.get(key, 0)

    def overflow(self) -> None:
        """Give up on single changes: the watch begins anew."""
        self.overflowed = True
        self.take()
        self.woken.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits in the mailbox."""
        return not (self.pending or self.removed or self.overflowed)

    def take(self) -> tuple[list[Run | Action], list[Run | Action | RemovedRun]]:
        """What is in the mailbox, which is empty then."""
        taken = list(self.pending.values()), list(self.removed.values())
        self.pending, self.removed, self.sizes, self.size = {}, {}, {}, 0
        return taken

    def restart(self) -> None:
        """What was sent may not be true any more: the watch begins anew."""
        self.overflow()

    def begin(self) -> None:
        """Begin anew, with an empty mailbox."""
        self.take()
        self.overflowed, self.ended, self.floor = False, False, {}

    def note(self, entities: Sequence[Run | Action]) -> None:
        """Remember what a snapshot sent."""
        if isinstance(entities, Rows):
            self.floor.update(zip(entities.column("key"), entities.column("revision"), strict=True))
        else:
            self.floor.update((entity.key, entity.revision) for entity in entities)

    def end_snapshot(self, looks: int) -> None:
        """The snapshot is complete; forget what came meanwhile and is older than it. `looks` have begun."""
        self.floor_until = looks
        pending, removed, floor = self.pending, self.removed, self.floor
        self.pending = {key: each for key, each in pending.items() if each.revision >= floor.get(key, 0)}
        self.sizes = {key: self.sizes[key] for key in self.pending}
        self.size = sum(self.sizes.values())
        self.removed = {key: each for key, each in removed.items() if each.revision >= floor.get(key, 0)}


@dataclass(eq=False)
class EventMailbox:
    """A watch of the events of a run or of an action, and its mailbox."""

    run_key: bytes
    action_key: bytes | None = None
    attempt: int | None = None
    pending: list[ActionEvent] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Of what is pending, the characters of long text."""
    size: int = 0
    """All of them together."""
    overflowed: bool = False
    """Events that came are not in the mailbox: they are read from the database instead."""
    must_restart: bool = False
    """The run may have been removed, or events that were sent may be lost."""
    position: FeedPosition = FeedPosition(0)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits in the mailbox."""
        return not (self.pending or self.overflowed)

    def offer(self, row: EventRow) -> None:
        """Put the event into the mailbox if this watch wants it."""
        if self.overflowed or self.action_key not in (None, row.action_key):
            return
        if self.attempt not in (None, row.event.attempt):
            return
        self.pending.append(row.event)
        self.sizes.append(row.size)
        self.size += row.size
        if len(self.pending) > MAX_PENDING or self.size > MAX_PENDING_BYTES:
            self.overflow()
        self.woken.set()

    def restart(self) -> None:
        """What was sent may not be true any more: the watch begins anew, if the run is still there."""
        self.must_restart = True
        self.overflow()

    def begin(self) -> None:
        """Begin anew, with an empty mailbox."""
        self.take()
        self.overflowed, self.must_restart = False, False

    def take(self) -> tuple[list[ActionEvent], list[int]]:
        """What is in the mailbox, which is empty then, with its sizes."""
        taken = self.pending, self.sizes
        self.pending, self.sizes, self.size = [], [], 0
        return taken

    def overflow(self) -> None:
        """Keep none of what comes; the database does."""
        self.overflowed = True
        self.take()
        self.woken.set()


@dataclass(eq=False)
class StateMailbox:
    """A watch of the states of the actions of a run or of all runs, and its mailbox."""

    run_key: bytes | None = None
    scopes: Scopes = None
    """Only actions in these projects and domains, where they are given."""
    pending: dict[bytes, ActionIdentifier] = field(default_factory=dict)
    overflowed: bool = False
    position: FeedPosition = FeedPosition(0)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits in the mailbox."""
        return not (self.pending or self.overflowed)

    def offer(self, row: ActionRow, since: FeedPosition) -> None:
        """Put the action into the mailbox if its state was set or notified since."""
        written = row.state_transaction_id
        if written is None or since.includes(written) or self.overflowed:
            return
        if not includes(self.scopes, row.action.project, row.action.domain):
            return
        self.pending[row.action.key] = row.action.identifier
        if len(self.pending) > MAX_PENDING:
            self.overflow()
        self.woken.set()

    def restart(self) -> None:
        """What was sent may not be true any more: the watch begins anew, if its run is still there."""
        self.overflow()

    def begin(self) -> None:
        """Begin anew, with an empty mailbox."""
        self.pending, self.overflowed = {}, False

    def overflow(self) -> None:
        """Give up on single changes: the watch begins anew."""
        self.overflowed = True
        self.pending.clear()
        self.woken.set()


Watch = RowMailbox | EventMailbox | StateMailbox


@dataclass
class Figures:
    """What an operator wants to know of a hub."""

    looks: int = 0
    """Looks at the database that were begun."""
    polls_without_notification: int = 0
    """Looks that found something for which no bell had rung."""
    failures: int = 0
    """Looks that failed."""
    resyncs: int = 0
    """Watches that had to begin anew."""
    seen_at: float = 0.0
    """When the last look ended, by time.monotonic()."""


class Hub:
    """All watches of one replica."""

    def __init__(self, database: Database, supervisor: Supervisor | None = None) -> None:
        self._database = database
        self._supervisor = supervisor or Supervisor()
        self._feed = Feed(database)
        self._mailboxes: set[Watch] = set()
        self._position = FeedPosition(0)
        self._notified = asyncio.Event()
        self._turn = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        # Whoever watches first starts the reading, but it is not a part of what they ask for.
        self._context = copy_context()
        self._incarnations: list[Incarnation] = []
        self.figures = Figures()
        self.on_notification: set[Callable[[], None]] = set()
        """Who else is told that something was written, here or on another replica."""

    @property
    def lag(self) -> float:
        """Seconds since all changes up to then were in the mailboxes; 0 where nobody watches."""
        return time.monotonic() - self.figures.seen_at if self._mailboxes else 0.0

    @property
    def pending(self) -> int:
        """Entries that wait in all mailboxes."""
        return sum(len(watch.pending) for watch in self._mailboxes)

    @property
    def mailboxes(self) -> frozenset[Watch]:
        """Those of all streams that are open."""
        return frozenset(self._mailboxes)

    @property
    def is_quiet(self) -> bool:
        """Whether no look is under way: what was seen is in all mailboxes alike."""
        return not self._turn.locked()

    def notify(self) -> None:
        """Poll soon: something was written, here or on another replica."""
        self._notified.set()
        for notify in self.on_notification:
            notify()

    async def join(self, watch: Watch) -> None:
        """From here on, everything that is written after `watch.position` comes into the mailbox."""
        # Not while a look is under way: it would not be for this watch, and its position would be.
        async with self._turn:
            if self._reader is None or self._reader.done():
                async with self._looking() as look:
                    self._position, self._incarnations = look.position, await look.incarnations()
                self.figures.seen_at = time.monotonic()
                self._reader = self._supervisor.start("feed reader", self._read, self._context.copy())
            watch.position = self._position
            self._mailboxes.add(watch)

    def leave(self, watch: Watch) -> None:
        """The watch is over."""
        self._mailboxes.discard(watch)

    async def close(self) -> None:
        """End the reading; what is in mailboxes stays there."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def resume(self, watch: Watch, since: FeedPosition) -> bool:
        """Continue a watch where its client was before: what was written since comes into the mailbox, but
        events, which the database has. False where something that was seen then, or removed since, is not
        known any more: the watch has to begin anew, and everything after `watch.position` comes."""
        async with self._turn, self._looking() as look:
            await self._advance(look)
            watch.begin()
            if not is_valid(since, self._incarnations) or not since.is_before(look.position):
                return False
            if isinstance(watch, EventMailbox):
                removed = await look.removed_runs(since)
                return removed is not None and all(run.run_key != watch.run_key for run in removed)
            await self._deliver(look, since, {watch})
            return True

    async def poll(self) -> bool:
        """Look, and put what is new into all mailboxes; whether there was anything."""
        async with self._turn, self._looking() as look:
            return await self._advance(look)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[Look]:
        """A look that does not wait for ever: a link may be dead without anybody having said so."""
        try:
            async with asyncio.timeout(_LOOK_WITHIN), self._feed.look(self._position) as look:
                yield look
        except TimeoutError as error:
            raise DatabaseUnavailable("the database does not answer") from error

    async def _advance(self, look: Look) -> bool:
        if look.position.incarnation != self._position.incarnation:
            await self._enter(look)
        found = await self._deliver(look, self._position, self._mailboxes)
        self._position = look.position
        for watch in self._mailboxes:
            watch.position = look.position
        self.figures.seen_at = time.monotonic()
        return found

    async def _enter(self, look: Look) -> None:
        """Another incarnation of the database has begun. Where something is lost that was seen in the one
        before, nobody can tell what of it was sent to whom: all watches begin anew."""
        self._incarnations = await look.incarnations()
        if is_valid(self._position, self._incarnations):
            return
        logger.warning("the database has lost what was read before: all watches begin anew")
        self._position = look.position
        for watch in self._mailboxes:
            # Both at once: a stream may begin anew before this look is at its end.
            watch.position = look.position
            watch.restart()

    async def _read(self) -> None:
        failures = 0
        while self._mailboxes:
            # Not wait_for, which may swallow that it is cancelled (cpython#86296).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._notified.wait()
            rung = self._notified.is_set()
            self._notified.clear()
            try:
                found = await self.poll()
                if found and not rung:
                    self.figures.polls_without_notification += 1
                failures = 0
                await asyncio.sleep(_PAUSE)
            except Exception as error:  # whatever it is, the position stays, and nothing is lost
                failures += 1
                self.figures.failures += 1
                if failures == 1:
                    cause = error.__cause__ or error
                    logger.warning("cannot read changes", reason=f"{type(cause).__name__}: {cause}")
                self._notified.set()
                await asyncio.sleep(random.uniform(0, min(1.0, 0.1 * 2**failures)))

    async def _deliver(self, look: Look, since: FeedPosition, watches: set[Watch]) -> bool:
        """Put what was written since into the mailboxes; whether there was anything."""
        self.figures.looks += 1
        number = self.figures.looks
        rows = {w for w in watches if isinstance(w, RowMailbox)}
        states = {w for w in watches if isinstance(w, StateMailbox)}
        events = {w for w in watches if isinstance(w, EventMailbox)}
        changed = await look.changed_rows(since) if rows or states else []
        happened: list[EventRow] | None = []
        if events or any(w.events for w in rows):
            happened = await look.changed_events(since)
        removed = await look.removed_runs(since) if watches else []
        if changed is None or happened is None or removed is None:
            for watch in list(watches):
                if removed is None:
                    watch.restart()
                else:
                    watch.overflow()
            return True
        touched = await self._touched(look, changed, happened, rows)
        # Nothing waits from here on: a watch that leaves does so before or after all of it.
        by_run = _grouped(changed, lambda row: row.action.run_key)
        roots = [row for row in changed if row.run is not None]
        touched_by_run = _grouped(touched, lambda item: item[0].action.run_key)
        self._tell_of_removed(removed, number, watches & self._mailboxes)
        for watch in rows & self._mailboxes:
            if watch.run_key is None:
                mine, other = (roots if watch.of_runs else changed), touched
            else:
                mine, other = by_run.get(watch.run_key, []), touched_by_run.get(watch.run_key, [])
            for row in mine:
                watch.offer(row, number)
            for row, reason in other:
                if reason(watch):
                    watch.offer(row, number)
        for state in states & self._mailboxes:
            for row in changed if state.run_key is None else by_run.get(state.run_key, []):
                state.offer(row, since)
        events_by_run = _grouped(happened, lambda item: item.run_key)
        for event in events & self._mailboxes:
            for item in events_by_run.get(event.run_key, []):
                event.offer(item)
        return bool(changed or happened or removed)

    def _tell_of_removed(self, removed: list[RemovedRun], look: int, watches: set[Watch]) -> None:
        """Before what changed is handed out: a run that is there again was removed before."""
        if not removed:
            return
        gone = {run.run_key for run in removed}
        for watch in watches:
            if watch.run_key is not None:
                if watch.run_key in gone:
                    watch.restart()
            elif isinstance(watch, RowMailbox):
                for run in removed:
                    watch.offer_removed(run, look)

    async def _touched(
        self, look: Look, changed: list[ActionRow], happened: list[EventRow], watches: set[RowMailbox]
    ) -> list[tuple[ActionRow, Callable[[RowMailbox], bool]]]:
        """Rows that did not change themselves, but something that a watch shows with them; each with the
        question whether a watch does."""
        below = {w for w in watches if w.descendants}
        told = {w for w in watches if w.events}
        runs_below = _wanted({row.action.run_key for row in changed}, {w for w in below if w.of_runs})
        runs_told = _wanted({item.run_key for item in happened}, {w for w in told if w.of_runs})
        tree_runs = _wanted({row.action.run_key for row in changed}, {w for w in below if not w.of_runs})
        told_runs = _wanted({item.run_key for item in happened}, {w for w in told if not w.of_runs})
        ancestors = await look.ancestors([r.action.key for r in changed if r.action.run_key in tree_runs])
        actors = {item.action_key for item in happened if item.run_key in told_runs}
        roots = await look.roots(runs_below | runs_told)
        rows = await look.rows(ancestors | actors)
        found: list[tuple[ActionRow, Callable[[RowMailbox], bool]]] = []
        for row in roots:
            key = row.action.run_key
            found.append((row, _reason(True, key in runs_below, key in runs_told)))
        for row in rows:
            key = row.action.key
            found.append((row, _reason(False, key in ancestors, key in actors)))
        return found


def _grouped(items: Iterable[T], key: Callable[[T], bytes]) -> dict[bytes, list[T]]:
    groups: dict[bytes, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _wanted(runs: set[bytes], watches: set[RowMailbox]) -> set[bytes]:
    """Those of the runs that one of the watches is about."""
    keys = {watch.run_key for watch in watches}
    return runs if None in keys else {key for key in runs if key in keys}


def _reason(of_runs: bool, below: bool, told: bool) -> Callable[[RowMailbox], bool]:
    def wants(watch: RowMailbox) -> bool:
        return watch.of_runs is of_runs and ((below and watch.descendants) or (told and watch.events))

    return wants
