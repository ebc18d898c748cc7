"""HTTP load clients: raw, precomputed requests, so that the clients cost little CPU."""

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
    """The result of a load test."""

    requests: int
    seconds: float
    cpu: float
    """CPU seconds of the server."""
    client_cpu: float
    """CPU seconds of the client: close to `seconds`, the client is the bottleneck."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """CPU seconds of the server per request."""
        return self.cpu / self.requests

    @property
    def client(self) -> float:
        """The fraction of a core used by the client."""
        return self.client_cpu / self.seconds

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            self.client_cpu + other.client_cpu,
        )


class Connection:
    """A keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, request: bytes) -> bytes:
        """The response body. Raises AssertionError if it has errors."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        assert b'"errors"' not in answer[:200], answer[:500]
        return answer


@asynccontextmanager
async def connected(process: Process) -> AsyncIterator[Connection]:
    """Opens a connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port, limit=2**26)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def request(body: dict[str, Any], path: str = "/graphql", token: str | None = None) -> bytes:
    """The raw bytes of the request, with an API token if there is one."""
    content = json.dumps(body).encode()
    credentials = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{credentials}"
        f"Accept: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def run_load(
    process: Process, body: dict[str, Any], seconds: float, clients: int = 8, token: str | None = None
) -> Load:
    """Runs this many clients that repeat the same request."""
    sent = request(body, token=token)
    deadline, counts = time.monotonic() + seconds, [0] * clients

    async def send(number: int) -> None:
        async with connected(process) as connection:
            while time.monotonic() < deadline:
                await connection.post(sent)
                counts[number] += 1

    cpu, client_cpu, began = process.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*(send(number) for number in range(clients)))
    took = time.monotonic() - began
    return Load(sum(counts), took, process.cpu() - cpu, time.process_time() - client_cpu)


async def times_of(process: Process, body: dict[str, Any], count: int) -> list[float]:
    """The seconds of each of this many sequential requests."""
    sent, times = request(body), []
    async with connected(process) as connection:
        for _ in range(count):
            began = time.monotonic()
            await connection.post(sent)
            times.append(time.monotonic() - began)
    return times


class Waits:
    """Measures the longest latency of small requests while the context is open."""

    def __init__(self, process: Process) -> None:
        self.longest = 0.0
        """The longest latency in seconds."""
        self._process = process

    async def __aenter__(self) -> "Waits":
        self._running = asyncio.create_task(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        # Raises the error that ended it early, such as a lost connection.
        (ended,) = await asyncio.gather(self._running, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _measure(self) -> None:
        async with connected(self._process) as connection:
            while True:
                began = time.monotonic()
                await connection.post(_SMALL)
                self.longest = max(self.longest, time.monotonic() - began)
                await asyncio.sleep(0.005)
