"""Handles a database restored from a backup. In another PostgreSQL server, rows name transaction ids of its
future, since ids start over there."""

import structlog
from sqlalchemy import BigInteger, case, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.sql.database import Database
from repo.tables import action_changes, action_events, actions, removal_horizon, removed_runs

logger = structlog.get_logger("rungraph.restored")

_SEEN_BY_ALL = 0
"""Below every position."""


# Evaluated per statement: what it sees is in the past, except rows of another server. An id read earlier
# would take concurrent commits for future ones.
_FUTURE = literal_column(
    "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)", BigInteger()
)


async def renumber(connection: AsyncConnection) -> None:
    """Marks all rows with future transaction ids as seen. Subscribers from before restart, since their
    cursors name another incarnation. The log of changes has the newest ids and shows at once whether there
    are any; only then all actions are read."""
    log = action_changes.c.transaction_id
    logged = await connection.execute(action_changes.delete().where(log >= _FUTURE))
    if logged.rowcount:
        state = actions.c.state_transaction_id
        await connection.execute(
            actions.update()
            .where(actions.c.transaction_id >= _FUTURE)
            .values(
                transaction_id=_SEEN_BY_ALL,
                state_transaction_id=case((state.is_not(None), _SEEN_BY_ALL)),
                revision=actions.c.revision,
            )
        )
    events = await connection.execute(
        action_events.update()
        .where(action_events.c.transaction_id >= _FUTURE)
        .values(transaction_id=_SEEN_BY_ALL)
    )
    await connection.execute(removed_runs.delete().where(removed_runs.c.transaction_id >= _FUTURE))
    horizon = removal_horizon.c.transaction_id
    await connection.execute(removal_horizon.update().where(horizon >= _FUTURE).values(transaction_id=0))
    if logged.rowcount or events.rowcount:
        logger.info("the database was restored", changes=logged.rowcount, events=events.rowcount)


async def mark_restored(url: str) -> None:
    """Restart all subscribers with a new snapshot and invalidate all earlier cursors. Raises
    DatabaseUnavailable."""
    database = Database(url, pool_size=1)
    try:
        await database.invalidate_positions()
    finally:
        await database.close()
