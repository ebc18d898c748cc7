"""Attempts of actions, page by page: the events of a page are read, and merged by `repo.domain.attempts`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.event_rows import EVENT_COLUMNS, event_of, oldest_first
from repo.domain.attempts import merge_attempts
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionAttempt, ActionEvent
from repo.domain.pages import DEFAULT_PAGE, MAX_PAGE
from repo.domain.phases import MAX_ATTEMPTS
from repo.sql.database import Database
from repo.sql.filters import having_keys
from repo.tables import action_events

e = action_events.c


@dataclass(frozen=True, slots=True)
class AttemptRange:
    """Which attempts of an action are wanted: the `first` ones with a number above `after`, or the `last`
    ones with a number below `before`; without a count the newest.

    Raises InvalidArgument where a count is not from 0 to MAX_PAGE, or both are given.
    """

    first: int | None = None
    after: int | None = None
    last: int | None = None
    before: int | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise InvalidArgument("give first or last, not both")
        for name, count in (("first", self.first), ("last", self.last)):
            if count is not None and not 0 <= count <= MAX_PAGE:
                raise InvalidArgument(f"{name} must be between 0 and {MAX_PAGE}, not {count}")

    @property
    def size(self) -> int:
        """How many attempts it has at the most."""
        counts = (self.first, self.last)
        return next((count for count in counts if count is not None), DEFAULT_PAGE)

    def of(self, attempts: list[ActionAttempt]) -> list[ActionAttempt]:
        """Those of the attempts that are in the range."""
        after, before = -1 if self.after is None else self.after, self.before
        inside = [x for x in attempts if x.attempt > after and (before is None or x.attempt < before)]
        return inside[: self.size] if self.first is not None else inside[max(0, len(inside) - self.size) :]


async def list_attempts(
    database: Database,
    connection: AsyncConnection,
    by_key: Mapping[bytes, ActionIdentifier],
    wanted: AttemptRange,
) -> dict[ActionIdentifier, list[ActionAttempt]]:
    """The attempts of each action that are wanted, oldest first, in one statement."""
    numbers = _numbers(database, by_key, wanted)
    same = and_(e.action_key == numbers.c.action_key, e.attempt == numbers.c.attempt)
    statement = select(*EVENT_COLUMNS).join_from(numbers, action_events, same)
    statement = statement.where(numbers.c.rank <= wanted.size + 1)
    events: dict[bytes, list[ActionEvent]] = {key: [] for key in by_key}
    for row in await connection.execute(statement.order_by(*oldest_first.order(backward=False))):
        events[row[0]].append(event_of(row, by_key[row[0]]))
    return {action_id: wanted.of(merge_attempts(events[key])) for key, action_id in by_key.items()}


def _numbers(database: Database, by_key: Mapping[bytes, ActionIdentifier], wanted: AttemptRange) -> Any:
    """The numbers of the attempts of each action in the range, counted from where it begins; and of the one
    behind it, whose start is the end of the last one in it, if that has no other."""
    later = action_events.alias("later")
    numbers: Select[Any] = select(e.action_key, e.attempt).group_by(e.action_key, e.attempt)
    numbers = having_keys(database, numbers, e.action_key, by_key)
    if wanted.after is not None:
        numbers = numbers.where(e.attempt > _number(wanted.after))
    if wanted.before is not None:
        following = select(func.min(later.c.attempt)).where(
            later.c.action_key == e.action_key, later.c.attempt >= _number(wanted.before)
        )
        numbers = numbers.where(e.attempt <= func.coalesce(following.scalar_subquery(), MAX_ATTEMPTS))
    found = numbers.subquery()
    order = found.c.attempt.asc() if wanted.first is not None else found.c.attempt.desc()
    rank = func.row_number().over(partition_by=found.c.action_key, order_by=order)
    return select(*found.c, rank.label("rank")).subquery("numbers")


def _number(value: int) -> int:
    return max(-1, min(value, MAX_ATTEMPTS))
