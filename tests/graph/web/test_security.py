"""Pages of other origins can neither change nor read anything."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from graph.app import create_app
from graph.auth.cookies import SESSION_COOKIE
from graph.settings import Settings
from repo import Access, CredentialKind, Grant, Identity, IdentityKind, Role, open_repository
from tests.support.client import GraphQLClient
from tests.support.making import make_run
from tests.support.serving import serving
from tests.support.sockets import opened

pytestmark = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)

SECONDS = 40
RUNS = "{ runs { totalCount } }"
ABORT = """mutation { abortRun(input: {reason: "an attack",
             id: {project: "etl", domain: "production", name: "nightly-1"}}) { requested } }"""
MULTIPART = f'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n{ABORT}\r\n--x--\r\n'
EVIL = "https://evil.example.com"


@asynccontextmanager
async def client_of(
    url: str, base: str = "http://localhost", **settings: Any
) -> AsyncIterator[GraphQLClient]:
    app = create_app(Settings(database_url=url, **settings))
    async with (
        asyncio.timeout(SECONDS),
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[GraphQLClient]:
    async with client_of(database_url) as opened_client:
        yield opened_client


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    with serving(create_app(Settings(database_url=database_url))) as address:
        yield address


async def status_by(client: GraphQLClient, host: str, path: str = "/graphql") -> int:
    if path != "/graphql":
        return (await client.get(path, headers={"Host": host})).status_code
    return (await client.post(path, json={"query": RUNS}, headers={"Host": host})).status_code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("runs.localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("127.1.2.3", 200),
        ("[::1]:8000", 200),
        ("evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.evil.example.com:8000", 421),
        ("192.0.2.1", 421),
        ("127.0.0.1@evil.example.com", 421),
        ("evil.example.com@127.0.0.1", 200),
        ("[", 421),
        ("", 421),
    ],
)
async def test_a_loopback_server_accepts_only_loopback_hosts(
    client: GraphQLClient, host: str, status: int
) -> None:
    """An attacker's name that resolves to this machine would make their page same-origin (DNS rebinding)."""
    assert await status_by(client, host) == status
    assert await status_by(client, host, "/livez") == 200
    assert await status_by(client, host, "/readyz") == 200
    assert await status_by(client, host, "/metrics") == status


async def test_the_response_to_a_wrong_host_names_the_setting(client: GraphQLClient) -> None:
    answer = await client.get("/", headers={"Host": "runs.example.com"})
    assert "RUNGRAPH_ALLOWED_HOSTS" in answer.text
    assert "runs.example.com" not in answer.text


async def test_a_websocket_with_a_wrong_host_is_refused(url: str) -> None:
    port = url.rpartition(":")[2]
    with pytest.raises(InvalidStatus, match="421"):
        async with opened(f"{url}/graphql", headers={"Host": f"evil.example.com:{port}"}):
            pass


async def test_configured_hosts_are_accepted(database_url: str) -> None:
    names = "runs.example.com, *.team.example.com"
    async with client_of(database_url, allowed_hosts=names) as client:
        for host in ("runs.example.com", "RUNS.example.com:443", "runs.example.com.", "a.b.team.example.com"):
            assert await status_by(client, host) == 200, host
        for host in ("example.com", "team.example.com", "xruns.example.com", "xteam.example.com"):
            assert await status_by(client, host) == 421, host
        assert await status_by(client, "localhost") == 200, "it is a loopback server still"
    async with client_of(database_url, public_url="https://runs.example.com") as client:
        assert await status_by(client, "runs.example.com") == 200


async def test_a_public_server_accepts_any_host_by_default(
    database_url: str,
) -> None:
    async with client_of(database_url, host="0.0.0.0", auth="token") as client:
        assert await status_by(client, "whatever.example.com") == 401
    async with client_of(
        database_url,
        host="0.0.0.0",
        auth="token",
        allowed_hosts="runs.example.com",
    ) as client:
        assert await status_by(client, "whatever.example.com") == 421
        assert await status_by(client, "localhost") == 421
        assert await status_by(client, "runs.example.com") == 401
        by_address = {"Host": "192.0.2.7:8000"}
        assert (await client.get("/metrics", headers=by_address)).status_code == 401, "it asks for a token"


