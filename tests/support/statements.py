"""Owns the watching of statements: what the database is asked meanwhile, by whichever way."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event as hooks

from repo.sql.database import Database


@contextmanager
def noted(database: Database, looking: bool = False) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, with their arguments; with `looking` also those by which
    watches look for changes."""
    seen: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    run = database._driver.run

    async def noting(text: str, arguments: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        seen.append((text, arguments))
        return await run(text, arguments)

    moment = database._looker.moment

    @asynccontextmanager
    async def noting_moment() -> AsyncIterator[Any]:
        async with moment() as run_then:

            async def noting_then(text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
                if looking:
                    seen.append((text, arguments))
                return await run_then(text, arguments)

            yield noting_then

    engine = database.engine.sync_engine
    hooks.listen(engine, "before_cursor_execute", note)
    try:
        with (
            patch.object(database._driver, "run", noting),
            patch.object(database._looker, "moment", noting_moment),
        ):
            yield seen
    finally:
        hooks.remove(engine, "before_cursor_execute", note)
