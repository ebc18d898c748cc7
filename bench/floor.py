"""The least that an answer can cost here: Starlette, one prepared statement of asyncpg, and msgspec."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

COLUMNS = (
    "project domain run_name phase attempts cache_status source task_name task_version task_type"
    " function_name environment_name trigger_name revision duration_ms created_at updated_at started_at"
    " ended_at triggered_at"
).split()
"""The columns that the list of runs in `bench.lists` shows too."""
_STATEMENT = f"""
SELECT {", ".join(COLUMNS)} FROM actions WHERE parent_key IS NULL ORDER BY created_at DESC, key DESC LIMIT $1
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


async def rows(request: Request) -> Response:
    """As many of the newest runs as are asked for."""
    wanted = json.loads(await request.body())["variables"]["first"]
    async with request.app.state.pool.acquire() as connection:
        found = await connection.fetch(_STATEMENT, wanted)
    text = msgspec.json.encode({"data": {"runs": {"nodes": [Row(*row) for row in found]}}})
    return Response(text, media_type="application/json")


async def ready(request: Request) -> Response:
    """200."""
    return PlainTextResponse("ready\n")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """With connections to the database."""
    url = os.environ["RUNGRAPH_DATABASE_URL"]
    async with asyncpg.create_pool(url, server_settings={"jit": "off"}) as app.state.pool:
        yield


if __name__ == "__main__":
    application = Starlette(
        routes=[Route("/graphql", rows, methods=["POST"]), Route("/readyz", ready)], lifespan=lifespan
    )
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(os.environ["RUNGRAPH_PORT"]),
        log_level="warning",
        access_log=False,
    )
