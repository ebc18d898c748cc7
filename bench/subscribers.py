"""Subscribers that cost little CPU: frames are counted as bytes, not parsed."""

import asyncio
import base64
import json
import os
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from bench.processes import Process

_NUMBERS = re.compile(rb'"(?:attempts|version|number)":(\d+)')
"""A marker that appears once per row: the attempts of an action, the version of an event, or the number of a
line."""


@dataclass
class Seen:
    """What all subscribers together have received."""

    frames: int = 0
    rows: int = 0
    lags: list[float] = field(default_factory=list)
    """Seconds from the acknowledgement of a write to its receipt by a subscriber."""
    acknowledged: dict[int, float] = field(default_factory=dict)
    """When the write with this attempt number was acknowledged."""

    def take_lags(self) -> list[float]:
        """Returns the lags so far and resets them."""
        lags, self.lags = self.lags, []
        return lags


class Subscriber(asyncio.Protocol):
    """One websocket with one subscription."""

    def __init__(self, query: str, variables: dict[str, Any], seen: Seen) -> None:
        self.latest = 0
        self.bytes = 0
        self.synced = asyncio.get_running_loop().create_future()
        self._subscribe = json.dumps(
            {"type": "subscribe", "id": "1", "payload": {"query": query, "variables": variables}}
        )
        self._seen = seen
        self._buffer = bytearray()
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            (
                "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        self._buffer += data
        if not self._is_open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._buffer.startswith(b"HTTP/1.1 101"), bytes(self._buffer)
            del self._buffer[: end + 4]
            self._is_open = True
            self._send(b'{"type":"connection_init"}')
            self._send(self._subscribe.encode())
        while (frame := self._frame()) is not None:
            self._take(frame)

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1], 2
        if length == 126:
            length, start = int.from_bytes(buffer[2:4]), 4
        elif length == 127:
            length, start = int.from_bytes(buffer[2:10]), 10
        if len(buffer) < start + length:
            return None
        kind, content = buffer[0] & 15, bytes(buffer[start : start + length])
        del buffer[: start + length]
        if kind == 9:
            self._send(content, 10)
            return b""
        return content

    def _send(self, content: bytes, kind: int = 1) -> None:
        size = bytes([128 | len(content)]) if len(content) < 126 else b"\xfe" + len(content).to_bytes(2)
        self.transport.write(bytes([128 | kind]) + size + bytes(4) + content)

    def _take(self, frame: bytes) -> None:
        if b'"SYNCED"' in frame:
            if not self.synced.done():
                self.synced.set_result(None)
        elif b'"CHANGE"' in frame or b'"SNAPSHOT"' in frame:
            found = _NUMBERS.findall(frame)
            self._seen.frames += 1
            self._seen.rows += len(found)
            latest = max(map(int, found[-1:]), default=0)
            acknowledged = self._seen.acknowledged.get(latest)
            if acknowledged is not None and latest > self.latest:
                self._seen.lags.append(max(0.0, time.monotonic() - acknowledged))
            self.latest = max(self.latest, latest)


async def subscribe(
    process: Process, query: str, variables: dict[str, Any], seen: Seen, receive_buffer: int | None = None
) -> Subscriber:
    """Opens a subscriber. A small `receive_buffer` limits what its kernel accepts while it does not read."""
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await loop.sock_connect(connection, ("127.0.0.1", process.port))
    _, subscriber = await loop.create_connection(lambda: Subscriber(query, variables, seen), sock=connection)
    return subscriber


@asynccontextmanager
async def subscribed(
    process: Process, query: str, variables: dict[str, Any], seen: Seen, count: int
) -> AsyncIterator[list[Subscriber]]:
    """Opens this many subscribers and waits until each has its snapshot."""
    crowd = await asyncio.gather(*(subscribe(process, query, variables, seen) for _ in range(count)))
    try:
        await asyncio.wait_for(asyncio.gather(*(one.synced for one in crowd)), 120)
        yield crowd
    finally:
        for one in crowd:
            one.transport.abort()


async def behind(crowd: list[Subscriber], latest: int) -> int:
    """How many have not received the row with this number within 10 seconds."""
    deadline = time.monotonic() + 10
    while True:
        missing = sum(one.latest < latest for one in crowd)
        if not missing or time.monotonic() > deadline:
            return missing
        await asyncio.sleep(0.002)
