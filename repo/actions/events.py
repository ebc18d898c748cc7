"""Reads and writes of events, for one caller, and the attempts that they make."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, false, func, select

from repo.actions.event_rows import EVENT_COLUMNS, Batch, batch_of, event_of, oldest_first
from repo.actions.group_commit import GroupCommit, check_batch
from repo.domain.attempts import merge_attempts
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionAttempt, ActionEvent, NewEvent
from repo.domain.pages import AttemptRange, Page, PageRequest
from repo.domain.phases import MAX_ATTEMPTS, is_count
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
        return await self._by_action(statement, by_key, action_ids)

    async def list_attempts(
        self, action_ids: Collection[ActionIdentifier], range: AttemptRange = NEWEST_ATTEMPTS
    ) -> dict[ActionIdentifier, list[ActionAttempt]]:
        """The attempts of each action in the range, merged from their events, oldest first."""
        by_key = self._readable(action_ids)
        numbers = _numbers(self._database, by_key, range)
        same = and_(e.action_key == numbers.c.action_key, e.attempt == numbers.c.attempt)
        statement = select(*EVENT_COLUMNS).join_from(numbers, action_events, same)
        statement = statement.where(numbers.c.rank <= range.size + 1)
        events = await self._by_action(statement, by_key, action_ids)
        return {action_id: range.of(merge_attempts(of_it)) for action_id, of_it in events.items()}

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

    async def _by_action(
        self,
        statement: Select[Any],
        by_key: Mapping[bytes, ActionIdentifier],
        action_ids: Iterable[ActionIdentifier],
    ) -> dict[ActionIdentifier, list[ActionEvent]]:
        """The events of each action that the statement reads, oldest first."""
        events: dict[ActionIdentifier, list[ActionEvent]] = {action_id: [] for action_id in action_ids}
        for row in await self._rows(statement.order_by(*oldest_first.order(backward=False))):
            action_id = by_key[row[0]]
            events[action_id].append(event_of(row, action_id))
        return events

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with self._database.read() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).all()
        return rows


def _select(attempt: int | None, since: datetime | None) -> Select[Any]:
    statement: Select[Any] = select(*EVENT_COLUMNS)
    if attempt is not None:
        statement = statement.where(e.attempt == attempt if is_count(attempt) else false())
    return statement if since is None else statement.where(e.occurred_at > since)


def _numbers(database: Database, by_key: Mapping[bytes, ActionIdentifier], range: AttemptRange) -> Any:
    """The numbers of each action's attempts in the range, ranked from its start. One more is read, since its
    start may be the end of the one before."""
    later = action_events.alias("later")
    numbers: Select[Any] = select(e.action_key, e.attempt).group_by(e.action_key, e.attempt)
    numbers = having_keys(database, numbers, e.action_key, by_key)
    if range.after is not None:
        numbers = numbers.where(e.attempt > _number(range.after))
    if range.before is not None:
        following = select(func.min(later.c.attempt)).where(
            later.c.action_key == e.action_key, later.c.attempt >= _number(range.before)
        )
        numbers = numbers.where(e.attempt <= func.coalesce(following.scalar_subquery(), MAX_ATTEMPTS))
    found = numbers.subquery()
    order = found.c.attempt.asc() if range.first is not None else found.c.attempt.desc()
    rank = func.row_number().over(partition_by=found.c.action_key, order_by=order)
    return select(*found.c, rank.label("rank")).subquery("numbers")


def _number(value: int) -> int:
    return max(-1, min(value, MAX_ATTEMPTS))


def check_limit(limit: int | None, what: str = "limit") -> None:
    """Raise InvalidArgument for a negative limit."""
    if limit is not None and limit < 0:
        raise InvalidArgument(f"{what} must not be negative")
