"""The change feed: what was written since a position, each row read once however many streams want it."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

from sqlalchemy import Select, select, true
from sqlalchemy.sql.elements import NamedColumn

from repo.actions.event_rows import EVENT_COLUMNS, event_of
from repo.actions.rows import ROW_COLUMNS, ActionRow, action_row
from repo.domain.cursors import FeedPosition
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionEvent, RemovedRun
from repo.sql.database import Database, Snapshot
from repo.sql.filters import KeyFilter, key_filter, written_after_filter
from repo.tables import action_changes, action_events, actions, is_root, removal_horizon, removed_runs

T = TypeVar("T")

c = actions.c
e = action_events.c
log = action_changes.c
r = removed_runs.c

MAX_KEYS = 5_000
"""Keys in a statement."""
MAX_CHANGES = 50_000
"""Rows that one poll reads; with more, all mailboxes overflow instead."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """A new event."""

    event: ActionEvent
    action_key: bytes
    size: int
    """Characters of its long text."""

    @property
    def run_key(self) -> bytes:
        """The key of its run, which is a prefix of the key of its action."""
        return self.action_key[:16]


@dataclass(frozen=True, slots=True)
class RelatedRow:
    """A row that did not change itself, but something that is selected with it."""

    row: ActionRow
    of_runs: bool
    """It is for streams of runs, not of actions."""
    by_descendant: bool
    """A descendant changed."""
    by_event: bool
    """There is a new event of it, or of an action of the run."""


@dataclass
class Changes:
    """What a poll found."""

    number: int
    """The number of the poll."""
    since: FeedPosition
    rows: list[ActionRow]
    events: list[EventRow]
    removed: list[RemovedRun]
    related: list[RelatedRow] = field(default_factory=list)

    @cached_property
    def roots(self) -> list[ActionRow]:
        """The rows that are runs."""
        return [row for row in self.rows if row.run is not None]

    @cached_property
    def removed_keys(self) -> set[bytes]:
        """The keys of the removed runs."""
        return {run.run_key for run in self.removed}

    def rows_of(self, run_key: bytes | None) -> Sequence[ActionRow]:
        """The rows of a run, or of all."""
        return self.rows if run_key is None else self._rows_by_run.get(run_key, ())

    def related_of(self, run_key: bytes | None) -> Sequence[RelatedRow]:
        """The related rows of a run, or of all."""
        return self.related if run_key is None else self._related_by_run.get(run_key, ())

    def events_of(self, run_key: bytes) -> Sequence[EventRow]:
        """The events of a run."""
        return self._events_by_run.get(run_key, ())

    @cached_property
    def _rows_by_run(self) -> dict[bytes, list[ActionRow]]:
        return _grouped(self.rows, lambda row: row.action.run_key)

    @cached_property
    def _related_by_run(self) -> dict[bytes, list[RelatedRow]]:
        return _grouped(self.related, lambda related: related.row.action.run_key)

    @cached_property
    def _events_by_run(self) -> dict[bytes, list[EventRow]]:
        return _grouped(self.events, lambda row: row.run_key)


def _grouped(items: Iterable[T], run_key: Callable[[T], bytes]) -> dict[bytes, list[T]]:
    groups = defaultdict(list)
    for item in items:
        groups[run_key(item)].append(item)
    return groups


class FeedSnapshot:
    """One snapshot of the database."""

    def __init__(self, database: Database, snapshot: Snapshot) -> None:
        self.position, self.incarnations = snapshot.position, snapshot.incarnations
        self._database = database
        self._snapshot = snapshot

    async def changed_rows(self, since: FeedPosition) -> list[ActionRow] | None:
        """The actions written since, oldest transaction first; None if they were written more than
        MAX_CHANGES times."""
        filter = written_after_filter(log.transaction_id, since)

        def statement() -> Select[Any]:
            ordered = filter.apply(select(log.key, log.transaction_id)).order_by(log.transaction_id)
            return ordered.limit(MAX_CHANGES + 1)

        found = await self._snapshot.fetch(("changes", filter.key), statement, filter.values)
        if len(found.raw) > MAX_CHANGES:
            return None
        written = {key: transaction_id for key, transaction_id in found.raw}
        rows = await self.rows(written) if written else []
        return sorted(rows, key=lambda row: (written[row.action.key], row.action.created_at))

    async def rows(self, keys: Collection[bytes]) -> list[ActionRow]:
        """The actions with these keys."""
        return await self._rows("rows", select(*ROW_COLUMNS), c.key, keys)

    async def roots(self, run_keys: Collection[bytes]) -> list[ActionRow]:
        """The roots of these runs."""
        return await self._rows("roots", select(*ROW_COLUMNS).where(is_root), c.run_key, run_keys)

    async def _rows(
        self, name: str, statement: Select[Any], column: NamedColumn[Any], keys: Collection[bytes]
    ) -> list[ActionRow]:
        rows: list[ActionRow] = []
        for part in _parts(keys):
            filter = key_filter(self._database, column, part)
            found = await self._snapshot.fetch(
                (name, filter.key), partial(filter.apply, statement), filter.values
            )
            rows += map(action_row, found.decoded(), found.sizes())
        return rows

    async def ancestors(self, keys: Collection[bytes]) -> set[bytes]:
        """The keys of all actions above these, up to their roots."""
        ancestors: set[bytes] = set()
        for part in _parts(keys):
            filter = key_filter(self._database, c.key, part)

            def statement(filter: KeyFilter = filter) -> Select[Any]:
                above = actions.alias("above")
                parents = select(c.parent_key.label("key")).where(c.parent_key.is_not(None))
                chain = filter.apply(parents).cte("chain", recursive=True)
                chain = chain.union(
                    select(above.c.parent_key)
                    .join(chain, above.c.key == chain.c.key)
                    .where(above.c.parent_key.is_not(None))
                )
                return select(chain.c.key)

            found = await self._snapshot.fetch(("ancestors", filter.key), statement, filter.values)
            ancestors.update(key for (key,) in found.decoded())
        return ancestors

    async def changed_events(self, since: FeedPosition) -> list[EventRow] | None:
        """The events inserted since, oldest transaction first; None if there are more than
        MAX_CHANGES."""
        filter = written_after_filter(e.transaction_id, since)

        def statement() -> Select[Any]:
            named = (c.project, c.domain, c.run_name, c.name)
            joined = select(*EVENT_COLUMNS, *named).join(actions, e.action_key == c.key)
            ordered = filter.apply(joined).order_by(
                e.transaction_id, e.occurred_at, e.attempt, e.phase, e.version
            )
            return ordered.limit(MAX_CHANGES + 1)

        found = await self._snapshot.fetch(("changed events", filter.key), statement, filter.values)
        if len(found.raw) > MAX_CHANGES:
            return None
        named: dict[bytes, ActionIdentifier] = {}
        events = []
        for row, size in zip(found.decoded(), found.sizes(), strict=True):
            key = row[0]
            if key not in named:
                named[key] = ActionIdentifier(*row[-4:])
            events.append(EventRow(event_of(row, named[key]), key, size))
        return events

    async def removed_runs(self, since: FeedPosition) -> list[RemovedRun] | None:
        """The runs removed since; None if there are more than MAX_CHANGES, or some are no longer known."""
        filter = written_after_filter(r.transaction_id, since)

        def statement() -> Select[Any]:
            columns = (r.key, r.project, r.domain, r.name, r.revision, r.aborts_changed)
            # The join returns the horizon even if there are no removed runs.
            found = filter.apply(select(*columns)).limit(MAX_CHANGES + 1).subquery()
            horizon = removal_horizon.c.transaction_id
            return select(horizon, *found.c).select_from(removal_horizon.outerjoin(found, true()))

        found = await self._snapshot.fetch(("removed runs", filter.key), statement, filter.values)
        rows = found.decoded()
        if len(rows) > MAX_CHANGES or not since.has_all_below(rows[0][0]):
            return None
        return [RemovedRun(*row[1:]) for row in rows if row[1] is not None]


@asynccontextmanager
async def read_feed(database: Database, last: FeedPosition | None = None) -> AsyncIterator[FeedSnapshot]:
    """A snapshot of now. `last` is the position that was read before."""
    async with database.snapshot(last) as snapshot:
        yield FeedSnapshot(database, snapshot)


def _parts(keys: Collection[bytes]) -> Iterator[list[bytes]]:
    """The keys, in batches that one statement takes."""
    distinct = list(keys)
    for start in range(0, len(distinct), MAX_KEYS):
        yield distinct[start : start + MAX_KEYS]
