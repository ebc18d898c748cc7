"""Owns the client that asks as fast as it is answered: raw HTTP, so that it costs little itself."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from bench.processes import Process


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


async def ask_for(process: Process, body: dict[str, Any], seconds: float, clients: int = 8) -> Load:
    """Let so many clients ask the same again and again. Raises AssertionError for an answer with errors."""
    content = json.dumps(body).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    request = head.encode() + content
    deadline, counts = time.monotonic() + seconds, [0] * clients

    async def ask(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port, limit=2**24)
        while time.monotonic() < deadline:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            assert b'"errors"' not in answer[:200], answer[:500]
            counts[number] += 1
        writer.close()

    cpu, client_cpu, began = process.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*(ask(number) for number in range(clients)))
    took = time.monotonic() - began
    return Load(sum(counts), took, process.cpu() - cpu, time.process_time() - client_cpu)
