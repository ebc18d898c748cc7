"""Mailboxes: what the hub keeps for one stream until the stream takes it.

A mailbox of rows keeps the latest state of each row. One that holds too much overflows: it is emptied, and
its stream restarts, or reads what it missed from the database.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from repo.actions.rows import ActionRow
from repo.domain.authorization import Scope, Scopes, includes
from repo.domain.cursors import FeedPosition
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import Action, ActionEvent, RemovedRun, Run
from repo.sql.rows import Rows
from repo.watch.feed import Changes, EventRow
from repo.watch.matching import Match, Matcher

MAX_PENDING = 10_000
"""Entries in a mailbox, beyond which it overflows."""
MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Characters of long text in a mailbox, beyond which it overflows."""


@dataclass(eq=False, kw_only=True)
class Mailbox:
    """What all mailboxes have in common."""

    run_key: bytes | None = None
    """Only changes of this run, if given."""
    scopes: Scopes = None
    """Only rows in these projects and domains, if given."""
    position: FeedPosition = FeedPosition(0)
    """Everything up to here has been put into the mailbox."""
    overflowed: bool = False
    wake_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something was put into the mailbox."""
    total_size: int = 0
    """Characters of long text in its entries."""

    reads_rows = True
    """Whether it needs the rows that changed."""
    reads_events = False
    """Whether it needs the events that were inserted."""
    is_filled_on_resume = True
    """Whether the changes since a cursor are put into it; otherwise the stream reads them itself."""

    @property
    def size(self) -> int:
        """How many entries it holds."""
        raise NotImplementedError

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing for its stream to do."""
        return not (self.size or self.overflowed)

    def put(self, changes: Changes) -> None:
        """Put in what a poll found, in the order in which it happened."""
        # Removals first: a run that was created again was removed before.
        if self.run_key is None:
            for run in changes.removed:
                self.put_removed(run, changes)
        elif self.run_key in changes.removed_keys:
            self.restart()
        self.put_changed(changes)

    def put_removed(self, run: RemovedRun, changes: Changes) -> None:
        """Put in that a run was removed; only for mailboxes that are not about a single run."""

    def put_changed(self, changes: Changes) -> None:
        """Put in the rows or events that belong to it."""
        raise NotImplementedError

    def clear(self) -> None:
        """Drop all entries."""
        raise NotImplementedError

    def overflow(self) -> None:
        """Drop all entries, and keep no more until the stream has dealt with it."""
        self.overflowed = True
        self.clear()
        self.wake_up.set()

    def check_size(self) -> None:
        """Something was put in: wake the stream, and overflow if it is too much."""
        if self.size > MAX_PENDING or self.total_size > MAX_PENDING_BYTES:
            self.overflow()
        self.wake_up.set()

    def restart(self) -> None:
        """What was sent may be wrong: the stream has to start again."""
        self.overflow()

    def begin(self) -> None:
        """The stream starts again, with an empty mailbox."""
        self.clear()
        self.overflowed = False


@dataclass(frozen=True, slots=True)
class Related:
    """What a client selects with a row besides its own columns, so that a change of it counts as well."""

    descendants: bool = False
    """Something about the actions below it, such as counts by phase."""
    events: bool = False
    """Something about its events; for a run, about those of any of its actions."""


NOTHING_RELATED = Related()


