"""Owns who is at an abort as SQL: what is due is taken or told, at one place at a time, until it is given up.

What is due is due by the clock of the database, which all replicas share. That clock may jump, so nothing
waits longer than LONGEST_PAUSE by it, and a lease expires by the monotonic clock of whoever sees it.
"""

import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.aborts.requests import NO_LEASE, is_action
from repo.actions.lists import in_scopes
from repo.actions.rows import ACTION_COLUMNS
from repo.domain.authorization import Scope
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import Action
from repo.domain.phases import AbortState
from repo.sql.batches import update_rows
from repo.sql.database import Database
from repo.sql.functions import database_now
from repo.tables import actions, is_abort_pending, is_unconfirmed

FIRST_PAUSE = timedelta(seconds=1)
"""How long to wait at the most before the executor is told for the second time; twice as long each time."""
LONGEST_PAUSE = timedelta(minutes=5)
"""How long to wait at the most before it is told again."""
_UNCONFIRMED = "it did not confirm"
"""Why an abort is told again, or given up, where nobody said anything else."""

c = actions.c


@dataclass(frozen=True, slots=True)
class Taken:
    """What one call of take_aborts or tell_of_aborts came to."""

    aborts: Sequence[Action]
    """Those that are told now."""
    given_up: int
    """How many more were due whose attempts were used up: they are FAILED now."""
    at: datetime
    """When that was, by the clock of the database."""

    def __len__(self) -> int:
        """How many were due."""
        return len(self.aborts) + self.given_up


NOTHING_DUE = Taken([], 0, datetime.min.replace(tzinfo=UTC))
EVERYWHERE: Collection[Scope] = [(None, None)]


class Leases:
    """The leases that are held, as this process sees them, and when each expires by its monotonic clock."""

    def __init__(self) -> None:
        self._expire: dict[str, float] = {}

    async def expired(self, connection: AsyncConnection, at: datetime, duration: timedelta) -> list[str]:
        """Those that have been seen for as long as they hold: for `duration` at least, as one that this
        process takes does; longer where more was left of one when it was seen first."""
        held = select(c.abort_lease, func.max(c.abort_leased_until)).group_by(c.abort_lease)
        rows = await connection.execute(
            held.where(is_unconfirmed, is_abort_pending, c.abort_lease.is_not(None))
        )
        now, seen = time.monotonic(), self._expire
        self._expire = {
            lease: seen.get(lease, now + max(duration, min(until - at, LONGEST_PAUSE)).total_seconds())
            for lease, until in rows
        }
        return [lease for lease, expires in self._expire.items() if expires <= now]


async def find_due(
    connection: AsyncConnection, scopes: Collection[Scope], leases: Leases, duration: timedelta
) -> list[str] | None:
    """The expired leases where an abort is due, or None. That is asked first, as a read: a write wakes
    everybody."""
    at = await _time(connection)
    expired = await leases.expired(connection, at, duration)
    is_due = await connection.scalar(select(c.key).where(*_is_due(at, scopes, expired)).limit(1)) is not None
    return expired if is_due else None


async def take(
    connection: AsyncConnection,
    lease: str,
    duration: timedelta,
    limit: int,
    most_attempts: int,
    now: datetime,
    expired: Collection[str],
) -> Taken:
    """Aborts that are due and that nobody else is at, at most `limit`: each is marked as an attempt, and
    for so long `lease` alone is at it."""
    rows, given_up, at = await _due(connection, EVERYWHERE, limit, most_attempts, now, expired)
    keys = [row.key for row in rows]
    values = {
        "abort_state": AbortState.RETRYING,
        "abort_attempt_count": c.abort_attempt_count + 1,
        "abort_next_attempt_at": None,
        "abort_lease": lease,
        "abort_leased_until": at + duration,
        "updated_at": now,
    }
    if keys:
        await connection.execute(actions.update().where(c.key.in_(keys)).values(**values))
    return Taken(await _read(connection, keys), given_up, at)


