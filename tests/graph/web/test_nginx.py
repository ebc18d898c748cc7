"""The configuration of nginx that we recommend, in front of a real server."""

import asyncio
import hashlib
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from strawberry.http.streaming import SSETransport
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from graph.app import create_app
from graph.settings import Settings
from graph.transport.server import Server
from ingest.client import ApiError, GraphQLClient
from repo import FULL_ACCESS, CredentialKind, Identity, IdentityKind, migrate, open_repository
from tests.support.nginx import (
    CONFIGURATION,
    NAME,
    Nginx,
    nginx_proxy,
)
from tests.support.serving import serving
from tests.support.sockets import PROTOCOL, Socket

RUNS = "subscription { runs(filter: {project: %s}) { kind runs { name phase } } }"
PREFIX = "/team/rungraph"
SECONDS = 40


def create(project: str) -> str:
    action = f'{{project: "{project}", domain: "d", runName: "r", name: "a0"}}'
    return f"mutation {{ createAction(input: {{id: {action}}}) {{ created }} }}"


@contextmanager
def rungraph_behind(folder: Path, base_path: str = "", **replaced: str) -> Iterator[Nginx]:
    """A server of Rungraph with nginx in front of it."""
    url = f"sqlite:///{folder / 'runs.db'}"
    asyncio.run(migrate(url))
    app = create_app(Settings(database_url=url, base_path=base_path))
    with serving(app) as address, nginx_proxy(address, folder, **replaced) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with rungraph_behind(tmp_path_factory.mktemp("nginx")) as nginx:
        yield nginx


def trusting(nginx: Nginx) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=nginx.certificate)


@contextmanager
def asking(nginx: Nginx, path: str = "") -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=nginx.url + path, verify=trusting(nginx), timeout=SECONDS) as client:
        yield client


def answer(client: httpx2.Client, query: str) -> dict[str, Any]:
    response = client.post("graphql", json={"query": query})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert "errors" not in body
    data: dict[str, Any] = body["data"]
    return data


async def watch(nginx: Nginx, path: str, project: str, origin: str | None = None) -> None:
    """Receives a run that is created meanwhile over a websocket."""
    async with connect(
        f"{nginx.url.replace('https', 'wss')}{path}/graphql",
        ssl=trusting(nginx),
        subprotocols=[Subprotocol(PROTOCOL)],
        origin=Origin(nginx.url if origin is None else origin),
    ) as connection:
        socket = Socket(connection)
        await socket.send({"type": "connection_init"})
        assert (await socket.next())["type"] == "connection_ack"
        await socket.subscribe("a", RUNS % json.dumps(project))
        while (await socket.data("a"))["kind"] != "SYNCED":
            pass
        await asyncio.to_thread(lambda: create_by(nginx, path, project))
        assert (await socket.data("a"))["runs"] == [{"name": "r", "phase": "QUEUED"}]


def create_by(nginx: Nginx, path: str, project: str) -> None:
    with asking(nginx, path) as client:
        answer(client, create(project))


