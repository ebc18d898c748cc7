"""Reads and writes of events, for one caller, and the attempts that they make."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, false, func, literal_column, select

from repo.actions.activity import Activity
from repo.actions.attempt_rows import VALUES, events_of_attempts
from repo.actions.event_rows import EVENT_COLUMNS, Batch, batch_of, event_of, oldest_first
from repo.actions.group_commit import GroupCommit, check_batch
from repo.actions.rows import Attributes
from repo.domain.attempts import close_superseded, merge_attempt
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionAttempt, ActionEvent, EventKey, NewEvent
from repo.domain.pages import AttemptRange, Page, PageRequest
from repo.domain.phases import MAX_ATTEMPTS, is_count
from repo.sql.database import Database
from repo.sql.filters import key_filter, listed_rows
from repo.sql.functions import looked_up
from repo.sql.paging import fetch_pages
from repo.sql.statements import ResultSet
from repo.tables import action_events, actions

NEWEST_ATTEMPTS = AttemptRange()

Insertions = GroupCommit[Batch, int]

e = action_events.c

_MERGED_AT_ONCE = 1_000
"""Events that are merged in a few milliseconds."""


class Events:
    """The events that a caller may read and write."""

    def __init__(
        self, database: Database, access: Access, insertions: Insertions, activity: Activity
    ) -> None:
        self._database = database
        self._access = access
        self._insertions = insertions
        self._activity = activity

    async def insert(self, new: Sequence[NewEvent]) -> int:
        """Insert the events in one transaction and return how many were new: an event is identified by its
        action, attempt, phase and version. Raises ActionNotFound, and then nothing is inserted."""
        check_batch(new)
        self._access.check(Permission.WRITE, (event.action for event in new))
        inserted = await self._insertions.write(await batch_of(new, datetime.now(UTC)), len(new))
        self._activity.note(event.action for event in new)
        return inserted

    async def list_since(
        self,
        action_id: ActionIdentifier,
        attempt: int | None = None,
        since: datetime | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[ActionEvent]:
        """The events of an action, or of one attempt, that occurred strictly after `since`, oldest first."""
        check_limit(offset, "offset")
        check_limit(limit)
        if not self._readable([action_id]):
            return []
        statement = _select(attempt, since).where(e.action_key == action_id.key)
        statement = statement.order_by(*oldest_first.order(backward=False)).offset(offset).limit(limit)
        return [event_of(row, action_id) for row in await self._rows(statement)]

    async def page(
        self,
        action_ids: Collection[ActionIdentifier],
        attempt: int | None = None,
        since: datetime | None = None,
        page: PageRequest = PageRequest(),
    ) -> dict[ActionIdentifier, Page[ActionEvent]]:
        """The same page of each action's events, oldest first, in one statement. Raises InvalidCursor."""
        by_key = self._readable(action_ids)
        pages = await fetch_pages(
            self._database,
            ("events", attempt, since),
            lambda: _select(attempt, since),
            e.action_key,
            by_key,
            oldest_first,
            page,
            lambda found: [event_of(row, by_key[row[0]]) for row in found.decoded()],
        )
        return {action_id: pages[key] for key, action_id in by_key.items()}

    async def list_attempts(
        self,
        action_ids: Collection[ActionIdentifier],
        range: AttemptRange = NEWEST_ATTEMPTS,
        attributes: Attributes = None,
    ) -> dict[ActionIdentifier, list[ActionAttempt]]:
        """The attempts of each action in the range, merged from their events, oldest first; with all values,
        or at least these attributes."""
        by_key = self._readable(action_ids)
        in_keys = key_filter(self._database, actions.c.key, by_key)
        shape = range.first is None, range.after is None, range.before is None
        merged = VALUES if attributes is None else VALUES & attributes

        def statement() -> Select[Any]:
            return events_of_attempts(in_keys, range, merged)

        values = {**in_keys.values, "limit": range.size + 1}
        values |= {
            name: _number(n) for name in ("after", "before") if (n := getattr(range, name)) is not None
        }
        found = await self._database.fetch(("attempts", in_keys.key, shape, merged), statement, values)
        if len(found.raw) <= _MERGED_AT_ONCE:
            attempts = _merged(found, by_key)
        else:  # in a thread, beside which the event loop goes on
            attempts = await asyncio.to_thread(_merged, found, by_key)
        return {action_id: range.of(attempts.get(action_id.key, [])) for action_id in action_ids}

    async def get_latest(
        self, attempts: Iterable[tuple[ActionIdentifier, int]]
    ) -> dict[tuple[ActionIdentifier, int], ActionEvent]:
        """The event with the highest phase, then the highest version, of each of these attempts that has
        reported events, in one statement. Each is found by the primary key, however many there are."""
        requested = [(action_id, attempt) for action_id, attempt in attempts if is_count(attempt)]
        by_key = self._readable(action_id for action_id, _ in requested)
        pairs = [(action_id.key, number) for action_id, number in requested if action_id.key in by_key]
        if not pairs:
            return {}
        listed, other = listed_rows(self._database, (e.action_key, e.attempt), pairs), action_events.alias()
        of = (other.c.action_key == listed.c.action_key, other.c.attempt == listed.c.attempt)
        # Not the losses of executors, which may be taken back.
        is_reported = other.c.version >= literal_column("0")
        phase = select(func.max(other.c.phase)).where(*of, is_reported).correlate(listed).scalar_subquery()
        top = select(listed.c.action_key, listed.c.attempt, phase.label("phase")).subquery("top")
        of = (other.c.action_key == top.c.action_key, other.c.attempt == top.c.attempt)
        version = select(func.max(other.c.version)).where(*of, other.c.phase == top.c.phase)
        newest = select(*top.c, version.correlate(top).scalar_subquery().label("version")).subquery("newest")
        same = (e[name] == looked_up(newest.c[name]) for name in newest.c.keys())
        rows = await self._rows(select(*EVENT_COLUMNS).join_from(newest, action_events, and_(*same)))
        events = (event_of(row, by_key[row[0]]) for row in rows)
        return {(event.action, event.attempt): event for event in events}

    async def find(self, keys: Collection[EventKey]) -> dict[EventKey, ActionEvent]:
        """Those of the events that exist."""
        by_key = self._readable(key.action for key in keys)
        possible = (key for key in keys if is_count(key.attempt) and is_count(abs(key.version)))
        rows = [(key.action.key, *key[1:]) for key in possible if key.action.key in by_key]
        if not rows:
            return {}
        listed = listed_rows(self._database, (e.action_key, e.attempt, e.phase, e.version), rows)
        same = (e[name] == looked_up(listed.c[name]) for name in listed.c.keys())
        found = await self._rows(select(*EVENT_COLUMNS).join_from(listed, action_events, and_(*same)))
        events = (event_of(row, by_key[row[0]]) for row in found)
        return {EventKey(each.action, each.attempt, each.phase, each.version): each for each in events}

    def _readable(self, action_ids: Iterable[ActionIdentifier]) -> dict[bytes, ActionIdentifier]:
        """Those of the actions that the caller may read, by their keys."""
        scopes = self._access.readable
        return {each.key: each for each in action_ids if includes(scopes, each.project, each.domain)}

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with self._database.read() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).all()
        return rows


