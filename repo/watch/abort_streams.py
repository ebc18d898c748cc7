"""The stream of a batch of aborts: how far it has come."""

import asyncio
from collections.abc import AsyncGenerator

from sqlalchemy import func, select

from repo.actions.lists import in_scopes
from repo.domain.authorization import Scopes
from repo.domain.errors import NotFound
from repo.domain.models import AbortProgress
from repo.domain.phases import AbortState
from repo.sql.database import Database
from repo.tables import actions
from repo.watch.mailboxes import RowMailbox
from repo.watch.stream import Stream

c = actions.c

_COUNT_INTERVAL = 0.2
"""The minimum seconds between two counts of a batch: each reads all of it."""


async def progress_updates(
    stream: Stream[AbortProgress], database: Database, mailbox: RowMailbox, batch: str, scopes: Scopes
) -> AsyncGenerator[AbortProgress, None]:
    """The progress now, then whenever it changes, until no abort is pending. Raises NotFound."""
    hub = stream.hub
    await hub.join(mailbox)
    try:
        last = None
        while True:
            mailbox.begin()
            now = await _progress(database, batch, scopes)
            if now != last:
                last = now
                yield now
            if not now.pending:
                return
            if mailbox.is_empty:
                await stream.wait()
            await asyncio.sleep(_COUNT_INTERVAL)
    finally:
        hub.leave(mailbox)


async def _progress(database: Database, batch: str, scopes: Scopes) -> AbortProgress:
    statement = select(c.abort_state, func.count()).where(c.abort_batch == batch, *in_scopes(scopes))
    async with database.read() as connection:
        rows = await connection.execute(statement.group_by(c.abort_state))
        counts = {state: count for state, count in rows}
    if not counts:
        raise NotFound("there is no such batch of aborts")
    confirmed, failed = (counts.get(each, 0) for each in (AbortState.CONFIRMED, AbortState.FAILED))
    requested = sum(counts.values())
    return AbortProgress(requested, requested - confirmed - failed, confirmed, failed)
