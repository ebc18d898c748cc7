"""Attacks by HTTP: slow, partial, duplicate and forged requests, and paths outside of the application."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.attacking import Target, bearer, non_reading_socket

BODY = b'{"query":"{ __typename }"}'
MUTATION = """mutation { createAction(input: {parentName: "a0", id: {project: "ours", domain: "d",
                runName: "our-run", name: "%s"}}) { created } }"""


def head(target: Target, *lines: str, method: str = "POST", path: str = "/graphql") -> bytes:
    """The head of a request by the admin of the attacked tenant."""
    arguments = (
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Authorization: Bearer {target.tokens.admin}",
        *lines,
    )
    return "".join(f"{line}\r\n" for line in arguments).encode() + b"\r\n"


async def names(target: Target) -> set[str]:
    """The actions of the tenant's run."""
    query = """{ run(id: {project: "ours", domain: "d", name: "our-run"}) { actions { nodes { name } } } }"""
    nodes = (await target.execute(query)).json()["data"]["run"]["actions"]["nodes"]
    return {node["name"] for node in nodes}


# Slow


@pytest.mark.parametrize("what", ["nothing", "half of a head", "half of a body", "a chunk without an end"])
async def test_many_slow_requests_delay_no_other_client_and_time_out(target: Target, what: str) -> None:
    begun = {
        "nothing": b"",
        "half of a head": b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        "half of a body": head(target, "Content-Length: 1000") + b"{",
        "a chunk without an end": head(target, "Transfer-Encoding: chunked") + b"ff\r\n{",
    }[what]
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(300):
            reader, writer = await stack.enter_async_context(target.connection())
            writer.write(begun)
            readers.append(reader)
        async with asyncio.timeout(30):
            for reader in readers:
                with contextlib.suppress(ConnectionError):
                    target.received.append(await reader.read())


async def test_a_byte_now_and_then_keeps_no_connection_open(target: Target) -> None:
    async with target.connection() as (reader, writer), asyncio.timeout(30):
        ended = asyncio.create_task(reader.read())
        with contextlib.suppress(ConnectionError):
            writer.write(head(target, "Content-Length: 1000"))
            while not ended.done():
                writer.write(b" ")
                await asyncio.sleep(0.2)
        with contextlib.suppress(ConnectionError):
            target.received.append(await ended)


async def test_clients_that_read_no_responses_delay_no_other_client(target: Target) -> None:
    query = json.dumps({"query": "{ __schema { types { name description fields { name description } } } }"})
    request = head(target, f"Content-Length: {len(query)}") + query.encode()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            one = stack.enter_context(non_reading_socket(target))
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(50):
                    one.send(request)
        await asyncio.sleep(2)


async def test_closed_connections_leave_nothing_behind(target: Target) -> None:
    for _ in range(10):
        async with AsyncExitStack() as stack:
            opening = (stack.enter_async_context(target.connection()) for _ in range(100))
            for _, writer in [await each for each in opening]:
                writer.write(head(target, "Content-Length: 26") + BODY[:10])


async def test_connection_resets_during_responses_are_harmless(target: Target) -> None:
    body = json.dumps({"query": "{ runs { nodes { name actions { nodes { name } } } } }"}).encode()
    for _ in range(100):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.bind((target.address, 0))
            one.connect(("127.0.0.1", target.port))
            one.sendall(head(target, f"Content-Length: {len(body)}") + body)
        await asyncio.sleep(0.005)


# Malformed


CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SHAPES: dict[str, tuple[list[str], bytes]] = {
    "both lengths": (["Content-Length: 4", CHUNKED], b"0\r\n\r\n" + SMUGGLED),
    "two lengths": (["Content-Length: 26", "Content-Length: 0"], BODY),
    "two lengths in one": (["Content-Length: 26, 0"], BODY),
    "a length that is none": (["Content-Length: -1"], BODY),
    "a length with a sign": (["Content-Length: +26"], BODY),
    "a length in hexadecimal": (["Content-Length: 0x1a"], BODY),
    "a length without end": ([f"Content-Length: {'9' * 40}"], BODY),
    "a length that is too short": (["Content-Length: 5"], BODY),
    "two encodings": ([CHUNKED, "Transfer-Encoding: identity"], b"0\r\n\r\n"),
    "an unknown encoding": (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "an encoding in disguise": (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    "a chunk that is none": ([CHUNKED], b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk with a sign": ([CHUNKED], b"-1\r\n{}\r\n0\r\n\r\n"),
    "a chunk without end": ([CHUNKED], b"f" * 17 + b"\r\n{}"),
    "a chunk that is longer than it says": ([CHUNKED], b"1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a long extension of a chunk": ([CHUNKED], b"1;" + b"x" * 200_000),
    "trailers without end": ([CHUNKED], b"0\r\n" + b"X-A: b\r\n" * 20_000),
    "a folded header": (["X-A: b", " c: d"], BODY),
    "a header with a zero": (["X-A: \0"], BODY),
    "a header without a name": ([": x"], BODY),
    "a header without a colon": (["x"], BODY),
    "a huge header": ([f"X-A: {'x' * 1_000_000}"], b""),
    "many headers": ([f"X-{i}: y" for i in range(20_000)], b""),
    "an upgrade to another protocol": (["Connection: Upgrade", "Upgrade: h2c"], BODY),
    "half of a websocket": (["Connection: Upgrade", "Upgrade: websocket"], b""),
    "an expectation": (["Expect: 200-maybe", "Content-Length: 26"], BODY),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_malformed_requests_are_harmless(target: Target, name: str) -> None:
    lines, body = SHAPES[name]
    found = await target.raw(head(target, *lines), body, half_close=True)
    # At most one response is to a valid request: no hidden request is executed.
    assert found.count(b'"data"') <= 1


@pytest.mark.parametrize(
    "text",
    [
        b"\0" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,  # the beginning of TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://example.com/graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET //example.com/graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"TRACE /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: rungraph=secret-canary\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"BREW /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: example.com\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"\r\n" * 100_000,
    ],
)
async def test_bytes_that_are_no_http_request_are_harmless(target: Target, text: bytes) -> None:
    await target.raw(text, half_close=True)


async def test_pipelined_requests_are_answered_in_order(target: Target) -> None:
    one = head(target, "Content-Length: 26") + BODY
    found = await target.raw(one * 50 + head(target, "Content-Length: 26", "Connection: close") + BODY)
    assert found.count(b'{"data":{"__typename":"Query"}}') == 51
    old = one.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert (await target.raw(old)).count(b'{"data":{"__typename":"Query"}}') == 1


# Cross-origin


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"query": MUTATION % "form"}},
        {"files": {"query": (None, MUTATION % "file")}},
        {"content": json.dumps({"query": MUTATION % "text"}), "headers": {"content-type": "text/plain"}},
        {"content": json.dumps({"query": MUTATION % "none"})},
        {"method": "GET", "params": {"query": MUTATION % "get"}},
        {"method": "GET", "params": {"query": MUTATION % "method"}, "override": "POST"},
        {"method": "HEAD", "params": {"query": MUTATION % "head"}},
        {"method": "PUT", "json": {"query": MUTATION % "put"}},
        {"json": {"query": MUTATION % "json"}, "headers": {"origin": "https://evil.example.com"}},
        {"json": {"query": MUTATION % "site"}, "headers": {"sec-fetch-site": "cross-site"}},
    ],
)
async def test_cross_origin_pages_cannot_write(target: Target, sent: dict[str, Any]) -> None:
    before, sent = await names(target), dict(sent)
    headers = {"Cookie": f"rungraph={target.tokens.admin}", **sent.pop("headers", {})}
    if override := sent.pop("override", None):
        headers["X-HTTP-Method-Override"] = override
    answer = await target.send(sent.pop("method", "POST"), headers=headers, **sent)
    assert answer.status in (400, 401, 403, 405, 406, 415), answer.body
    assert not any(name.lower().startswith("access-control-") for name in answer.headers)
    assert await names(target) == before


async def test_unknown_host_names_are_refused(target: Target) -> None:
    for name in ("evil.example.com", "127.0.0.1.evil.example.com", "localhost.evil.example.com", "0"):
        answer = await target.send(headers={**bearer(target.tokens.admin), "Host": name}, content=BODY)
        assert answer.status == 421, (name, answer)


# Elsewhere


PATHS = [
    f"{folder}{way}{file}"
    for folder in ("/", "/assets/", "/graphiql/")
    for way in (
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "..%5c",
        "..\\",
        "....//",
        "%252e%252e%252f",
        "%00../",
    )
    for file in ("app.py", "../etc/passwd", "../../../../../../etc/passwd", "rungraph.db")
]


async def test_only_static_files_can_be_read(target: Target) -> None:
    headers = f"Host: 127.0.0.1\r\nCookie: rungraph={target.tokens.viewer}\r\nAccept: text/html\r\n"
    for path in [*PATHS, "/assets//etc/passwd", "/graphiql//etc/passwd", "/assets/%2fetc%2fpasswd"]:
        request = f"GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
        found = await target.raw(request.encode())
        assert b"root:" not in found, path
        assert b"SQLite format" not in found, path
        assert b"import " not in found.partition(b"<html")[0], path


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example.com/",
        "//evil.example.com/",
        "/\\evil.example.com/",
        "\\\\evil.example.com",
        "/\t/evil.example.com",
        "%2f%2fevil.example.com",
        "javascript:alert(1)",
        "x\r\nSet-Cookie: rungraph=evil",
        "runs/@evil.example.com",
        ".//evil.example.com",
    ],
)
async def test_sign_in_redirects_only_to_this_server(target: Target, to: str) -> None:
    form = {"token": target.tokens.viewer, "return_to": to}
    answer = await target.send("POST", "/login", data=form, headers={"Origin": target.url})
    # Only this browser may see the owner of its token.
    target.received.clear()
    assert answer.status in (302, 303), answer.body
    where = answer.headers["location"]
    assert "evil" not in where.split("/")[0:3], where
    assert not where.startswith(("http", "//", "/\\", "\\", "javascript")), where
    assert "evil" not in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", ["/metrics", "/graphql?query={runs{totalCount}}", "/"])
async def test_unauthenticated_callers_see_nothing(target: Target, path: str) -> None:
    answer = await target.send("GET", path, headers={})
    assert answer.status in (302, 303, 307, 401)
    assert b"rungraph_" not in answer.body


async def test_metrics_are_not_available_to_a_single_tenant(target: Target) -> None:
    assert (await target.send("GET", "/metrics")).status == 403


async def test_many_unknown_paths_leave_nothing_behind(target: Target) -> None:
    async def endless() -> AsyncIterator[str]:
        for number in range(300):
            yield f"/{number}/" + "x" * 1000

    async for path in endless():
        assert (await target.send("GET", path, headers={})).status in (303, 302, 307, 401, 404)