@dataclass(eq=False, kw_only=True)
class RowMailbox(Mailbox):
    """Runs or actions that changed, each once, in its latest state."""

    match: Matcher
    """The filter."""
    of_runs: bool
    action_key: bytes | None = None
    """Only this action, if given."""
    related: Related = NOTHING_RELATED
    """What else counts as a change of a row."""
    listens_to: frozenset[Scope] = frozenset()
    """The projects and domains whose abort requests an executor receives by it."""
    ended: bool = False
    """The run, or the action if one is given, was seen in a terminal phase."""
    pending: dict[bytes, Run | Action] = field(default_factory=dict)
    removed: dict[bytes, Run | Action | RemovedRun] = field(default_factory=dict)
    """Rows that no longer match, and runs that no longer exist."""
    sizes: dict[bytes, int] = field(default_factory=dict)
    """Characters of long text, by key."""
    sent: dict[bytes, int] = field(default_factory=dict)
    """The revisions that a snapshot sent: nothing older may follow."""
    sent_until: int = 0
    """The number of the last poll that may have begun before the snapshot was complete."""

    @property
    def reads_events(self) -> bool:  # type: ignore[override]
        """Whether events count as changes."""
        return self.related.events

    @property
    def size(self) -> int:
        """How many rows it holds, removed ones included."""
        return len(self.pending) + len(self.removed)

    def put_changed(self, changes: Changes) -> None:
        """Put in the rows that match, those that are related to a change included."""
        for row in changes.roots if self.of_runs and self.run_key is None else changes.rows_of(self.run_key):
            self.put_row(row, changes.number)
        by_descendant, by_event = self.related.descendants, self.related.events
        for each in changes.related_of(self.run_key):
            if each.of_runs is self.of_runs and (
                (by_descendant and each.by_descendant) or (by_event and each.by_event)
            ):
                self.put_row(each.row, changes.number)

    def put_row(self, row: ActionRow, poll: int) -> None:
        """Put the row in if it belongs here."""
        entity = row.run if self.of_runs else row.action
        key = row.action.key
        subject = row.action if key == self.action_key else row.run
        if self.run_key is not None and subject is not None and subject.phase.is_terminal:
            self.ended = self.ended or self.action_key in (None, key)
            self.wake_up.set()
        if entity is None or self.overflowed or self.action_key not in (None, key):
            return
        if not includes(self.scopes, entity.project, entity.domain):
            return
        if self._is_outdated(key, entity.revision, poll):
            return
        match self.match(row):
            case Match.NOW:
                self.removed.pop(key, None)
                self.pending[key] = entity
                self._put_size(key, row.size)
            case Match.NOT_NOW:
                self.pending.pop(key, None)
                self.removed[key] = entity
                self._put_size(key, 0)
            case Match.NEVER:
                return
        self.check_size()

    def put_removed(self, run: RemovedRun, changes: Changes) -> None:
        """Put in that a run was removed. A stream of abort requests restarts instead, if it may have sent
        some of this run."""
        if self.overflowed or not includes(self.scopes, run.project, run.domain):
            return
        if not self.of_runs:
            if run.aborts_changed:
                self.overflow()
        elif not self._is_outdated(run.key, run.revision, changes.number):
            self.pending.pop(run.key, None)
            self.removed[run.key] = run
            self._put_size(run.key, 0)
            self.check_size()

    def take(self) -> tuple[list[Run | Action], list[Run | Action | RemovedRun], list[int]]:
        """Empty the mailbox: the rows, the removed ones, and the sizes of the former."""
        items, removed = list(self.pending.values()), list(self.removed.values())
        sizes = [self.sizes[key] for key in self.pending]
        self.clear()
        return items, removed, sizes

    def clear(self) -> None:
        """Drop all entries."""
        self.pending, self.removed, self.sizes, self.total_size = {}, {}, {}, 0

    def begin(self) -> None:
        """The stream starts again, with an empty mailbox."""
        super().begin()
        self.ended, self.sent = False, {}

    def note_sent(self, entities: Sequence[Run | Action]) -> None:
        """A snapshot sent these rows."""
        if isinstance(entities, Rows):
            self.sent.update(zip(entities.column("key"), entities.column("revision"), strict=True))
        else:
            self.sent.update((entity.key, entity.revision) for entity in entities)

    def end_snapshot(self, polls: int) -> None:
        """The snapshot is complete: drop entries that are older than what it sent. `polls` have begun."""
        self.sent_until = polls
        pending, removed, sent = self.pending, self.removed, self.sent
        self.pending = {key: each for key, each in pending.items() if each.revision >= sent.get(key, 0)}
        self.sizes = {key: self.sizes[key] for key in self.pending}
        self.total_size = sum(self.sizes.values())
        self.removed = {key: each for key, each in removed.items() if each.revision >= sent.get(key, 0)}

    def _is_outdated(self, key: bytes, revision: int, poll: int) -> bool:
        """Whether a snapshot sent something newer."""
        if self.sent and poll > self.sent_until:
            self.sent = {}
        return revision < self.sent.get(key, 0)

    def _put_size(self, key: bytes, size: int) -> None:
        self.total_size += size - self.sizes.get(key, 0)
        self.sizes[key] = size


@dataclass(eq=False, kw_only=True)
class EventMailbox(Mailbox):
    """New events of a run or of an action. When it overflows, the stream reads them from the database."""

    run_key: bytes
    action_key: bytes | None = None
    attempt: int | None = None
    pending: list[ActionEvent] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Characters of long text of each."""
    must_restart: bool = False
    """The run may have been removed, or events that were sent may be lost."""

    reads_rows = False
    reads_events = True
    is_filled_on_resume = False

    @property
    def size(self) -> int:
        """How many events it holds."""
        return len(self.pending)

    def put_changed(self, changes: Changes) -> None:
        """Put in the events of this run, or of this action or attempt."""
        for row in changes.events_of(self.run_key):
            self.put_event(row)

    def put_event(self, row: EventRow) -> None:
        """Put the event in if it belongs here."""
        if self.overflowed or self.action_key not in (None, row.action_key):
            return
        if self.attempt not in (None, row.event.attempt):
            return
        self.pending.append(row.event)
        self.sizes.append(row.size)
        self.total_size += row.size
        self.check_size()

    def take(self) -> tuple[list[ActionEvent], list[int]]:
        """Empty the mailbox: the events and their sizes."""
        taken = self.pending, self.sizes
        self.clear()
        return taken

    def clear(self) -> None:
        """Drop all entries."""
        self.pending, self.sizes, self.total_size = [], [], 0

    def restart(self) -> None:
        """The stream starts again, if its run still exists."""
        self.must_restart = True
        self.overflow()

    def begin(self) -> None:
        """The stream starts again, with an empty mailbox."""
        super().begin()
        self.must_restart = False


@dataclass(eq=False, kw_only=True)
class StateMailbox(Mailbox):
    """Actions, of a run or of all, whose state was set or notified."""

    pending: dict[bytes, ActionIdentifier] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many actions it holds."""
        return len(self.pending)

    def put_changed(self, changes: Changes) -> None:
        """Put in the actions whose state was set or notified."""
        for row in changes.rows_of(self.run_key):
            set_at = row.state_transaction_id
            if set_at is None or changes.since.includes(set_at) or self.overflowed:
                continue
            if not includes(self.scopes, row.action.project, row.action.domain):
                continue
            self.pending[row.action.key] = row.action.identifier
            self.check_size()

    def take(self) -> list[ActionIdentifier]:
        """Empty the mailbox."""
        taken = list(self.pending.values())
        self.clear()
        return taken

    def clear(self) -> None:
        """Drop all entries."""
        self.pending = {}
