"""Owns the change feed: what was written since a position, each row read once however many watch it."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Select, select, true
from sqlalchemy.sql.elements import NamedColumn

from repo.actions.events import EVENT_COLUMNS, event_of
from repo.actions.rows import ROW_COLUMNS, ActionRow, action_row
from repo.domain.cursors import FeedPosition, Incarnation
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionEvent, RemovedRun
from repo.sql.database import Database, Snapshot
from repo.sql.filters import KeyFilter, key_filter, written_after_filter
from repo.tables import action_events, actions, is_root, removal_horizon, removed_runs

c = actions.c
e = action_events.c
r = removed_runs.c

MAX_KEYS = 5_000
"""Keys that a statement names."""

MAX_CHANGES = 50_000
"""More rows than this are not read in one look: whoever watches rows begins anew instead."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """A new event, and the run that it belongs to."""

    event: ActionEvent
    action_key: bytes
    size: int
    """Characters of its long text."""

    @property
    def run_key(self) -> bytes:
        """The key of the run, with which the key of the action begins."""
        return self.action_key[:16]


class Look:
    """The database at one moment."""

    def __init__(self, database: Database, moment: Snapshot) -> None:
        self.position = moment.position
        """What this look sees."""
        self._database = database
        self._moment = moment

    async def incarnations(self) -> list[Incarnation]:
        """Those of the database that are known, the first one first."""
        return await self._moment.incarnations()

    async def changed_rows(self, since: FeedPosition) -> list[ActionRow] | None:
        """The actions written since; None where they are more than MAX_CHANGES."""
        given = written_after_filter(c.transaction_id, since)

        def statement() -> Select[Any]:
            ordered = given.apply(select(*ROW_COLUMNS)).order_by(c.transaction_id, c.created_at)
            return ordered.limit(MAX_CHANGES + 1)

        found = await self._moment.fetch(("changed rows", given.key), statement, given.values)
        return None if len(found.raw) > MAX_CHANGES else list(map(action_row, found.decoded(), found.sizes()))

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
            given = key_filter(self._database, column, part)
            found = await self._moment.fetch((name, given.key), partial(given.apply, statement), given.values)
            rows += map(action_row, found.decoded(), found.sizes())
        return rows

    async def ancestors(self, keys: Collection[bytes]) -> set[bytes]:
        """The keys of all actions above these, up to their roots."""
        ancestors: set[bytes] = set()
        for part in _parts(keys):
            given = key_filter(self._database, c.key, part)

            def statement(given: KeyFilter = given) -> Select[Any]:
                above = actions.alias("above")
                parents = select(c.parent_key.label("key")).where(c.parent_key.is_not(None))
                chain = given.apply(parents).cte("chain", recursive=True)
                chain = chain.union(
                    select(above.c.parent_key)
                    .join(chain, above.c.key == chain.c.key)
                    .where(above.c.parent_key.is_not(None))
                )
                return select(chain.c.key)

            found = await self._moment.fetch(("ancestors", given.key), statement, given.values)
            ancestors.update(key for (key,) in found.decoded())
        return ancestors

    async def changed_events(self, since: FeedPosition) -> list[EventRow] | None:
        """The events inserted since, oldest transaction first; None where they are more than
        MAX_CHANGES."""
        given = written_after_filter(e.transaction_id, since)

        def statement() -> Select[Any]:
            named = (c.project, c.domain, c.run_name, c.name)
            joined = select(*EVENT_COLUMNS, *named).join(actions, e.action_key == c.key)
            ordered = given.apply(joined).order_by(
                e.transaction_id, e.occurred_at, e.attempt, e.phase, e.version
            )
            return ordered.limit(MAX_CHANGES + 1)

        found = await self._moment.fetch(("changed events", given.key), statement, given.values)
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
        """The runs removed since; None where they are more than MAX_CHANGES, or not all known any more."""
        given = written_after_filter(r.transaction_id, since)

        def statement() -> Select[Any]:
            columns = (r.key, r.project, r.domain, r.name, r.revision, r.aborts_changed)
            # The horizon comes also where there are none.
            found = given.apply(select(*columns)).limit(MAX_CHANGES + 1).subquery()
            horizon = removal_horizon.c.transaction_id
            return select(horizon, *found.c).select_from(removal_horizon.outerjoin(found, true()))

        found = await self._moment.fetch(("removed runs", given.key), statement, given.values)
        rows = found.decoded()
        if len(rows) > MAX_CHANGES or not since.has_all_below(rows[0][0]):
            return None
        return [RemovedRun(*row[1:]) for row in rows if row[1] is not None]


def _parts(keys: Collection[bytes]) -> Iterator[list[bytes]]:
    """The keys in parts that a statement of SQLite takes."""
    distinct = list(keys)
    for start in range(0, len(distinct), MAX_KEYS):
        yield distinct[start : start + MAX_KEYS]


class Feed:
    """Looks at the database, one moment after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def look(self, last: FeedPosition | None = None) -> AsyncIterator[Look]:
        """The database as it is now, after the `last` position that was read."""
        async with self._database.snapshot(last) as moment:
            yield Look(self._database, moment)
