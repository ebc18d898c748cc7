"""Owns abort requests as SQL: asked once, kept until confirmed; a finished action stays as it ended."""

import random
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, case, false, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.database import Database, UtcDateTime, database_now
from repo.errors import Conflict
from repo.identifiers import ActionIdentifier
from repo.listing import ACTION_COLUMNS, RunFilter, matching_runs
from repo.models import AbortFigures, AbortProgress, Action, Identity, identity_to_json
from repo.phases import FIRST_TERMINAL, AbortState, ActionPhase
from repo.tables import actions, is_abort_pending, is_unconfirmed

FIRST_PAUSE = timedelta(seconds=1)
"""How long to wait at the most before the executor is told for the second time; twice as long each time."""
LONGEST_PAUSE = timedelta(minutes=5)
"""How long to wait at the most before it is told again."""

Scope = tuple[str | None, str | None]
"""A project and a domain, or all of them."""

c = actions.c
_is_unfinished = c.phase < FIRST_TERMINAL


def is_action(action: ActionIdentifier) -> ColumnElement[bool]:
    """The condition for the row of one action."""
    return c.key == action.key


async def request(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
    batch: str | None = None,
) -> int:
    """How many actions this aborted: those that have not finished among `which`."""
    moment = literal(now, UtcDateTime())
    statement: Update = (
        actions.update()
        .where(which, _is_unfinished)
        .values(
            phase=ActionPhase.ABORTED,
            ended_at=case((c.created_at > moment, c.created_at), else_=moment),
            abort_state=AbortState.REQUESTED,
            abort_reason=reason,
            abort_requested_by=identity_to_json(requested_by),
            abort_requested_at=now,
            abort_batch=batch,
            updated_at=now,
        )
    )
    return (await connection.execute(statement)).rowcount


async def request_all(
    database: Database,
    connection: AsyncConnection,
    wanted: RunFilter,
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
    batch: str,
) -> int:
    """How many runs this aborted: those that match and have not finished."""
    which = and_(*matching_runs(wanted, database))
    # In the order in which batches of updates lock their rows: the update alone would take its own.
    rows = select(c.key).where(which, _is_unfinished).order_by(c.key).with_for_update(key_share=True)
    await connection.execute(select(func.count()).select_from(rows.subquery()))
    return await request(connection, which, reason, requested_by, now, batch)


async def count_unfinished(database: Database, connection: AsyncConnection, wanted: RunFilter) -> int:
    """How many runs match and have not finished."""
    conditions = [*matching_runs(wanted, database), _is_unfinished]
    return await connection.scalar(select(func.count()).select_from(actions).where(*conditions)) or 0


async def mark_attempt(
    connection: AsyncConnection, action: ActionIdentifier, error: str | None, now: datetime
) -> int:
    """How often the executor has been told by now. Raises Conflict where no abort waits for it."""
    statement = (
        actions.update()
        .where(is_action(action), is_unconfirmed)
        .values(
            abort_state=AbortState.RETRYING,
            abort_attempt_count=c.abort_attempt_count + 1,
            abort_last_error=error,
            updated_at=now,
        )
        .returning(c.abort_attempt_count)
    )
    count = await connection.scalar(statement)
    if count is None:
        raise Conflict(f"no abort of {action} waits to be confirmed")
    return int(count)


async def take(
    connection: AsyncConnection,
    lease: str,
    duration: timedelta,
    limit: int,
    most_attempts: int,
    now: datetime,
) -> list[Action]:
    """Aborts that are due and that nobody else is at, at most `limit`: each is marked as an attempt, and
    for so long `lease` alone is at it. The time is the database's."""
    rows, at = await _due(connection, [], limit, most_attempts, now)
    keys = [row.key for row in rows]
    if not keys:
        return []
    await connection.execute(
        actions.update()
        .where(c.key.in_(keys))
        .values(
            abort_state=AbortState.RETRYING,
            abort_attempt_count=c.abort_attempt_count + 1,
            abort_next_attempt_at=None,
            abort_lease=lease,
            abort_leased_until=at + duration,
            updated_at=now,
        )
    )
    found: Sequence[Any] = (await connection.execute(select(*ACTION_COLUMNS).where(c.key.in_(keys)))).all()
    return [Action(*row) for row in found]


async def tell(
    database: Database,
    connection: AsyncConnection,
    scopes: Collection[Scope],
    limit: int,
    most_attempts: int,
    now: datetime,
) -> int:
    """How many aborts in these scopes are told again by this call, being due: whoever watches requests
    gets what changes. Each is due again after a while, unless it is confirmed until then."""
    within = [or_(false(), *(_in_scope(scope) for scope in scopes))]
    rows, at = await _due(connection, within, limit, most_attempts, now)
    await database.update_rows(
        connection,
        actions,
        [
            {
                "key": row.key,
                "abort_state": AbortState.RETRYING,
                "abort_attempt_count": row.abort_attempt_count + 1,
                "abort_next_attempt_at": at + pause_after(row.abort_attempt_count + 1),
                "updated_at": now,
            }
            for row in rows
        ],
    )
    return len(rows)


