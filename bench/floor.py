"""The floor: Starlette, one prepared statement and msgspec."""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bench.processes import serve

COLUMNS = (
    "project domain run_name phase attempts cache_status source task_name task_version task_type"
    " function_name environment_name trigger_name revision duration_ms created_at updated_at started_at"
    " ended_at triggered_at"
).split()
"""The columns that `bench.data.LIST` selects."""
_STATEMENT = f"""
SELECT {", ".join(f"a.{name}" for name in COLUMNS)}
FROM (SELECT key FROM runs ORDER BY created_at DESC, key DESC LIMIT $1) AS newest
JOIN actions AS a ON a.key = newest.key ORDER BY a.created_at DESC, a.key DESC
"""
_ACTIONS = """
SELECT encode(key, 'hex') AS id, name, phase, attempts, updated_at FROM actions
WHERE run_key = $1 ORDER BY depth, created_at, name
"""


class Row(msgspec.Struct):
    """One run."""

    project: str
    domain: str
    run_name: str
    phase: int
    attempts: int
    cache_status: int
    source: int | None
    task_name: str | None
    task_version: str | None
    task_type: str | None
    function_name: str | None
    environment_name: str | None
    trigger_name: str | None
    revision: int
    duration_ms: int | None
    created_at: object
    updated_at: object
    started_at: object
    ended_at: object
    triggered_at: object


class Postgres:
    """Reads through asyncpg's pool."""

    def __init__(self, url: str) -> None:
        self._pool = asyncpg.create_pool(url, server_settings={"jit": "off"})

    async def open(self) -> None:
        """Opens the connections."""
        await self._pool

    async def read(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """The rows."""
        async with self._pool.acquire() as connection:
            found: Sequence[Any] = await connection.fetch(statement, *arguments)
        return found


class Sqlite:
    """Reads in a thread."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._thread = ThreadPoolExecutor(1)

    async def open(self) -> None:
        """Nothing to do: it is open."""

    async def read(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """The rows."""

        def read() -> Sequence[Any]:
            return self._connection.execute(statement.replace("$1", "?"), arguments).fetchall()

        return await asyncio.get_running_loop().run_in_executor(self._thread, read)


async def rows(request: Request) -> Response:
    """The newest `first` runs."""
    wanted = json.loads(await request.body())["variables"]["first"]
    found = await request.app.state.database.read(_STATEMENT, wanted)
    text = msgspec.json.encode({"data": {"runs": {"nodes": [Row(*row) for row in found]}}})
    return Response(text, media_type="application/json")


async def actions(request: Request) -> Response:
    """All actions of a run in one response, in the simple way: dicts and orjson."""
    run = json.loads(await request.body())["run"]
    found = await request.app.state.database.read(_ACTIONS, bytes.fromhex(run))
    return Response(orjson.dumps([dict(row) for row in found]), media_type="application/json")


async def ready(request: Request) -> Response:
    """Answers 200 when ready."""
    return PlainTextResponse("ready\n")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The application with its database connections."""
    url = os.environ["RUNGRAPH_DATABASE_URL"]
    app.state.database = Sqlite(url) if url.startswith("sqlite") else Postgres(url)
    await app.state.database.open()
    yield


if __name__ == "__main__":
    application = Starlette(
        routes=[
            Route("/graphql", rows, methods=["POST"]),
            Route("/actions", actions, methods=["POST"]),
            Route("/readyz", ready),
        ],
        lifespan=lifespan,
    )
    serve(application)
