"""The objects in the store, each with a row that exists before it: what an interrupted upload or a removed
artifact leaves is found in the database, and deleted. The store itself is never listed."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.artifacts.stores import Store
from repo.domain.errors import DatabaseUnavailable, DeadlineExceeded, InvalidArgument, StoreUnavailable
from repo.sql.database import Database
from repo.sql.functions import database_now
from repo.tables import artifact_objects

logger = structlog.get_logger("rungraph.artifacts")

UPLOAD_TIMEOUT = timedelta(hours=1)
"""How long an upload may take."""
_KEPT = 2 * UPLOAD_TIMEOUT
"""After this time an upload is never committed, and its object is deleted."""
_AT_ONCE = 100
"""Objects that are deleted together."""
CLEANUP_INTERVAL = 600.0
"""Seconds between two cleanups of a replica."""

o = artifact_objects.c


@dataclass
class ArtifactCounts:
    """What this process did with artifacts since its start."""

    stored: int = 0
    """Calls and uploads that stored an artifact, or found that it is stored."""
    bytes: int = 0
    """The bytes of these."""
    uploading: int = 0
    """Uploads in progress."""
    uploads_failed: int = 0
    objects_deleted: int = 0
    cleanups_failed: int = 0


class Objects:
    """The objects of a repository, and its store if it has one."""

    def __init__(self, database: Database, store: Store | None) -> None:
        self._database = database
        self.store = store
        self.counts = ArtifactCounts()

    @asynccontextmanager
    async def writing(self, id: bytes) -> AsyncIterator[Store]:
        """The store, for a new object. It is deleted at the end unless an artifact has it by then. Raises
        InvalidArgument without a store."""
        if self.store is None:
            raise InvalidArgument("this server has no store for large artifacts (RUNGRAPH_ARTIFACT_STORE)")

        async def begin(connection: AsyncConnection) -> None:
            now: Any = await connection.scalar(select(database_now()))
            await connection.execute(artifact_objects.insert(), {"id": id, "delete_after": now + _KEPT})

        await self._database.write(begin)
        try:
            yield self.store
        finally:
            # To its end, also if this task is cancelled.
            await asyncio.shield(asyncio.ensure_future(self._discard(id)))

    async def _discard(self, id: bytes) -> None:
        """Delete the object if no artifact has it."""

        async def end(connection: AsyncConnection) -> None:
            unused = artifact_objects.update().where(o.id == id, o.delete_after.is_not(None))
            await connection.execute(unused.values(delete_after=database_now()))

        with suppress(DatabaseUnavailable, DeadlineExceeded):  # the next cleanup does it
            await self._database.write(end)
            await self.clean_up()

    async def clean_up(self) -> None:
        """Delete the objects that no artifact has any more. Failures are logged: the next call goes on."""
        if self.store is None:
            return
        try:
            while await self._clean_up_some(self.store):
                pass
        except (StoreUnavailable, DatabaseUnavailable, DeadlineExceeded) as error:
            self.counts.cleanups_failed += 1
            logger.warning("cannot delete objects of removed artifacts yet", reason=str(error))

    async def _clean_up_some(self, store: Store) -> bool:
        """Whether there may be more."""
        unused = o.delete_after <= database_now()
        async with self._database.read() as connection:
            oldest = select(o.id).where(unused).order_by(o.delete_after).limit(_AT_ONCE)
            ids = [bytes(id) for id in await connection.scalars(oldest)]
        if not ids:
            return False
        await store.delete(ids)

        async def forget(connection: AsyncConnection) -> None:
            await connection.execute(artifact_objects.delete().where(o.id.in_(ids), unused))

        await self._database.write(forget)
        self.counts.objects_deleted += len(ids)
        return len(ids) == _AT_ONCE

    async def keep_cleaning_up(self) -> None:
        """Clean up soon, and then now and then, until cancelled."""
        pause = random.uniform(0, CLEANUP_INTERVAL / 10)
        while True:
            await asyncio.sleep(pause)
            await self.clean_up()
            pause = random.uniform(0.5, 1.5) * CLEANUP_INTERVAL
