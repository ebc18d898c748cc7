"""Records the statements that a database executes on all its connections."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event as hooks

from repo.sql.database import Database
from repo.sql.transactions import Session


@contextmanager
def recorded(database: Database, polling: bool = False) -> Iterator[list[tuple[str, Any]]]:
    """The statements executed while the context is open, with their arguments; with `polling`, including
    those of watches that poll for changes."""
    seen: list[tuple[str, Any]] = []

    def record(connection: object, cursor: object, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    execute = database.read_pool.execute

    async def recording(text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        seen.append((text, arguments))
        return await execute(text, arguments)

    snapshot = database.snapshot_pool.snapshot

    @asynccontextmanager
    async def recording_snapshot() -> AsyncIterator[Any]:
        async with snapshot() as execute_in_snapshot:

            async def recording_in_snapshot(
                text: str, arguments: tuple[Any, ...] = ()
            ) -> Sequence[Sequence[Any]]:
                if polling:
                    seen.append((text, arguments))
                return await execute_in_snapshot(text, arguments)

            yield recording_in_snapshot

    transaction = database.write_pool.transaction

    @asynccontextmanager
    async def recording_transaction(*arguments: Any) -> AsyncIterator[Session]:
        async with transaction(*arguments) as session:
            yield _RecordingSession(session, seen)

    engine = database.engine.sync_engine
    hooks.listen(engine, "before_cursor_execute", record)
    try:
        with (
            patch.object(database.read_pool, "execute", recording),
            patch.object(database.snapshot_pool, "snapshot", recording_snapshot),
            patch.object(database.write_pool, "transaction", recording_transaction),
        ):
            yield seen
    finally:
        hooks.remove(engine, "before_cursor_execute", record)


class _RecordingSession:
    def __init__(self, session: Session, seen: list[tuple[str, Any]]) -> None:
        self._session = session
        self._seen = seen

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        self._seen.append((text, arguments))
        return await self._session.execute(text, arguments)

    async def execute_alone(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        self._seen.append((text, arguments))
        return await self._session.execute_alone(text, arguments)

    async def execute_each(self, text: str, rows: Sequence[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
        self._seen.append((text, rows[0]))
        return await self._session.execute_each(text, rows)
