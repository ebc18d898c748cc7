"""Request smuggling: requests within a body behind an Upgrade header, and clients that offer an upgrade."""

import asyncio
import itertools
import json
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from tests.support.attacking import Target, bearer
from tests.support.serving import serving
from tests.support.sockets import connected

QUERY = b'{"query":"{ __typename }"}'
INNER_QUERY = b'{"query":"{ smuggled: __typename }"}'
JSON = "Content-Type: application/json"
PATHS = ["/graphql", "/livez", "/metrics", "/login", "/runs", "/assets/x.js"]
UPGRADES = {
    "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAA"],
    "tls": ["Connection: upgrade", "Upgrade: TLS/1.0"],
    "a list": ["Connection: Upgrade", "Upgrade: websocket, h2c"],
    "two fields": ["Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"],
    "two connections": ["Connection: Upgrade", "Upgrade: websocket", "Connection: keep-alive"],
    "an empty one": ["Connection: Upgrade", "Upgrade:"],
    "a websocket": ["Connection: Upgrade", "Upgrade: websocket"],
    "a whole handshake": [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
    ],
}
FRAMINGS = ["a length", "chunks"]


def request(method: str, path: str, lines: list[str], body: bytes, framing: str = "a length") -> bytes:
    """A request with this body."""
    if framing == "chunks":
        length, body = "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        length = f"Content-Length: {len(body)}"
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", JSON, length, *lines]
    return "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + body


LAST = request("GET", "/livez", ["Connection: close"], b"")
"""A request after which the server closes the connection, so that all responses have arrived."""


def authenticated(target: Target) -> list[str]:
    return [f"{name}: {value}" for name, value in bearer(target.tokens.admin).items()]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("upgrade", UPGRADES)
async def test_requests_within_bodies_are_not_executed(target: Target, upgrade: str, framing: str) -> None:
    inner = request("POST", "/graphql", authenticated(target), INNER_QUERY)

    async def attack(method: str, path: str, in_parts: bool) -> None:
        outer = request(method, path, UPGRADES[upgrade], inner, framing)
        header_size = outer.index(b"\r\n\r\n") + 4
        parts = [outer[:header_size], outer[header_size:]] if in_parts else [outer]
        found = await target.raw(*parts, LAST, pause=0.02)
        assert b"smuggled" not in found, (method, path, found)
        # A response to it, and one to the last request.
        assert found.count(b"HTTP/1.1 ") <= 2, (method, path, found)

    forms = itertools.product(("POST", "GET", "OPTIONS"), PATHS, (False, True))
    await asyncio.gather(*(attack(*way) for way in forms))


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    "upgrade", ["h2c", "tls", "a list", "two fields", "an empty one", "a whole handshake"]
)
async def test_a_refused_upgrade_does_not_change_its_request(
    target: Target, upgrade: str, framing: str
) -> None:
    lines = [*UPGRADES[upgrade], *authenticated(target)]
    one = request("POST", "/graphql", lines, QUERY, framing)
    plain = request("POST", "/graphql", authenticated(target), QUERY)
    # Several on one connection, whole and byte by byte, with others in between.
    found = await target.raw(one * 3 + plain + one, *(bytes([byte]) for byte in one), plain, LAST)
    assert found.count(b'{"data":{"__typename":"Query"}}') == 7, found


async def test_an_optional_upgrade_is_ignored(target: Target) -> None:
    # As the HTTP client of Java 17 sends it, header and body separately.
    head = request(
        "POST",
        "/graphql",
        [
            "Connection: Upgrade, HTTP2-Settings",
            "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
            "Upgrade: h2c",
            "User-Agent: Java-http-client/17.0.15",
            *authenticated(target),
        ],
        QUERY,
    )[: -len(QUERY)]
    found = await target.raw(head, QUERY, LAST, pause=0.05)
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b'\r\n\r\n{"data":{"__typename":"Query"}}HTTP/1.1 200 ' in found
    # Without a body, too.
    livez = "\r\n".join(["GET /livez HTTP/1.1", "Host: 127.0.0.1", *UPGRADES["h2c"], "", ""])
    assert (await target.raw(livez.encode() + LAST)).startswith(b"HTTP/1.1 200 ")


async def test_a_websocket_handshake_within_a_pipeline_is_refused(target: Target) -> None:
    plain = request("POST", "/graphql", authenticated(target), QUERY)
    handshake = "\r\n".join(
        ["GET /graphql HTTP/1.1", "Host: 127.0.0.1", *UPGRADES["a whole handshake"], "", ""]
    )
    found = await target.raw(plain + handshake.encode() + LAST)
    assert b"101 Switching" not in found
    # It is accepted after an answered request.
    async with target.connection() as (reader, writer):
        writer.write(plain)
        answer = await reader.readuntil(b'"Query"}}')
        assert answer.startswith(b"HTTP/1.1 200 ")
        writer.write(handshake.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Sec-WebSocket-Version: 12"],
        ["X-Long: " + "x" * 10_000],
        [f"X-{number}: y" for number in range(200)],
        ["X-Control: \x01"],
    ],
    ids=["no key", "an unknown version", "a long header", "many headers", "a control character"],
)
async def test_a_broken_websocket_handshake_is_answered_and_closed(target: Target, lines: list[str]) -> None:
    offered = ["Connection: Upgrade", "Upgrade: websocket", *lines]
    handshake = "\r\n".join(["GET /graphql HTTP/1.1", "Host: 127.0.0.1", *offered, "", ""])
    async with target.connection() as (reader, writer), asyncio.timeout(30):
        writer.write(handshake.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 4")
        await reader.read()


async def test_connect_is_refused_and_the_connection_closed(target: Target) -> None:
    inner = request("POST", "/graphql", authenticated(target), INNER_QUERY)
    connect = b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for parts in ([connect + inner], [connect, inner]):
        found = await target.raw(*parts, pause=0.05)
        assert found.startswith(b"HTTP/1.1 400 ")
        assert b"smuggled" not in found


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that returns the header and the body of the request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        fields = [[name.decode(), value.decode()] for name, value in scope["headers"]]
        answer = json.dumps([scope["method"], scope["path"], scope["query_string"].decode(), fields]).encode()
        headers = [(b"content-length", b"%d" % (len(answer) + len(body)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer + body})

    with serving(app) as address:
        yield address


async def test_a_request_arrives_without_its_upgrade_header(echo: str) -> None:
    body = bytes(range(256)) * 2000
    lines = ["X-Text: a: b,  c", "x-text: \xe9", *UPGRADES["h2c"], "Connection: keep-alive"]
    sent = request("PATCH", "/a%20b?c=%26d", lines, body)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(echo.rpartition(":")[2]))
    try:
        writer.write(sent)
        async with asyncio.timeout(30):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            method, path, query, fields = json.loads(await reader.readuntil(b"]]]"))
            assert await reader.readexactly(len(body)) == body
    finally:
        writer.close()
    assert (method, path, query) == ("PATCH", "/a b", "c=%26d")
    assert [name for name, _ in fields].count("x-text") == 2
    assert "upgrade" not in {name for name, _ in fields}
    assert {"connection", "http2-settings", "content-length", "host"} <= {name for name, _ in fields}


async def test_websockets_can_be_opened(target: Target) -> None:
    async with connected(f"{target.url}/graphql", dict(bearer(target.tokens.viewer))) as socket:
        await socket.subscribe("a", "{ __typename }")
        assert await socket.data("a") == "Query"
