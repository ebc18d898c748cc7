"""The same schema and repository served by Strawberry alone, with its parser and validation caches and
orjson: "stock" in the results."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from bench.processes import serve
from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from repo import open_repository

_LIMITS = Limits(depth=15, aliases=100, tokens=4000, cost=250_000, page=1000)


class Endpoint(GraphQL[Any, None]):
    """Strawberry's endpoint with our context."""

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        return Context(request.app.state.repository, ANONYMOUS, 1000)


async def ready(request: Request) -> Response:
    """Answers 200 when ready."""
    return PlainTextResponse("ready\n")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The application with its repository."""
    async with open_repository(os.environ["RUNGRAPH_DATABASE_URL"]) as app.state.repository:
        yield


if __name__ == "__main__":
    schema = build_schema(_LIMITS)
    parsed, validated = ParserCache(maxsize=100), ValidationCache(maxsize=100)
    schema.extensions = (*schema.extensions, lambda: parsed, lambda: validated)
    endpoint = Endpoint(schema)
    application = Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            Route("/readyz", ready),
        ],
        lifespan=lifespan,
    )
    serve(application)