async def _due(
    connection: AsyncConnection,
    within: Iterable[ColumnElement[bool]],
    limit: int,
    most_attempts: int,
    now: datetime,
) -> tuple[list[Any], datetime]:
    """Locked rows of aborts that are due, the oldest request first, and the database's time. Those whose
    attempts are used up are given up instead: who made the last one may have died over it."""
    at = await connection.scalar(select(database_now()))
    assert at is not None
    due = (
        is_unconfirmed,
        is_abort_pending,
        or_(c.abort_next_attempt_at.is_(None), c.abort_next_attempt_at <= at),
        or_(c.abort_leased_until.is_(None), c.abort_leased_until <= at),
        *within,
    )
    wanted = select(c.key, c.abort_attempt_count).where(*due).order_by(c.abort_requested_at, c.key)
    locked = wanted.limit(limit).with_for_update(skip_locked=True, key_share=True)
    rows = list(await connection.execute(locked))
    over = [row.key for row in rows if row.abort_attempt_count >= most_attempts]
    if over:
        given_up = {**_NO_LEASE, "abort_state": AbortState.FAILED, "abort_next_attempt_at": None}
        await connection.execute(actions.update().where(c.key.in_(over)).values(**given_up, updated_at=now))
    return [row for row in rows if row.abort_attempt_count < most_attempts], at


def _in_scope(scope: Scope) -> ColumnElement[bool]:
    conditions = [
        column == value
        for column, value in zip((c.project, c.domain), scope, strict=True)
        if value is not None
    ]
    return and_(literal(True), *conditions)


_NO_LEASE: dict[str, None] = {"abort_lease": None, "abort_leased_until": None}


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
    row = (
        await connection.execute(
            select(c.abort_attempt_count, database_now().label("at")).where(*held).with_for_update()
        )
    ).first()
    if row is None:
        return None
    is_over = row.abort_attempt_count >= most_attempts
    state = AbortState.FAILED if is_over else AbortState.RETRYING
    await connection.execute(
        actions.update()
        .where(is_action(action))
        .values(
            **_NO_LEASE,
            abort_state=state,
            abort_last_error=error,
            abort_next_attempt_at=None if is_over else row.at + pause_after(row.abort_attempt_count),
            updated_at=now,
        )
    )
    return state


async def retry(connection: AsyncConnection, action: ActionIdentifier, now: datetime) -> bool:
    """Whether an abort that was given up is a request again, with all its attempts."""
    statement = (
        actions.update()
        .where(is_action(action), c.abort_state == AbortState.FAILED)
        .values(
            abort_state=AbortState.REQUESTED,
            abort_attempt_count=0,
            abort_next_attempt_at=None,
            updated_at=now,
        )
    )
    return bool((await connection.execute(statement)).rowcount)


async def confirm(connection: AsyncConnection, action: ActionIdentifier, now: datetime) -> None:
    """Note that the action is gone, and all below it with it: what has not finished there is ABORTED for
    the same reason. Who asked and why is kept; without a request nothing changes."""
    mine = (
        await connection.execute(
            select(c.abort_reason, c.abort_requested_by, c.abort_requested_at)
            .where(is_action(action), is_unconfirmed)
            .with_for_update(key_share=True)
        )
    ).first()
    if mine is None:
        return
    confirmed = {
        **_NO_LEASE,
        "abort_state": AbortState.CONFIRMED,
        "abort_confirmed_at": now,
        "abort_next_attempt_at": None,
        "updated_at": now,
    }
    await connection.execute(actions.update().where(is_action(action)).values(**confirmed))
    below = _below(action)
    # In the order in which batches of updates lock their rows.
    rows = select(c.key).where(c.key.in_(below), or_(_is_unfinished, is_unconfirmed)).order_by(c.key)
    locked = rows.with_for_update(key_share=True)
    if not await connection.scalar(select(func.count()).select_from(locked.subquery())):
        return
    # Their own requests first: of those who and why stay what they are.
    await connection.execute(actions.update().where(c.key.in_(below), is_unconfirmed).values(**confirmed))
    moment = literal(now, UtcDateTime())
    await connection.execute(
        actions.update()
        .where(c.key.in_(below), _is_unfinished)
        .values(
            **confirmed,
            phase=ActionPhase.ABORTED,
            ended_at=case((c.created_at > moment, c.created_at), else_=moment),
            abort_reason=mine.abort_reason,
            abort_requested_by=mine.abort_requested_by,
            abort_requested_at=mine.abort_requested_at,
        )
    )


def _below(action: ActionIdentifier) -> Any:
    """The keys of all actions below one."""
    tree = select(c.key).where(c.parent_key == action.key).cte("below", recursive=True)
    child = actions.alias("child")
    tree = tree.union_all(select(child.c.key).join(tree, child.c.parent_key == tree.c.key))
    return select(tree.c.key)


async def progress(connection: AsyncConnection, batch: str) -> AbortProgress | None:
    """How far the aborts of a batch have come; None where there is no such batch."""
    statement = select(c.abort_state, func.count()).where(c.abort_batch == batch).group_by(c.abort_state)
    counts = {state: count for state, count in await connection.execute(statement)}
    if not counts:
        return None
    confirmed, failed = (counts.get(state, 0) for state in (AbortState.CONFIRMED, AbortState.FAILED))
    requested = sum(counts.values())
    return AbortProgress(requested, requested - confirmed - failed, confirmed, failed)


async def figures(connection: AsyncConnection) -> AbortFigures:
    """How many aborts wait for an executor, and since when the first of them does."""
    statement = select(func.count(), func.min(c.abort_requested_at)).where(is_unconfirmed, is_abort_pending)
    count, oldest = (await connection.execute(statement)).one()
    return AbortFigures(count, oldest)
