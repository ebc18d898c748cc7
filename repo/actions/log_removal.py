"""Removes the logs of runs that are about to be removed, if they are too large for one transaction."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.sql.database import Database
from repo.tables import actions, log_heads

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of logs in one transaction, unless a single log has more."""
_MAX_LOGS = 500
"""Logs in one transaction."""
_PAUSE = 0.02
"""Seconds between two transactions."""

c = actions.c
h = log_heads.c
_of_action = h.action_key == c.key


async def remove_large_logs(database: Database, run_keys: Sequence[bytes], removable: Select[Any]) -> None:
    """Remove logs of these runs, each as a whole, until the rest fits into one transaction. `removable`
    locks those of the runs that still may be removed, and selects their keys."""
    sizes = select(func.sum(h.stored_bytes)).join_from(actions, log_heads, _of_action)
    total = sizes.where(c.run_key.in_(run_keys))
    while True:
        async with database.read() as connection:
            size = await connection.scalar(total) or 0
        if size <= MAX_BYTES or not await database.transact_on_connection(partial(_remove_some, removable)):
            return
        await asyncio.sleep(_PAUSE)


async def _remove_some(removable: Select[Any], connection: AsyncConnection) -> bool:
    """Whether there were any."""
    run_keys = (await connection.scalars(removable)).all()
    logs = select(h.action_key, h.attempt, h.stored_bytes).join_from(actions, log_heads, _of_action)
    ordered = logs.where(c.run_key.in_(run_keys)).order_by(h.action_key, h.attempt).limit(_MAX_LOGS)
    doomed: list[tuple[bytes, int]] = []
    size = 0
    for action_key, attempt, stored in await connection.execute(ordered):
        doomed.append((action_key, attempt))
        size += stored
        if size >= MAX_BYTES:
            break
    if doomed:
        await connection.execute(log_heads.delete().where(tuple_(h.action_key, h.attempt).in_(doomed)))
    return bool(doomed)