def _select(attempt: int | None, since: datetime | None) -> Select[Any]:
    statement: Select[Any] = select(*EVENT_COLUMNS)
    if attempt is not None:
        statement = statement.where(e.attempt == attempt if is_count(attempt) else false())
    return statement if since is None else statement.where(e.occurred_at > since)


def _merged(found: ResultSet, by_key: Mapping[bytes, ActionIdentifier]) -> dict[bytes, list[ActionAttempt]]:
    """The attempts of each action, oldest first, from rows of EVENT_COLUMNS in any order."""
    rows: dict[tuple[bytes, int], list[Sequence[Any]]] = {}
    for row in found.raw:
        rows.setdefault((row[0], row[1]), []).append(row)
    attempts: dict[bytes, list[ActionAttempt]] = {}
    for key, number in sorted(rows):
        # One at a time: their events need not be in memory together.
        of_one = ResultSet(found.prepared, rows.pop((key, number))).decoded()
        merged = merge_attempt([event_of(row, by_key[key]) for row in of_one])
        if merged is not None:
            attempts.setdefault(key, []).append(merged)
    return {key: close_superseded(of_it) for key, of_it in attempts.items()}


def _number(value: int) -> int:
    return max(-1, min(value, MAX_ATTEMPTS))


def check_limit(limit: int | None, what: str = "limit") -> None:
    """Raise InvalidArgument for a negative limit."""
    if limit is not None and limit < 0:
        raise InvalidArgument(f"{what} must not be negative")
