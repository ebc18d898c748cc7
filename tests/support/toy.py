"""A small schema behind the real endpoint, for tests of the transport."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import strawberry
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from strawberry.scalars import JSON

from graph.auth.authentication import Authenticator
from graph.auth.caller import Caller
from graph.errors import ClientErrors
from graph.execution import Engine
from graph.limits.documents import Limits, OperationLimits
from graph.schema.build import Schema
from graph.settings import Settings
from graph.transport.http import GraphQLEndpoint
from graph.transport.pipeline import Pipeline
from graph.web.ui import graphiql as graphiql_page
from graph.web.ui import graphiql_routes
from repo import NotFound

LIMIT = 10_000
"""The maximum size of a request in bytes."""

SUBSCRIPTIONS = 5
"""The maximum number of concurrent operations of a websocket."""

floods = 0
"""The number of active `flood` subscriptions."""


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}"

    @strawberry.field
    def echo(self, value: JSON) -> JSON:
        return value

    @strawberry.field
    def broken(self) -> str:
        raise RuntimeError("a secret")

    @strawberry.field
    def missing(self) -> str | None:
        raise RuntimeError("a secret")

    @strawberry.field
    def refusing(self) -> str | None:
        raise NotFound("it was deleted")

    @strawberry.field
    async def slow(self, begun: str = "") -> str:
        """Creates the file `begun` before it waits."""
        if begun:
            Path(begun).touch()  # noqa: ASYNC240 - it takes no time
        await asyncio.sleep(0.5)
        return "at last"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self) -> bool:
        return True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription
    async def quiet(self) -> AsyncGenerator[int, None]:
        """One result, then none."""
        yield 0
        await asyncio.Event().wait()

    @strawberry.subscription
    async def ticks(self) -> AsyncGenerator[int, None]:
        """A result every 20 ms."""
        for number in itertools.count():
            yield number
            await asyncio.sleep(0.02)

    @strawberry.subscription
    async def flood(self, size: int = 100_000) -> AsyncGenerator[str, None]:
        """More than any client can read."""
        global floods
        floods += 1
        try:
            while True:
                yield "x" * size
                await asyncio.sleep(0)
        finally:
            floods -= 1

    @strawberry.subscription
    async def breaking(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("a secret")

    @strawberry.subscription
    def unfit(self) -> AsyncGenerator[int, None]:
        raise RuntimeError("a secret")

    @strawberry.subscription
    async def refused(self) -> AsyncGenerator[int, None]:
        yield 1
        raise NotFound("it was deleted")

    @strawberry.subscription
    async def whose(self, info: strawberry.Info[dict[str, object]]) -> AsyncGenerator[str, None]:
        """A value that two operations share only with a common context."""
        yield str(info.context["token"])


async def new_context(connection: HTTPConnection, caller: Caller) -> dict[str, object]:
    return {"connection": connection, "token": uuid.uuid4().hex}


def toy_app(graphiql: bool = True, allowed_origins: Sequence[str] = ()) -> Starlette:
    """The endpoint with the toy schema and the routes of the real application."""
    limits = Limits(depth=15, aliases=100, tokens=4000, cost=10**6, page=1000)
    schema = Schema(Query, Mutation, Subscription, extensions=[ClientErrors, lambda: OperationLimits(limits)])
    endpoint = GraphQLEndpoint(
        Pipeline(Engine(schema, Settings().compiled_execution), new_context),
        max_body_bytes=LIMIT,
        graphiql=graphiql_page if graphiql else None,
        max_subscriptions=SUBSCRIPTIONS,
        allowed_origins=allowed_origins,
    )
    endpoint.pipeline.telemetry.slow_after = 60.0  # operations are not logged because a machine stalls
    app = Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            *graphiql_routes(),
        ]
    )
    app.state.authenticator = Authenticator(None)
    return app
