"""Owns abort requests: asked once, kept until confirmed, never changing how a finished action ended."""

from datetime import datetime

from sqlalchemy import ColumnElement, Update, and_, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.database import Database, UtcDateTime
from repo.errors import Conflict
from repo.identifiers import ActionIdentifier
from repo.listing import RunFilter, matching_runs
from repo.models import Identity, identity_to_json
from repo.phases import FIRST_TERMINAL, AbortState, ActionPhase
from repo.tables import actions, is_unconfirmed

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
) -> int:
    """How many runs this aborted: those that match and have not finished."""
    which = and_(*matching_runs(wanted, database))
    # In the order in which batches of updates lock their rows: the update alone would take its own.
    rows = select(c.key).where(which, _is_unfinished).order_by(c.key).with_for_update(key_share=True)
    await connection.execute(select(func.count()).select_from(rows.subquery()))
    return await request(connection, which, reason, requested_by, now)


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


async def confirm(connection: AsyncConnection, action: ActionIdentifier, now: datetime) -> None:
    """Note that the action is gone. Who asked and why is kept; without a request nothing changes."""
    await connection.execute(
        actions.update()
        .where(is_action(action), is_unconfirmed)
        .values(
            abort_state=AbortState.CONFIRMED,
            abort_confirmed_at=now,
            abort_next_attempt_at=None,
            updated_at=now,
        )
    )