async def tell(
    database: Database,
    connection: AsyncConnection,
    scopes: Collection[Scope],
    limit: int,
    most_attempts: int,
    now: datetime,
    expired: Collection[str],
) -> Taken:
    """Aborts in these scopes that are due and so are told again: whoever watches requests gets what changes.
    Each is due again after a while, unless it is confirmed until then."""
    rows, given_up, at = await _due(connection, scopes, limit, most_attempts, now, expired)
    await update_rows(
        connection,
        actions,
        [
            {
                "key": row.key,
                "abort_state": AbortState.RETRYING,
                "abort_attempt_count": row.abort_attempt_count + 1,
                "abort_next_attempt_at": at + pause_after(row.abort_attempt_count + 1),
                "abort_last_error": _UNCONFIRMED if row.abort_attempt_count else None,
                "updated_at": now,
            }
            for row in rows
        ],
    )
    return Taken(await _read(connection, [row.key for row in rows]), given_up, at)


async def _read(connection: AsyncConnection, keys: Sequence[bytes]) -> list[Action]:
    if not keys:
        return []
    statement = select(*ACTION_COLUMNS).where(c.key.in_(keys)).order_by(c.abort_requested_at, c.key)
    found: Sequence[Any] = (await connection.execute(statement)).all()
    return [Action(*row) for row in found]


async def _due(
    connection: AsyncConnection,
    scopes: Collection[Scope],
    limit: int,
    most_attempts: int,
    now: datetime,
    expired: Collection[str],
) -> tuple[list[Any], int, datetime]:
    """Locked rows of aborts that are due, the oldest request first; how many more were, whose attempts are
    used up and that are given up instead, as who made the last one may have died over it; and the time."""
    at = await _time(connection)
    wanted = select(c.key, c.abort_attempt_count).where(*_is_due(at, scopes, expired))
    locked = wanted.order_by(c.abort_requested_at, c.key).limit(limit)
    rows = list(await connection.execute(locked.with_for_update(skip_locked=True, key_share=True)))
    over = [row.key for row in rows if row.abort_attempt_count >= most_attempts]
    if over:
        given_up = {
            **NO_LEASE,
            "abort_state": AbortState.FAILED,
            "abort_next_attempt_at": None,
            "abort_last_error": func.coalesce(c.abort_last_error, _UNCONFIRMED),
            "updated_at": now,
        }
        await connection.execute(actions.update().where(c.key.in_(over)).values(**given_up))
    return [row for row in rows if row.abort_attempt_count < most_attempts], len(over), at


async def _time(connection: AsyncConnection) -> datetime:
    at: datetime | None = await connection.scalar(select(database_now()))
    assert at is not None
    return at


def _is_due(
    at: datetime, scopes: Collection[Scope], expired: Collection[str]
) -> tuple[ColumnElement[bool], ...]:
    next_attempt = c.abort_next_attempt_at
    return (
        is_unconfirmed,
        is_abort_pending,
        # No pause is so long: where more than that is left, the clock was put back.
        or_(next_attempt.is_(None), next_attempt <= at, next_attempt > at + LONGEST_PAUSE),
        or_(c.abort_lease.is_(None), c.abort_lease.in_(expired)),
        *in_scopes(frozenset(scopes)),
    )


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: by chance, so that not all come at once, up to twice as
    long each time."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(attempts - 1, 20)))
    return longest * random.random()


async def note_failure(
    connection: AsyncConnection,
    action: ActionIdentifier,
    lease: str,
    error: str,
    most_attempts: int,
    now: datetime,
) -> AbortState | None:
    """What the abort is now: RETRYING, or FAILED where its attempts are used up; None where this lease
    does not hold it any more, and then nothing changes."""
    held = (is_action(action), is_abort_pending, c.abort_lease == lease)
    wanted = select(c.abort_attempt_count).where(*held).with_for_update(key_share=True)
    count = await connection.scalar(wanted)
    if count is None:
        return None
    is_over = count >= most_attempts
    state = AbortState.FAILED if is_over else AbortState.RETRYING
    values = {
        **NO_LEASE,
        "abort_state": state,
        "abort_last_error": error,
        "abort_next_attempt_at": None if is_over else await _time(connection) + pause_after(count),
        "updated_at": now,
    }
    await connection.execute(actions.update().where(is_action(action)).values(**values))
    return state
