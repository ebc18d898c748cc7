"""The objects in the store, each with a row that exists before it: what an interrupted upload or a removed
artifact leaves is found in the database, and deleted. The store itself is never listed."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
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
_MIN_PAUSE = 1.0
"""Seconds between two cleanups at least."""
_BACKOFF = 60.0
"""Seconds after a failure during which the removal of runs does not try again."""

o = artifact_objects.c
_is_unused = o.delete_after <= database_now()


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
        self._replaced = asyncio.Event()
        self._failed_at = -_BACKOFF

    @asynccontextmanager
    async def writing(self, id: bytes) -> AsyncIterator[Store]:
        """The store, for a new object. It is deleted at the end unless an artifact has it by then. Raises
        InvalidArgument without a store."""
        if self.store is None:
            raise InvalidArgument("this server has no store for large artifacts (RUNGRAPH_ARTIFACT_STORE)")

        async def begin(connection: AsyncConnection) -> None:
            now: Any = await connection.scalar(select(database_now()))
            await connection.execute(artifact_objects.insert(), {"id": id, "delete_after": now + _KEPT})

        await self._database.transact_on_connection(begin)
        try:
            yield self.store
        finally:
            # To its end, also if this task is cancelled.
            await asyncio.shield(asyncio.ensure_future(self._discard(id)))

    async def _discard(self, id: bytes) -> None:
        """Delete the object if no artifact has it; else it may have replaced another one."""

        async def end(connection: AsyncConnection) -> int:
            unused = artifact_objects.update().where(o.id == id, o.delete_after.is_not(None))
            return (await connection.execute(unused.values(delete_after=database_now()))).rowcount

        with self._failing():
            if await self._database.transact_on_connection(end):
                await self._delete([id])
            else:
                self._replaced.set()

    async def clean_up(self) -> None:
        """Delete the objects that no artifact has any more. Failures are logged: the next call goes on."""
        with self._failing():
            while await self._clean_up_some():
                pass

    async def clean_up_after_removal(self) -> None:
        """As `clean_up`; nothing soon after a failure, which would delay the removal of runs."""
        if time.monotonic() >= self._failed_at + _BACKOFF:
            await self.clean_up()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Log what makes a cleanup fail."""
        try:
            yield
        except (StoreUnavailable, DatabaseUnavailable, DeadlineExceeded) as error:
            self._failed_at = time.monotonic()
            self.counts.cleanups_failed += 1
            logger.warning("cannot delete objects of removed artifacts yet", reason=str(error))

    async def _clean_up_some(self) -> bool:
        """Whether there may be more."""
        if self.store is None:
            return False
        async with self._database.read() as connection:
            oldest = select(o.id).where(_is_unused).order_by(o.delete_after).limit(_AT_ONCE)
            ids = [bytes(id) for id in await connection.scalars(oldest)]
        if ids:
            await self._delete(ids)
        return len(ids) == _AT_ONCE

    async def _delete(self, ids: Sequence[bytes]) -> None:
        async def forget(connection: AsyncConnection) -> None:
            await connection.execute(artifact_objects.delete().where(o.id.in_(ids), _is_unused))

        assert self.store is not None
        await self.store.delete(ids)
        await self._database.transact_on_connection(forget)
        self.counts.objects_deleted += len(ids)

    async def keep_cleaning_up(self) -> None:
        """Clean up soon, after replacements, and now and then, until cancelled."""
        pause = random.uniform(0, CLEANUP_INTERVAL / 10)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._replaced.wait()
            self._replaced.clear()
            await self.clean_up()
            await asyncio.sleep(_MIN_PAUSE)
            pause = random.uniform(0.5, 1.5) * CLEANUP_INTERVAL
