"""Attacks over websockets: floods, large and unfinished messages, and cross-origin pages.
tests/graph/transport/test_websocket_machine.py tests sequences of valid messages."""

import asyncio
import contextlib
import json
import os
import struct
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from repo import RunIdentifier
from tests.support.attacking import THEIRS, Target

WATCH = "subscription { runs { kind runs { name phase } } }"
INIT_WITHIN = 10
"""Seconds that a server waits for `connection_init`."""

HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


def frame(kind: int, payload: bytes, final: bool = True, reserved: int = 0, mask: bool = True) -> bytes:
    """A websocket frame, valid by RFC 6455 or not."""
    head = bytes([(0x80 if final else 0) | reserved << 4 | kind])
    length, bit = len(payload), 0x80 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 2**16:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    return head + (bytes(4) if mask else b"") + payload


TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9

FRAMES = {
    "a message that is too large": frame(TEXT, b" " * 70_000),
    "a message that says it is endless": bytes([0x81, 0xFF]) + struct.pack("!Q", 2**62) + bytes(4) + b"x",
    "a length with a sign": bytes([0x81, 0xFF]) + struct.pack("!Q", 2**63 + 1) + bytes(4) + b"x",
    "fragments without end": frame(TEXT, b" ", final=False)
    + frame(CONTINUATION, b" " * 1000, final=False) * 200,
    "empty fragments": frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * 20_000,
    "a fragment of nothing": frame(CONTINUATION, b"x"),
    "a message within another": frame(TEXT, b"{", final=False) + frame(TEXT, b"{}"),
    "pings": frame(PING, b"x" * 125) * 5_000,
    "a ping that is too large": frame(PING, b"x" * 126),
    "half of a ping": frame(PING, b"x", final=False),
    "binary": frame(BINARY, os.urandom(1000)),
    "not UTF-8": frame(TEXT, b'{"type":"\xff\xfe"}'),
    "a compressed message": frame(TEXT, b"\xaa\x56\x2a\xa9\x2c\x48\x05\x00", reserved=4),
    "reserved bits": frame(TEXT, b"{}", reserved=3),
    "an unknown kind": frame(0xB, b"x"),
    "a message without a mask": frame(TEXT, b"{}", mask=False),
    "a close with half of a code": frame(CLOSE, b"\x03"),
    "a close with a wrong code": frame(CLOSE, struct.pack("!H", 1005)),
    "a close that is not UTF-8": frame(CLOSE, struct.pack("!H", 1000) + b"\xff"),
    "no frame": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100,
}


@pytest.mark.parametrize("name", FRAMES)
async def test_malformed_frames_are_harmless(target: Target, name: str) -> None:
    async with target.connection() as (reader, writer):
        writer.write(HANDSHAKE)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert head.startswith(b"HTTP/1.1 101")
        with contextlib.suppress(ConnectionError):
            writer.write(FRAMES[name])
            await writer.drain()
        found = await target.read(reader, quiet=1)
    assert len(found) < 1_000_000


async def test_a_websocket_without_connection_init_is_closed(target: Target) -> None:
    async with AsyncExitStack() as stack:
        opening = [target.socket(init=False) for _ in range(50)]
        sockets = [await stack.enter_async_context(each) for each in opening]
        for socket in sockets:
            assert await socket.close_code(INIT_WITHIN * 3) == 4408


async def test_many_silent_connections_delay_no_other_client(target: Target) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(300):
            _, writer = await stack.enter_async_context(target.connection())
            writer.write(HANDSHAKE)
        await asyncio.sleep(1)


async def test_the_subscriptions_of_a_connection_are_limited(target: Target) -> None:
    async with target.socket() as socket:
        for number in range(300):
            await socket.subscribe(str(number), WATCH)
        await socket.send({"type": "ping"})
        refused = set()
        while (message := await socket.next())["type"] != "pong":
            if message["type"] == "error":
                (error,) = message["payload"]
                assert error["extensions"]["code"] == "RATE_LIMITED"
                refused.add(message["id"])
        assert refused == {str(number) for number in range(100, 300)}


async def test_a_flood_of_messages_delays_no_other_client(target: Target) -> None:
    async with target.socket() as socket:
        for number in range(3_000):
            await socket.send({"type": "ping"})
            await socket.subscribe(f"o{number}", "{ nothing }")
            await socket.send({"type": "complete", "id": f"o{number}"})
            if number % 100 == 99:
                while (await socket.next())["type"] != "pong":
                    pass


async def test_repeated_subscriptions_leave_nothing_behind(target: Target) -> None:
    for number in range(60):
        async with target.socket() as socket:
            for each in range(20):
                await socket.subscribe(str(each), WATCH)
            if number % 2:
                socket.connection.transport.abort()


async def test_expensive_operations_over_a_websocket_are_refused_individually(target: Target) -> None:
    async with target.socket() as socket:
        bombs = {
            "depth": "{ " + "runs { " * 5_000,
            "tokens": "{ " + "__typename " * 5_000 + "}",
            "repetition": "{ " + "runs { nodes { name } } " * 490 + "}",
            "aliases": "{ " + " ".join(f"a{i}: __typename" for i in range(1_300)) + "}",
        }
        for id, query in bombs.items():
            await socket.subscribe(id, query)
        left = set(bombs)
        while left:
            message = await socket.next()
            assert message["type"] == "error", message
            left.remove(message["id"])
        await socket.subscribe("fine", "{ __typename }")
        assert await socket.data("fine") == "Query"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "http://127.0.0.1.evil.example.com",
        "null",
        "file://",
        "http://127.0.0.1:1",
    ],
)
async def test_cross_origin_pages_cannot_open_a_websocket(target: Target, origin: str) -> None:
    headers = {"Cookie": f"rungraph={target.tokens.session}"}
    with pytest.raises(InvalidStatus) as refused:
        async with target.socket(init=False, origin=origin, headers=headers):
            pass
    assert refused.value.response.status_code == 403


async def test_same_origin_pages_can_open_a_websocket(target: Target) -> None:
    headers = {"Cookie": f"rungraph={target.tokens.session}"}
    async with target.socket(init=False, origin=target.url, headers=headers) as socket:
        await socket.send({"type": "connection_init"})
        assert await socket.next() == {"type": "connection_ack"}
        await socket.subscribe("a", "{ projects { name } }")
        assert await socket.data("a") == [{"name": "ours"}]


async def test_other_tenants_watch_nothing_of_ours(target: Target) -> None:
    query = "subscription { actions(run: {project: %s, domain: %s, name: %s}) { kind actions { name } } }"
    messages = []
    async with target.socket() as socket:
        for id, run in (("theirs", THEIRS), ("nobody's", RunIdentifier("nobody", "d", "none"))):
            names = run.project, run.domain, run.name
            await socket.subscribe(id, query % tuple(map(json.dumps, names)))
            message = json.dumps((await socket.next())["payload"])
            messages.append(message.replace(run.project, "…").replace(run.name, "…"))
    target.received.clear()  # requested names are repeated
    assert messages[0] == messages[1], "nobody is told whether there is such a run"


async def test_half_open_connections_are_closed(target: Target) -> None:
    async with target.socket() as socket:
        await socket.subscribe("a", WATCH)
        socket.connection.transport.write_eof()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.connection.recv(), 30)
