"""Abort requests in SQL: each action gets at most one abort request, and a finished one is not changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.abort_columns import confirmed
from repo.domain.errors import ActionNotFound, Conflict
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import Identity, identity_to_json
from repo.domain.phases import FIRST_TERMINAL, AbortState, ActionPhase
from repo.sql.functions import looked_up
from repo.sql.types import UtcDateTime
from repo.tables import actions, is_root, is_unconfirmed

c = actions.c
_is_unfinished = c.phase < FIRST_TERMINAL
_is_open = or_(_is_unfinished, is_unconfirmed)


def is_unfinished(phase: ColumnElement[ActionPhase]) -> ColumnElement[bool]:
    """The condition for an unfinished phase."""
    return phase < FIRST_TERMINAL


def is_action(action: ActionIdentifier) -> ColumnElement[bool]:
    """The condition for the row of one action."""
    return c.key == action.key


async def check_exists(connection: AsyncConnection, action_id: ActionIdentifier) -> None:
    """Raise ActionNotFound if the action does not exist."""
    if await connection.scalar(select(c.name).where(is_action(action_id))) is None:
        raise ActionNotFound(f"there is no action {action_id}")


async def request(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
    batch: str | None = None,
) -> int:
    """Abort the unfinished actions among `which` and return how many."""
    statement: Update = (
        actions.update()
        .where(which, _is_unfinished)
        .values(
            **_aborted(now),
            abort_state=AbortState.REQUESTED,
            abort_reason=reason,
            abort_requested_by=identity_to_json(requested_by),
            abort_requested_at=now,
            abort_batch=batch,
            updated_at=now,
        )
    )
    return (await connection.execute(statement)).rowcount


def _aborted(now: datetime) -> dict[str, Any]:
    """The columns that change when an unfinished action is aborted, as in `repo.domain.phases.aborted`."""
    at = literal(now, UtcDateTime())
    start = case((c.started_at > c.created_at, c.started_at), else_=c.created_at)
    ended_at = case((start > at, start), else_=at)
    return {"phase": ActionPhase.ABORTED, "ended_at": ended_at, "phase_time": now}


async def request_all(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
    batch: str,
) -> int:
    """Abort the unfinished actions among `which` and return how many."""
    await _lock_unfinished(connection, which)
    return await request(connection, which, reason, requested_by, now, batch)


async def _lock_unfinished(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    """Lock the unfinished actions and return how many they are. Locked in the order in which batches of
    updates lock their rows, which the update alone would not do."""
    rows = select(c.key).where(which, _is_unfinished).order_by(c.key).with_for_update(key_share=True)
    return await connection.scalar(select(func.count()).select_from(rows.subquery())) or 0


async def mark_attempt(
    connection: AsyncConnection, action: ActionIdentifier, error: str | None, now: datetime
) -> int:
    """Count one more attempt and return how many there were. Raises ActionNotFound, and Conflict if no
    abort is unconfirmed."""
    await check_exists(connection, action)
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


async def retry(connection: AsyncConnection, action: ActionIdentifier, now: datetime) -> bool:
    """Request a failed abort again, with all its attempts; returns whether there was one. Raises
    ActionNotFound."""
    await check_exists(connection, action)
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


async def request_below(
    connection: AsyncConnection,
    action: ActionIdentifier,
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
) -> int:
    """Abort the unfinished actions below a finished one, each with a request of its own, and return how many.
    None while an abort of the action itself is unconfirmed: its confirmation aborts them."""
    unconfirmed = select(c.key).where(is_action(action), is_unconfirmed)
    if await connection.scalar(unconfirmed) is not None:
        return 0
    below = await _below(connection, action)
    # Counted here: SQLite's driver does not count the rows of an update with a recursive part.
    count = await _lock_unfinished(connection, below)
    if count:
        await request(connection, below, reason, requested_by, now)
    return count


async def confirm(connection: AsyncConnection, action: ActionIdentifier, now: datetime) -> None:
    """Confirm the abort of an action. What is unfinished below it becomes ABORTED for the same reason.
    Without an unconfirmed abort nothing changes. Raises ActionNotFound."""
    await check_exists(connection, action)
    request = select(c.abort_reason, c.abort_requested_by, c.abort_requested_at)
    request = request.where(is_action(action), is_unconfirmed)
    if (await connection.execute(request)).first() is None:
        return
    below = await _below(connection, action)
    # In the order in which batches of updates lock their rows. With the root, so that a transaction that
    # adds to the run comes entirely before or after this one.
    rows = select(c.key).where(c.run_key == action.run.key, or_(is_root, and_(below, _is_open)))
    (await connection.execute(rows.order_by(c.key).with_for_update())).all()
    locked = (await connection.execute(request)).first()
    if locked is None:
        return  # confirmed by another transaction meanwhile
    columns = confirmed(now)
    # Those with requests of their own first: these keep their requester and reason.
    await connection.execute(actions.update().where(below, is_unconfirmed).values(**columns))
    unfinished = actions.update().where(below, _is_unfinished)
    await connection.execute(unfinished.values(**columns, **_aborted(now), **locked._mapping))


async def _below(connection: AsyncConnection, action: ActionIdentifier) -> ColumnElement[bool]:
    """The condition for an action and all below it. It includes the run, since that has an index which is
    chosen whatever a planner estimates the size of the tree to be."""
    in_run = c.run_key == action.run.key
    is_whole_run = await connection.scalar(select(c.key).where(is_action(action), is_root)) is not None
    return in_run if is_whole_run else and_(in_run, c.key.in_(_with_all_below(action)))


def _with_all_below(action: ActionIdentifier) -> Any:
    """The keys of an action and of all below it."""
    tree = select(c.key).where(is_action(action)).cte("tree", recursive=True)
    child = actions.alias("child")
    below = select(child.c.key).join(tree, child.c.parent_key == looked_up(tree.c.key))
    return select(tree.union_all(below.where(child.c.run_key == action.run.key)).c.key)
