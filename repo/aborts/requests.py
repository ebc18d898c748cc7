"""Owns abort requests as SQL: asked once, kept until confirmed; a finished action stays as it ended."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.lists import in_scopes
from repo.domain.authorization import Scopes
from repo.domain.errors import Conflict
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import AbortMetrics, AbortProgress, Identity, identity_to_json
from repo.domain.phases import FIRST_TERMINAL, AbortState, ActionPhase
from repo.sql.functions import looked_up
from repo.sql.types import UtcDateTime
from repo.tables import actions, is_abort_pending, is_root, is_unconfirmed

NO_LEASE: dict[str, None] = {"abort_lease": None, "abort_leased_until": None}
"""What says that nobody is at an abort."""

c = actions.c
_is_unfinished = c.phase < FIRST_TERMINAL
_is_open = or_(_is_unfinished, is_unconfirmed)


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
    statement: Update = (
        actions.update()
        .where(which, _is_unfinished)
        .values(
            **_ended_by_abort(now),
            abort_state=AbortState.REQUESTED,
            abort_reason=reason,
            abort_requested_by=identity_to_json(requested_by),
            abort_requested_at=now,
            abort_batch=batch,
            updated_at=now,
        )
    )
    return (await connection.execute(statement)).rowcount


def _ended_by_abort(now: datetime) -> dict[str, Any]:
    """What an unfinished action becomes that is aborted: as `repo.domain.phases.aborted`."""
    moment = literal(now, UtcDateTime())
    start = case((c.started_at > c.created_at, c.started_at), else_=c.created_at)
    ended_at = case((start > moment, start), else_=moment)
    return {"phase": ActionPhase.ABORTED, "ended_at": ended_at, "phase_time": now}


async def request_all(
    connection: AsyncConnection,
    wanted: Collection[ColumnElement[bool]],
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
    batch: str,
) -> int:
    """How many runs this aborted: those that meet these conditions and have not finished."""
    which = and_(*wanted)
    await _lock_unfinished(connection, which)
    return await request(connection, which, reason, requested_by, now, batch)


async def _lock_unfinished(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    """How many have not finished; they are locked in the order in which batches of updates lock their rows,
    where the update alone would take its own."""
    rows = select(c.key).where(which, _is_unfinished).order_by(c.key).with_for_update(key_share=True)
    return await connection.scalar(select(func.count()).select_from(rows.subquery())) or 0


async def count_unfinished(connection: AsyncConnection, wanted: Collection[ColumnElement[bool]]) -> int:
    """How many runs meet these conditions and have not finished."""
    counted = select(func.count()).select_from(actions).where(*wanted, _is_unfinished)
    return await connection.scalar(counted) or 0


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


async def request_below(
    connection: AsyncConnection,
    action: ActionIdentifier,
    reason: str | None,
    requested_by: Identity | None,
    now: datetime,
) -> int:
    """How many actions below a finished one this aborted: each that has not finished, with a request of its
    own. Where an abort of the action waits for its confirmation, that is to take them with it: none."""
    waits = select(c.key).where(is_action(action), is_unconfirmed)
    if await connection.scalar(waits) is not None:
        return 0
    below = await _below(connection, action)
    # Counted here: the driver of SQLite does not count what an update with a recursive part changed.
    count = await _lock_unfinished(connection, below)
    if count:
        await request(connection, below, reason, requested_by, now)
    return count


async def confirm(connection: AsyncConnection, action: ActionIdentifier, now: datetime) -> None:
    """Note that the action is gone, and all below it with it: what has not finished there is ABORTED for
    the same reason. Who asked and why is kept; without a request nothing changes."""
    asked = select(c.abort_reason, c.abort_requested_by, c.abort_requested_at)
    asked = asked.where(is_action(action), is_unconfirmed)
    if (await connection.execute(asked)).first() is None:
        return
    gone = await _below(connection, action)
    # In the order in which batches of updates lock their rows; the root, so that whoever adds to the run
    # comes before or after this, and not meanwhile.
    rows = select(c.key).where(c.run_key == action.run.key, or_(is_root, and_(gone, _is_open)))
    (await connection.execute(rows.order_by(c.key).with_for_update())).all()
    mine = (await connection.execute(asked)).first()
    if mine is None:
        return  # somebody else confirmed it meanwhile
    confirmed = {
        **NO_LEASE,
        "abort_state": AbortState.CONFIRMED,
        "abort_confirmed_at": now,
        "abort_next_attempt_at": None,
        "updated_at": now,
    }
    # Those with requests of their own first: of these who and why stay what they are.
    await connection.execute(actions.update().where(gone, is_unconfirmed).values(**confirmed))
    await connection.execute(
        actions.update()
        .where(gone, _is_unfinished)
        .values(
            **confirmed,
            **_ended_by_abort(now),
            abort_reason=mine.abort_reason,
            abort_requested_by=mine.abort_requested_by,
            abort_requested_at=mine.abort_requested_at,
        )
    )


async def _below(connection: AsyncConnection, action: ActionIdentifier) -> ColumnElement[bool]:
    """The condition for an action and all below it. By the run, for which there is an index whatever a
    planner thinks of how large a tree is."""
    in_run = c.run_key == action.run.key
    is_whole_run = await connection.scalar(select(c.key).where(is_action(action), is_root)) is not None
    return in_run if is_whole_run else and_(in_run, c.key.in_(_with_all_below(action)))


def _with_all_below(action: ActionIdentifier) -> Any:
    """The keys of an action and of all below it."""
    tree = select(c.key).where(is_action(action)).cte("tree", recursive=True)
    child = actions.alias("child")
    below = select(child.c.key).join(tree, child.c.parent_key == looked_up(tree.c.key))
    return select(tree.union_all(below.where(child.c.run_key == action.run.key)).c.key)


async def progress(connection: AsyncConnection, batch: str, scopes: Scopes) -> AbortProgress | None:
    """How far the aborts of a batch have come, of those in these scopes; None where there are none."""
    statement = select(c.abort_state, func.count()).where(c.abort_batch == batch, *in_scopes(scopes))
    statement = statement.group_by(c.abort_state)
    counts = {state: count for state, count in await connection.execute(statement)}
    if not counts:
        return None
    confirmed, failed = (counts.get(state, 0) for state in (AbortState.CONFIRMED, AbortState.FAILED))
    requested = sum(counts.values())
    return AbortProgress(requested, requested - confirmed - failed, confirmed, failed)


async def metrics(connection: AsyncConnection) -> AbortMetrics:
    """How many aborts wait for an executor, and since when the first of them does."""
    statement = select(func.count(), func.min(c.abort_requested_at)).where(is_unconfirmed, is_abort_pending)
    count, oldest = (await connection.execute(statement)).one()
    return AbortMetrics(count, oldest)
