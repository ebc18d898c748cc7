"""Unexpected errors: a client sees an id and nothing else."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import structlog
from starlette.applications import Starlette

from graph.auth.caller import Caller
from repo import DatabaseUnavailable, DeadlineExceeded
from tests.support.client import GraphQLClient


@pytest.fixture
async def broken(app: Starlette) -> AsyncIterator[GraphQLClient]:
    """A client of an application that lost its database."""
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        repository = app.state.repository

        async def fail(*_: object) -> object:
            raise ConnectionRefusedError("secret-host:5432 said no")

        repository.runs.list_projects = fail
        repository.check = fail
        yield client


async def test_unexpected_errors_are_masked_and_logged_with_an_id(broken: GraphQLClient) -> None:
    with structlog.testing.capture_logs() as logs:
        body = await broken.execute("{ projects { name } }")
    (error,) = body["errors"]
    assert error["message"] == "Internal server error"
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret-host" not in str(body)
    (entry,) = [log for log in logs if log["event"] == "unexpected error"]
    assert entry["error_id"] == error["extensions"]["id"]
    assert "secret-host" in str(entry["exc_info"])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DatabaseUnavailable("the database does not answer"), 503, "SERVICE_UNAVAILABLE"),
        (DeadlineExceeded("the database took too long"), 503, "TIMEOUT"),
        (ValueError("secret-host"), 500, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_failures_before_the_execution_are_graphql_errors(
    app: Starlette, client: GraphQLClient, error: Exception, status: int, code: str
) -> None:
    async def fail(*_: object) -> Caller:
        raise error

    app.state.authenticator.authenticate = fail
    response = await client.post("/graphql", json={"query": "{ __typename }"})
    (answer,) = response.json()["errors"]
    assert (response.status_code, answer["extensions"]["code"]) == (status, code)
    assert "secret-host" not in response.text


async def test_a_client_s_mistake_is_not_logged(broken: GraphQLClient) -> None:
    with structlog.testing.capture_logs() as logs:
        await broken.execute("{ nope }")
        await broken.execute('{ node(id: "x") { id } }')
    assert logs == []


async def test_a_server_without_its_database_is_alive_and_not_ready(broken: GraphQLClient) -> None:
    assert (await broken.get("/livez")).status_code == 200
    response = await broken.get("/readyz")
    assert response.status_code == 503
    assert "secret-host" not in response.text


async def test_a_server_with_its_database_is_ready(client: GraphQLClient) -> None:
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/livez")).text == "alive\n"
