"""Owns the change feed: what was written since a position, each row read once however many watch it."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, false, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.database import Database, constant
from repo.events import EVENT_COLUMNS, event_of
from repo.identifiers import ActionIdentifier
from repo.listing import ACTION_COLUMNS, RUN_COLUMNS
from repo.models import Action, ActionEvent, Run
from repo.phases import ActionPhase
from repo.positions import Position
from repo.tables import action_events, actions, is_root

c = actions.c
e = action_events.c

MOST_CHANGES = 50_000
"""More rows than this are not read in one look: whoever watches rows begins anew instead."""

_member = actions.alias("member")
_is_paused_member = constant(_member.c.phase, ActionPhase.PAUSED)
_paused = select(_member.c.key).where(_member.c.run_key == c.run_key, _is_paused_member).exists()
_RUN_ONLY = tuple(column for column in RUN_COLUMNS if column not in set(ACTION_COLUMNS))
_SHARED = len(RUN_COLUMNS) - len(_RUN_ONLY) - 2
_COLUMNS = (
    *ACTION_COLUMNS,
    *_RUN_ONLY,
    c.parent_key,
    c.state_transaction_id,
    case((is_root, _paused), else_=false()).label("has_paused_actions"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """An action as it is now, and the run that it is, if it is a root."""

    action: Action
    run: Run | None
    parent_key: bytes | None
    state_transaction_id: int | None
    has_paused_actions: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    """A new event, and the run that it belongs to."""

    event: ActionEvent
    action_key: bytes

    @property
    def run_key(self) -> bytes:
        """The key of the run, with which the key of the action begins."""
        return self.action_key[:16]


def _row(values: Sequence[Any]) -> Row:
    action = Action(*values[: len(ACTION_COLUMNS)])
    *run_only, parent_key, state_transaction_id, has_paused = values[len(ACTION_COLUMNS) :]
    run = None
    if parent_key is None:
        of_the_run = (*values[:_SHARED], action.run_name, action.name, *run_only)
        run = Run(*of_the_run)
    return Row(action, run, parent_key, state_transaction_id, bool(has_paused))


class Look:
    """The database at one moment."""

    def __init__(self, database: Database, connection: AsyncConnection, position: Position) -> None:
        self.position = position
        """What this look sees."""
        self._database = database
        self._connection = connection

    async def changed_rows(self, since: Position, *conditions: Any) -> list[Row] | None:
        """The actions written since; None where they are more than MOST_CHANGES."""
        statement = select(*_COLUMNS).where(
            self._database.written_after(c.transaction_id, since), *conditions
        )
        statement = statement.order_by(c.transaction_id, c.created_at).limit(MOST_CHANGES + 1)
        rows = (await self._connection.execute(statement)).all()
        return None if len(rows) > MOST_CHANGES else [_row(row) for row in rows]

    async def rows(self, keys: Collection[bytes]) -> list[Row]:
        """The actions with these keys."""
        if not keys:
            return []
        statement = self._database.having_keys(select(*_COLUMNS), c.key, keys)
        return [_row(row) for row in await self._connection.execute(statement)]

    async def roots(self, run_keys: Collection[bytes]) -> list[Row]:
        """The roots of these runs."""
        if not run_keys:
            return []
        statement = self._database.having_keys(select(*_COLUMNS).where(is_root), c.run_key, run_keys)
        return [_row(row) for row in await self._connection.execute(statement)]

    async def ancestors(self, keys: Collection[bytes]) -> set[bytes]:
        """The keys of all actions above these, up to their roots."""
        if not keys:
            return set()
        above = actions.alias("above")
        parents = select(c.parent_key.label("key")).where(c.parent_key.is_not(None))
        chain = self._database.having_keys(parents, c.key, keys).cte("chain", recursive=True)
        chain = chain.union(
            select(above.c.parent_key)
            .join(chain, above.c.key == chain.c.key)
            .where(above.c.parent_key.is_not(None))
        )
        return set(await self._connection.scalars(select(chain.c.key)))

    async def changed_events(self, since: Position) -> list[EventRow] | None:
        """The events inserted since, oldest transaction first; None where they are more than
        MOST_CHANGES."""
        named = (c.project, c.domain, c.run_name, c.name)
        statement = (
            select(*EVENT_COLUMNS, *named)
            .join(actions, e.action_key == c.key)
            .where(self._database.written_after(e.transaction_id, since))
            .order_by(e.transaction_id, e.occurred_at, e.attempt, e.phase, e.version)
            .limit(MOST_CHANGES + 1)
        )
        rows = (await self._connection.execute(statement)).all()
        if len(rows) > MOST_CHANGES:
            return None
        return [EventRow(event_of(row, ActionIdentifier(*row[-4:])), row[0]) for row in rows]


class Feed:
    """Looks at the database, one moment after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Look]:
        """The database as it is now."""
        async with self._database.snapshot() as (connection, position):
            yield Look(self._database, connection, position)
