"""Owns a small schema behind the real endpoint, with which the transport is tested alone."""

import asyncio
from collections.abc import AsyncGenerator

import strawberry
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount, Route
from strawberry.scalars import JSON

from graph.errors import ClientErrors
from graph.graphiql import assets
from graph.http import GraphQLEndpoint

LIMIT = 10_000
"""Bytes that a request to the toy may have."""


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
    async def slow(self) -> str:
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


async def context(connection: HTTPConnection) -> dict[str, object]:
    return {"connection": connection}


def toy_app(graphiql: bool = True) -> Starlette:
    """The endpoint over the toy schema, routed as the real application routes it."""
    schema = strawberry.Schema(Query, Mutation, Subscription, extensions=[ClientErrors])
    endpoint = GraphQLEndpoint(schema, context, max_body_bytes=LIMIT, graphiql=graphiql)
    return Starlette(routes=[Route("/graphql", endpoint), Mount("/graphiql", assets())])
