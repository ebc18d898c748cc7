"""Owns the clients that ask: raw HTTP, prepared beforehand, so that they cost little themselves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.processes import Process

_SMALL = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    requests: int
    seconds: float
    cpu: float
    """Seconds of processor time that the server used."""
    client_cpu: float
    """Seconds of processor time that the client used: close to `seconds`, it would be the limit."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """Seconds of the server's processor time for one request."""
        return self.cpu / self.requests

    @property
    def client(self) -> float:
        """The part of a core that the client used."""
        return self.client_cpu / self.seconds

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            self.client_cpu + other.client_cpu,
        )


class Connection:
    """A connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises AssertionError for one with errors."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        assert b'"errors"' not in answer[:200], answer[:500]
        return answer


@asynccontextmanager
async def connected(process: Process) -> AsyncIterator[Connection]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port, limit=2**26)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def request(body: dict[str, Any], path: str = "/graphql") -> bytes:
    """What goes over the wire to ask this."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def ask_for(process: Process, body: dict[str, Any], seconds: float, clients: int = 8) -> Load:
    """Let so many clients ask the same again and again."""
    sent = request(body)
    deadline, counts = time.monotonic() + seconds, [0] * clients

    async def ask(number: int) -> None:
        async with connected(process) as connection:
            while time.monotonic() < deadline:
                await connection.ask(sent)
                counts[number] += 1

    cpu, client_cpu, began = process.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*(ask(number) for number in range(clients)))
    took = time.monotonic() - began
    return Load(sum(counts), took, process.cpu() - cpu, time.process_time() - client_cpu)


async def times_of(process: Process, body: dict[str, Any], count: int) -> list[float]:
    """How many seconds each of so many requests took, one after the other."""
    sent, times = request(body), []
    async with connected(process) as connection:
        for _ in range(count):
            began = time.monotonic()
            await connection.ask(sent)
            times.append(time.monotonic() - began)
    return times


class Waits:
    """The longest wait of many small requests, which are asked for as long as this is entered."""

    def __init__(self, process: Process) -> None:
        self.longest = 0.0
        """In seconds."""
        self._process = process

    async def __aenter__(self) -> "Waits":
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._asking.cancel()
        # What ended it before that, such as a connection that was lost, is raised.
        (ended,) = await asyncio.gather(self._asking, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _ask(self) -> None:
        async with connected(self._process) as connection:
            while True:
                began = time.monotonic()
                await connection.ask(_SMALL)
                self.longest = max(self.longest, time.monotonic() - began)
                await asyncio.sleep(0.005)
