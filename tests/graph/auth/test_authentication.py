"""Authentication over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from graph.app import create_app
from graph.auth.cookies import SESSION_COOKIE
from graph.settings import Settings
from repo import ActionRepo, CredentialKind, Role
from tests.support.client import GraphQLClient
from tests.support.clock import Clock
from tests.support.credentials import UNKNOWN, bearer, token
from tests.support.making import action, make_run

ENDS_WITHIN = 5.0
"""Seconds after which a revoked or expired credential is no longer accepted anywhere."""


STALL = 5.0
"""Seconds for which the machine may stall."""


VIEWER = "{ viewer { identity { subject } } }"


CREATE = """mutation {
  createAction(input: {id: {project: "p", domain: "d", runName: "r", name: "a"}}) { created }
}"""


BAD = [
    pytest.param(f"Bearer {UNKNOWN}", id="unknown"),
    pytest.param("Bearer rg_short", id="not an API token"),
    pytest.param("Bearer ", id="empty"),
    pytest.param("Basic YTpi", id="another scheme"),
    pytest.param("Bearer \xfc", id="not ASCII"),
]


def settings_of(database_url: str) -> Settings:
    return Settings(database_url=database_url, auth="token")


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[GraphQLClient]:
    """A client of an application with authentication."""
    app = create_app(settings_of(database_url))
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as opened_client,
    ):
        yield opened_client


async def subject_of_caller(client: GraphQLClient, headers: dict[str, str], cookie: str | None = None) -> str:
    """The subject of the caller, or "nobody" if the request is refused."""
    if cookie is not None:
        headers = {**headers, "Cookie": f"{SESSION_COOKIE}={cookie}"}
    response = await client.post("/graphql", json={"query": VIEWER}, headers=headers)
    return subject_in(response.status_code, response.json())


def subject_in(status: int, body: dict[str, Any]) -> str:
    if status == 200:
        return str(body["data"]["viewer"]["identity"]["subject"])
    (error,) = body["errors"]
    assert (status, error["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    return "nobody"


async def test_a_request_without_a_credential_is_refused_with_instructions(client: GraphQLClient) -> None:
    response = await client.post("/graphql", json={"query": VIEWER})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "Authorization" in error["message"]


async def test_a_token_identifies_the_caller(client: GraphQLClient, repository: ActionRepo) -> None:
    for subject in ("user-1", "user-2"):
        _, secret = await token(repository, subject)
        assert await subject_of_caller(client, bearer(secret)) == subject
        assert await subject_of_caller(client, {"Authorization": f"bearer  {secret} "}) == subject


@pytest.mark.parametrize("authorization", BAD)
async def test_an_invalid_token_does_not_fall_back_to_the_cookie(
    client: GraphQLClient, repository: ActionRepo, authorization: str
) -> None:
    _, session = await token(repository, kind=CredentialKind.SESSION)
    headers: Any = {"Authorization": authorization.encode("latin-1"), "Cookie": f"{SESSION_COOKIE}={session}"}
    response = await client.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert authorization.partition(" ")[2] not in response.text or authorization == "Bearer "


async def test_a_cookie_identifies_the_caller_unless_there_is_a_header(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    _, session = await token(repository, "by cookie", kind=CredentialKind.SESSION)
    _, secret = await token(repository, "by header")
    assert await subject_of_caller(client, {}, session) == "by cookie"
    assert await subject_of_caller(client, bearer(secret), session) == "by header"
    assert await subject_of_caller(client, {}, UNKNOWN) == "nobody"


async def test_the_caller_is_authenticated_before_the_body_is_parsed(client: GraphQLClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/graphql", content="{", headers=headers)).status_code == 401


async def test_nothing_is_executed_without_a_valid_credential(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    for headers in ({}, bearer(UNKNOWN)):
        response = await client.post("/graphql", json={"query": CREATE}, headers=headers)
        assert response.status_code == 401
    assert await repository.runs.list_projects() == {}


async def test_an_expired_token_is_refused_at_once_even_if_cached(
    client: GraphQLClient, repository: ActionRepo, clock: Clock
) -> None:
    _, secret = await token(repository, expires_in=(clock, 0.5))
    assert await subject_of_caller(client, bearer(secret)) == "user-1"
    clock.forward(0.5)
    assert await subject_of_caller(client, bearer(secret)) == "nobody"


async def test_a_token_revoked_by_another_process_is_refused_within_seconds(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    id, secret = await token(repository)
    assert await subject_of_caller(client, bearer(secret)) == "user-1"
    await repository.credentials.revoke(id)
    async with asyncio.timeout(ENDS_WITHIN + STALL):
        while await subject_of_caller(client, bearer(secret)) != "nobody":  # noqa: ASYNC110 - each iteration is a request
            await asyncio.sleep(0.1)


async def test_a_caller_sees_only_the_projects_of_the_token(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    _, mine = await token(repository, role=Role.VIEWER, project=action().project)
    _, others = await token(repository, role=Role.VIEWER, project="another")
    for secret, count in ((mine, 1), (others, 0)):
        response = await client.post(
            "/graphql", json={"query": "{ runs { totalCount } }"}, headers=bearer(secret)
        )
        assert response.json() == {"data": {"runs": {"totalCount": count}}}


async def test_probes_need_no_authentication(client: GraphQLClient) -> None:
    assert [(await client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]


async def test_metrics_need_a_role_in_all_projects(client: GraphQLClient, repository: ActionRepo) -> None:
    _, everything = await token(repository, role=Role.VIEWER)
    _, some = await token(repository, role=Role.ADMIN, project="p")
    answers = [
        await client.get("/metrics", headers=headers) for headers in ({}, bearer(some), bearer(everything))
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert ["rungraph_" in answer.text for answer in answers] == [False, False, True]


async def test_without_authentication_all_callers_are_anonymous(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url))
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        for headers in ({}, bearer(UNKNOWN), {"Authorization": "Basic YTpi"}):
            response = await client.post("/graphql", json={"query": VIEWER}, headers=headers)
            assert response.json() == {"data": {"viewer": {"identity": None}}}
        assert (await client.get("/metrics")).status_code == 200
