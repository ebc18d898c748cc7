"""Which aborts are due, and which replica has claimed them, as SQL: until no attempts are left.

Aborts are due by the clock of the database, which all replicas share. That clock may jump: no delay by it is
longer than MAX_DELAY, and a lease expires by the monotonic clock of each process that sees it.
"""

import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.aborts.requests import is_action
from repo.actions.abort_columns import NO_LEASE
from repo.actions.lists import in_scopes
from repo.actions.rows import ACTION_COLUMNS
from repo.domain.authorization import Scope
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import Action
from repo.domain.phases import AbortState
from repo.sql.functions import database_now
from repo.tables import actions, is_abort_pending, is_unconfirmed

FIRST_DELAY = timedelta(seconds=1)
"""The longest delay after the first attempt; it doubles with each."""
MAX_DELAY = timedelta(minutes=5)
_UNCONFIRMED = "it did not confirm"
"""The error of an attempt that ended without any other."""

c = actions.c


@dataclass(frozen=True, slots=True)
class DueAborts:
    """The aborts that were due when they were claimed or sent again."""

    aborts: Sequence[Action]
    """Those with attempts left."""
    exhausted: int
    """The number of those without: they are FAILED now."""
    at: datetime
    """The time of the database."""

    def __len__(self) -> int:
        return len(self.aborts) + self.exhausted


NOTHING_DUE = DueAborts([], 0, datetime.min.replace(tzinfo=UTC))
EVERYWHERE: Collection[Scope] = [(None, None)]


class Claims:
    """The claims that this process has seen, and when each expires by its monotonic clock."""

    def __init__(self) -> None:
        self._expire: dict[str, float] = {}

    async def expired(self, connection: AsyncConnection, at: datetime, duration: timedelta) -> list[str]:
        """The leases that have been seen for as long as they last: `duration` at least, as those of this
        process do, and longer if more was left of one when it was first seen."""
        held = select(c.abort_lease, func.max(c.abort_leased_until)).group_by(c.abort_lease)
        rows = await connection.execute(
            held.where(is_unconfirmed, is_abort_pending, c.abort_lease.is_not(None))
        )
        now, seen = time.monotonic(), self._expire
        self._expire = {
            lease: seen.get(lease, now + max(duration, min(until - at, MAX_DELAY)).total_seconds())
            for lease, until in rows
        }
        return [lease for lease, expires in self._expire.items() if expires <= now]


async def find_due(
    connection: AsyncConnection, scopes: Collection[Scope], seen: Claims, duration: timedelta
) -> list[str] | None:
    """The expired leases if any abort is due, else None. A read before the write, since every write wakes
    all subscribers."""
    at = await _time(connection)
    expired = await seen.expired(connection, at, duration)
    is_due = await connection.scalar(select(c.key).where(*_is_due(at, scopes, expired)).limit(1)) is not None
    return expired if is_due else None


async def claim(
    connection: AsyncConnection,
    lease: str,
    duration: timedelta,
    limit: int,
    max_attempts: int,
    now: datetime,
    expired: Collection[str],
) -> DueAborts:
    """Claim at most `limit` due aborts for `duration`, each with one more attempt counted."""
    rows, exhausted, at = await _due(connection, EVERYWHERE, limit, max_attempts, now, expired)
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
    return DueAborts(await _read(connection, keys), exhausted, at)


async def resend(
    connection: AsyncConnection,
    scopes: Collection[Scope],
    limit: int,
    max_attempts: int,
    now: datetime,
    expired: Collection[str],
) -> DueAborts:
    """Change at most `limit` due aborts in these scopes, so that watchers of requests get them again. Each is
    due again after a delay unless it is confirmed by then."""
    rows, exhausted, at = await _due(connection, scopes, limit, max_attempts, now, expired)
    for row in rows:
        values = {
            "abort_state": AbortState.RETRYING,
            "abort_attempt_count": row.abort_attempt_count + 1,
            "abort_next_attempt_at": at + retry_delay(row.abort_attempt_count + 1),
            "abort_last_error": _UNCONFIRMED if row.abort_attempt_count else None,
            "updated_at": now,
        }
        await connection.execute(actions.update().where(c.key == row.key).values(**values))
    return DueAborts(await _read(connection, [row.key for row in rows]), exhausted, at)


async def _read(connection: AsyncConnection, keys: Sequence[bytes]) -> list[Action]:
    if not keys:
        return []
    statement = select(*ACTION_COLUMNS).where(c.key.in_(keys)).order_by(c.abort_requested_at, c.key)
    return [Action(*row) for row in await connection.execute(statement)]


async def _due(
    connection: AsyncConnection,
    scopes: Collection[Scope],
    limit: int,
    max_attempts: int,
    now: datetime,
    expired: Collection[str],
) -> tuple[list[Any], int, datetime]:
    """Locked rows of due aborts, the oldest request first; how many more had no attempts left and are FAILED
    now, since the replica of the last one may have died; and the time of the database."""
    at = await _time(connection)
    due = select(c.key, c.abort_attempt_count).where(*_is_due(at, scopes, expired))
    locked = due.order_by(c.abort_requested_at, c.key).limit(limit)
    rows = list(await connection.execute(locked.with_for_update(skip_locked=True, key_share=True)))
    exhausted = [row.key for row in rows if row.abort_attempt_count >= max_attempts]
    if exhausted:
        failed = {
            **NO_LEASE,
            "abort_state": AbortState.FAILED,
            "abort_next_attempt_at": None,
            "abort_last_error": func.coalesce(c.abort_last_error, _UNCONFIRMED),
            "updated_at": now,
        }
        await connection.execute(actions.update().where(c.key.in_(exhausted)).values(**failed))
    return [row for row in rows if row.abort_attempt_count < max_attempts], len(exhausted), at


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
        # No delay is longer than MAX_DELAY: if more is left, the clock was set back.
        or_(next_attempt.is_(None), next_attempt <= at, next_attempt > at + MAX_DELAY),
        or_(c.abort_lease.is_(None), c.abort_lease.in_(expired)),
        *in_scopes(frozenset(scopes)),
    )


def retry_delay(attempts: int) -> timedelta:
    """The delay after so many attempts: random, so that not all are due at once, and up to twice as long
    after each."""
    longest = min(MAX_DELAY, FIRST_DELAY * float(2 ** min(attempts - 1, 20)))
    return longest * random.random()


async def record_failure(
    connection: AsyncConnection,
    action: ActionIdentifier,
    lease: str,
    error: str,
    max_attempts: int,
    now: datetime,
) -> AbortState | None:
    """The new state: RETRYING, or FAILED if no attempts are left; None if the lease is lost, and then nothing
    changes."""
    held = (is_action(action), is_abort_pending, c.abort_lease == lease)
    locked = select(c.abort_attempt_count).where(*held).with_for_update(key_share=True)
    count = await connection.scalar(locked)
    if count is None:
        return None
    is_over = count >= max_attempts
    state = AbortState.FAILED if is_over else AbortState.RETRYING
    values = {
        **NO_LEASE,
        "abort_state": state,
        "abort_last_error": error,
        "abort_next_attempt_at": None if is_over else await _time(connection) + retry_delay(count),
        "updated_at": now,
    }
    await connection.execute(actions.update().where(is_action(action)).values(**values))
    return state