async def test_commands_trust_the_authorities_of_a_file(
    nginx: Nginx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
    async with GraphQLClient(nginx.url) as client:
        assert await client.execute("{ __typename }") == {"__typename": "Query"}
    monkeypatch.delenv("SSL_CERT_FILE")
    async with GraphQLClient(nginx.url) as client:
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED|certificate"):
            await client.execute("{ __typename }")
    for content in (None, "no certificate"):
        path = tmp_path / f"{content}.pem"
        if content is not None:
            path.write_text(content)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(ValueError, match="SSL_CERT_FILE: cannot read certificates"):
            GraphQLClient(nginx.url)


def test_queries_and_mutations_pass(nginx: Nginx) -> None:
    with asking(nginx) as client:
        answer(client, create("asked"))
        runs = answer(client, '{ runs(filter: {project: "asked"}) { nodes { name } } }')
    assert runs == {"runs": {"nodes": [{"name": "r"}]}}


def test_http_redirects_to_https(nginx: Nginx) -> None:
    response = httpx2.get(
        f"http://127.0.0.1:{nginx.http_port}/runs?phase=FAILED", follow_redirects=False, timeout=SECONDS
    )
    assert response.status_code == 308
    assert response.headers["Location"] == "https://127.0.0.1/runs?phase=FAILED"


async def test_a_subscription_over_a_websocket_is_live(nginx: Nginx) -> None:
    await watch(nginx, "", "socket")


async def test_cross_origin_pages_cannot_open_a_websocket(nginx: Nginx) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await watch(nginx, "", "foreign", origin="https://elsewhere.example.com")
    assert refused.value.response.status_code == 403


def test_server_sent_events_are_not_buffered(nginx: Nginx) -> None:
    body, headers = {"query": RUNS % '"events"'}, {"Accept": "text/event-stream"}
    with asking(nginx) as client, client.stream("POST", "graphql", json=body, headers=headers) as stream:
        frames = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: {"))
        # The next frame is sent only once this one was read: a frame that nginx buffered would never arrive.
        while next(frames)["data"]["runs"]["kind"] != "SYNCED":
            pass
        with asking(nginx) as other:
            answer(other, create("events"))
        assert next(frames)["data"]["runs"]["runs"] == [{"name": "r", "phase": "QUEUED"}]


def test_bodies_may_be_as_large_as_the_server_accepts(nginx: Nginx) -> None:
    most = Settings().max_body_bytes
    with asking(nginx) as client:
        padded = json.dumps({"query": "{ __typename }"}).ljust(most)
        headers = {"Content-Type": "application/json"}
        assert client.post("graphql", content=padded, headers=headers).status_code == 200
        assert client.post("graphql", content=padded + " ", headers=headers).status_code == 413


def test_uploads_may_be_larger_and_are_not_buffered(nginx: Nginx) -> None:
    content = bytes(20 * 1024 * 1024)
    action = {"project": "etl", "domain": "production", "runName": "uploads", "name": "a0"}
    create = "mutation ($id: ActionIdentifierInput!) { createAction(input: {id: $id}) { created } }"
    announce = "mutation ($input: ArtifactUploadInput!) { createArtifactUpload(input: $input) { url } }"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with asking(nginx) as client:
        client.post("graphql", json={"query": create, "variables": {"id": action}})
        input = {"action": action, "kind": "FILE", "name": "x", "size": len(content), "digest": digest}
        body = client.post("graphql", json={"query": announce, "variables": {"input": input}}).json()
        url = body["data"]["createArtifactUpload"]["url"]
        response = client.put(url, content=content)
        assert (response.status_code, response.json()["digest"]) == (200, digest)
        # Refused by the server before the body has arrived.
        response = client.put(url, content=content + b"x")
        assert response.status_code == 413
        assert response.json()["errors"]


def test_probes_and_metrics_are_not_public(nginx: Nginx) -> None:
    with asking(nginx) as client:
        statuses = {path: client.get(path).status_code for path in ("metrics", "readyz", "livez")}
    assert statuses == {"metrics": 404, "readyz": 404, "livez": 404}


def test_idle_connections_outlive_the_timeouts_of_nginx() -> None:
    found = re.search(r"proxy_read_timeout (\d+)s;", CONFIGURATION.read_text())
    assert found is not None
    server = Server(Starlette(), "127.0.0.1", 0)
    pings, heartbeats = server.config.ws_ping_interval, SSETransport().heartbeat_interval
    assert pings is not None
    assert int(found[1]) >= 2 * max(pings, heartbeats)


def test_forwarded_headers_are_set_by_nginx_and_cannot_be_forged(tmp_path: Path) -> None:
    async def return_request(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.headers))

    claims = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "gopher"}
    with (
        serving(Starlette(routes=[Route("/", return_request)])) as address,
        nginx_proxy(address, tmp_path) as nginx,
    ):
        with asking(nginx) as client:
            headers = client.get("", headers=claims).json()
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == nginx.url.removeprefix("https://")


@pytest.mark.parametrize(
    ("upgrade", "passed_on"), [("h2c", None), ("websocket", "websocket"), ("WebSocket, h2c", None)]
)
def test_only_an_upgrade_to_a_websocket_is_passed_on(
    tmp_path: Path, upgrade: str, passed_on: str | None
) -> None:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.headers))

    # A server that returns what it received.
    with serving(Starlette(routes=[Route("/", echo)])) as address, nginx_proxy(address, tmp_path) as nginx:
        with asking(nginx) as client:
            response = client.get("", headers={"Connection": "Upgrade", "Upgrade": upgrade})
    if passed_on is None:
        headers = response.json()
        assert "upgrade" not in headers
        assert "upgrade" not in headers.get("connection", "")
    else:
        # It was parsed as a handshake without a key.
        assert response.status_code == 400
        assert "Sec-WebSocket-Key" in response.text