async def test_metrics_without_authentication_need_an_allowed_host(client: GraphQLClient) -> None:
    assert (await client.get("/metrics")).status_code == 200
    assert (await client.get("/metrics", headers={"Host": "evil.example.com"})).status_code == 421


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", json.dumps({"query": ABORT})),
        ("application/x-www-form-urlencoded", "query=" + ABORT),
        ("multipart/form-data; boundary=x", MULTIPART),
        ("", json.dumps({"query": ABORT})),
    ],
)
async def test_simple_cross_origin_requests_execute_nothing(
    database_url: str, client: GraphQLClient, content_type: str, body: str
) -> None:
    """Forms, and requests that need no CORS preflight."""
    async with open_repository(database_url) as repository:
        await make_run(repository)
        answer = await client.post(
            "/graphql", content=body, headers={"Content-Type": content_type, "Origin": EVIL}
        )
        assert answer.status_code == 415
        got = await client.get("/graphql", params={"query": ABORT}, headers={"Origin": EVIL})
        assert got.status_code == 405
        (run,) = (await repository.runs.page()).items
        assert run.abort is None


async def test_there_are_no_cors_headers(client: GraphQLClient) -> None:
    asking = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    answer = await client.options("/graphql", headers=asking)
    assert answer.status_code == 405
    for found in (answer, await client.get("/graphql", params={"query": RUNS}, headers={"Origin": EVIL})):
        assert [name for name in found.headers if name.startswith("access-control")] == []
        assert found.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": EVIL}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"}, 403),
        ({"Origin": EVIL}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_a_cookie_is_accepted_from_the_same_origin_only(
    database_url: str, headers: dict[str, str], status: int
) -> None:
    async with open_repository(database_url) as repository:
        identity = Identity(IdentityKind.USER, "user-1")
        access = Access(frozenset({Grant(Role.ADMIN)}))
        _, secret = await repository.credentials.create(
            CredentialKind.SESSION, "a browser", identity, access, None
        )
    async with client_of(database_url, auth="token") as client:
        with_cookie = {**headers, "Cookie": f"{SESSION_COOKIE}={secret}"}
        answer = await client.post("/graphql", json={"query": RUNS}, headers=with_cookie)
        assert answer.status_code == status
        bearer = {**headers, "Authorization": f"Bearer {secret}"}
        answer = await client.post("/graphql", json={"query": RUNS}, headers=bearer)
        assert answer.status_code == 200, "browsers do not send this header by themselves"


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("POST", "/graphql", "application/json"),
        ("GET", "/graphql?query={__typename}", "application/json"),
        ("GET", "/graphql", "application/json"),
        ("PUT", "/graphql", "application/json"),
        ("GET", "/graphql", "text/html"),
        ("GET", "/", "text/html"),
        ("GET", "/nothing/here", "text/html"),
        ("GET", "/livez", "*/*"),
        ("GET", "/metrics", "*/*"),
    ],
)
async def test_every_response_has_security_headers(
    client: GraphQLClient, method: str, path: str, accept: str
) -> None:
    content = b'{"query": "{ __typename }"}' if method == "POST" else None
    headers = {"Accept": accept, "Content-Type": "application/json"}
    answer = await client.request(method, path, headers=headers, content=content)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    if path.startswith("/graphql") and accept == "application/json":
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_pages_run_scripts_of_this_server_only(client: GraphQLClient) -> None:
    for path in ("/", "/graphql"):
        answer = await client.get(path, headers={"Accept": "text/html"})
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert re.fullmatch(r"'self'( 'sha256-[\w+/]{43}=')*", policy["script-src"])
        assert policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["form-action"] == "'none'"
        assert "unsafe" not in policy["script-src"]


@pytest.mark.parametrize("path", ["/livez/x", "/livezx", "/readyz/../graphql", "/graphql"])
async def test_only_probes_themselves_are_served_for_any_host(database_url: str, path: str) -> None:
    app = create_app(Settings(database_url=database_url))
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=EVIL) as client,
    ):
        assert (await client.get("/livez")).status_code == 200
        assert (await client.request("GET", path)).status_code == 421
