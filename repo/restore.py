"""What is done to a database that was restored from a backup.

One that was restored into another PostgreSQL has rows that say of transactions of its future that they wrote
them: there, transactions are numbered anew.
"""

import structlog
from sqlalchemy import BigInteger, case, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.sql.database import Database
from repo.tables import action_events, actions, removal_horizon, removed_runs

logger = structlog.get_logger("rungraph.restored")

_SEEN_BY_ALL = 0
"""A number below every position."""


# Of each statement's own moment: what it sees then is of the past, but for what comes from another life. A
# number that was asked for before would take what others committed meanwhile for the future.
_FUTURE = literal_column(
    "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)", BigInteger()
)


async def renumber(connection: AsyncConnection) -> None:
    """Let all rows that come from another life of the database count as seen by everybody. Those who watched
    it then begin anew: their cursors name that life. There are none unless it was just restored, which two
    indexes tell at once."""
    state = actions.c.state_transaction_id
    changed = await connection.execute(
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
    if changed.rowcount or events.rowcount:
        logger.info("the database was restored", actions=changed.rowcount, events=events.rowcount)


async def mark_restored(url: str) -> None:
    """Let everybody who watches the database begin anew, with a fresh snapshot, and refuse all cursors from
    before. Raises DatabaseUnavailable."""
    database = Database(url, pool_size=1)
    try:
        await database.invalidate_positions()
    finally:
        await database.close()