EVERY_UPGRADE = {"Upgrade    $rungraph_upgrade;": "Upgrade    $http_upgrade;"}
"""A proxy that is less strict than ours."""


@pytest.mark.parametrize("replaced", [{}, EVERY_UPGRADE], ids=["our file", "every upgrade passed on"])
def test_requests_cannot_be_smuggled_in_bodies(tmp_path: Path, replaced: dict[str, str]) -> None:
    inner_body = b'{"query":"{ smuggled: __typename }"}'
    form = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    form += "Content-Length: %d\r\n"
    inner = (form % len(inner_body) + "\r\n").encode() + inner_body
    outer = (form % len(inner) + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n").encode()
    with rungraph_behind(tmp_path, **replaced) as nginx, asking(nginx) as victim:
        for _ in range(5):
            with trusting(nginx).wrap_socket(
                socket.create_connection(("127.0.0.1", nginx.https_port), SECONDS),
                server_hostname="127.0.0.1",
            ) as attacker:
                attacker.sendall(outer)
                attacker.sendall(inner)
                attacker.settimeout(SECONDS)
                # One response: the body is not JSON.
                assert attacker.recv(65536).startswith(b"HTTP/1.1 400 ")
                for _ in range(3):
                    assert answer(victim, "{ mine: __typename }") == {"mine": "Query"}
                    assert answer(victim, "{ __typename }") == {"__typename": "Query"}


async def test_sign_in_and_subscriptions_work_over_https(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    await migrate(url)
    async with open_repository(url) as repository:
        _, token = await repository.credentials.create(
            CredentialKind.TOKEN, "me", Identity(IdentityKind.USER, "me"), FULL_ACCESS, None
        )
    site = f"https://{NAME}"
    app = create_app(Settings(database_url=url, auth="token", public_url=site))
    with ExitStack() as stack:
        nginx = await asyncio.to_thread(_both, stack, app, tmp_path)
        with asking(nginx) as client:
            client.headers["Host"] = NAME
            assert client.get("").headers["Location"].startswith("./login?")
            signed_in = client.post("login", data={"token": token}, headers={"Origin": site})
        assert signed_in.status_code == 303
        cookie, *attributes = signed_in.headers["Set-Cookie"].split("; ")
        assert cookie.startswith("__Host-rungraph=")
        assert "Secure" in attributes
        async with connect(
            f"wss://{NAME}/graphql",
            host="127.0.0.1",
            port=nginx.https_port,
            ssl=trusting(nginx),
            subprotocols=[Subprotocol(PROTOCOL)],
            origin=Origin(site),
            additional_headers={"Cookie": cookie},
        ) as connection:
            socket = Socket(connection)
            await socket.send({"type": "connection_init"})
            assert (await socket.next())["type"] == "connection_ack"
            await socket.subscribe("a", "{ viewer { identity { subject } } }")
            assert await socket.data("a") == {"identity": {"subject": "me"}}
        await asyncio.to_thread(stack.close)


def _both(stack: ExitStack, app: Starlette, folder: Path) -> Nginx:
    return stack.enter_context(nginx_proxy(stack.enter_context(serving(app)), folder))


BELOW = {"location / {": f"location {PREFIX}/ {{"}
STRIPPED = {
    **BELOW,
    "proxy_pass http://rungraph;": "proxy_pass http://rungraph/;",
    "location ~ ^/(metrics": f"location ~ ^{PREFIX}/(metrics",
}


@pytest.mark.parametrize(
    ("base_path", "replaced"), [(PREFIX, BELOW), ("", STRIPPED)], ids=["passed on", "stripped"]
)
async def test_all_of_it_works_below_a_prefix(
    tmp_path: Path, base_path: str, replaced: dict[str, str]
) -> None:
    with ExitStack() as stack:
        nginx = await asyncio.to_thread(stack.enter_context, rungraph_behind(tmp_path, base_path, **replaced))
        await watch(nginx, PREFIX, "prefixed")
        with asking(nginx, PREFIX) as client:
            page = client.get("graphql", headers={"Accept": "text/html"})
            script = re.search(r'src="([^"]+\.js)"', page.text)
            assert script is not None
            assert client.get(str(page.url.join(script[1]))).status_code == 200
            assert [client.get(path).status_code for path in ("metrics", "readyz", "livez")] == [404] * 3
        await asyncio.to_thread(stack.close)
