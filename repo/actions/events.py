"""Reads and writes of events, for one caller, and the attempts that they make."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, false, func, select

from repo.actions import attempt_pages
from repo.actions.attempt_pages import AttemptRange
from repo.actions.event_rows import EVENT_COLUMNS, Batch, batch_of, event_of, oldest_first
from repo.actions.group_commit import GroupCommit, check_batch
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionAttempt, ActionEvent, NewEvent
from repo.domain.pages import Page, PageRequest
from repo.domain.phases import is_count
from repo.sql.database import Database
from repo.sql.filters import having_keys
from repo.sql.paging import fetch_pages
from repo.tables import action_events

NEWEST_ATTEMPTS = AttemptRange()

Insertions = GroupCommit[Batch, int]

e = action_events.c


class Events:
    """The events that a caller may read and write."""

    def __init__(self, database: Database, access: Access, insertions: Insertions) -> None:
        self._database = database
        self._access = access
        self._insertions = insertions

    async def insert(self, new: Sequence[NewEvent]) -> int:
        """Insert the events in one transaction and return how many were new: an event is identified by its
        action, attempt, phase and version. Raises ActionNotFound, and then nothing is inserted."""
        check_batch(new)
        self._access.check(Permission.WRITE, (event.action for event in new))
        return await self._insertions.write(batch_of(new, datetime.now(UTC)), len(new))

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

    async def list_all(
        self, action_ids: Collection[ActionIdentifier]
    ) -> dict[ActionIdentifier, list[ActionEvent]]:
        """Every event of each action, oldest first, in one statement."""
        by_key = self._readable(action_ids)
        statement = having_keys(self._database, select(*EVENT_COLUMNS), e.action_key, by_key)
        found: dict[ActionIdentifier, list[ActionEvent]] = {action_id: [] for action_id in action_ids}
        for row in await self._rows(statement.order_by(*oldest_first.order(backward=False))):
            action_id = by_key[row[0]]
            found[action_id].append(event_of(row, action_id))
        return found

    async def list_attempts(
        self, action_ids: Collection[ActionIdentifier], range: AttemptRange = NEWEST_ATTEMPTS
    ) -> dict[ActionIdentifier, list[ActionAttempt]]:
        """The attempts of each action in the range, merged from their events, oldest first."""
        by_key = self._readable(action_ids)
        async with self._database.read() as connection:
            found = await attempt_pages.list_attempts(self._database, connection, by_key, range)
        return {action_id: found.get(action_id, []) for action_id in action_ids}

    async def get_latest(
        self, attempts: Iterable[tuple[ActionIdentifier, int]]
    ) -> dict[tuple[ActionIdentifier, int], ActionEvent]:
        """The event with the highest phase, then the highest version, of each of these attempts that has
        events, in one statement."""
        requested = {(action_id, attempt) for action_id, attempt in attempts if is_count(attempt)}
        by_key = self._readable(action_id for action_id, _ in requested)
        rank = func.row_number().over(
            partition_by=(e.action_key, e.attempt), order_by=(e.phase.desc(), e.version.desc())
        )
        ranked = select(*EVENT_COLUMNS, rank.label("rank")).where(
            e.attempt.in_({attempt for _, attempt in requested})
        )
        found = having_keys(self._database, ranked, e.action_key, by_key).subquery()
        rows = await self._rows(select(*found.c).where(found.c.rank == 1))
        events = (event_of(row, by_key[row[0]]) for row in rows)
        return {key: event for event in events if (key := (event.action, event.attempt)) in requested}

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


def check_limit(limit: int | None, what: str = "limit") -> None:
    """Raise InvalidArgument for a negative limit."""
    if limit is not None and limit < 0:
        raise InvalidArgument(f"{what} must not be negative")
