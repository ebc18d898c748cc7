"""`rungraph serve` as a process, with the streams, limits and clock of a test."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.support import forking
from tests.support.ports import free_port

SECONDS = 60
RUNGRAPH = str(Path(sys.executable).with_name("rungraph"))


class ServerProcess:
    """A running server and a client of it."""

    def __init__(
        self, process: asyncio.subprocess.Process | forking.Process, port: int, token: str | None
    ) -> None:
        self.process = process
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.url = f"{self.address}/graphql"
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            return await client.get(f"{self.address}{path}", headers=self.headers)

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            body = {"query": query, "variables": variables or {}}
            return await client.post(self.url, json=body, headers=self.headers)

    async def metric(self, name: str) -> float:
        """A metric, summed over its labels."""
        lines = (await self.get("/metrics")).text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"rungraph_{name} ", f"rungraph_{name}{{"))
        )

    async def is_ready(self) -> None:
        """Waits until it is ready."""
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await self.get("/readyz")).status_code == 200:
                        return
                assert self.process.returncode is None, f"it ended with {self.process.returncode}"
                await asyncio.sleep(0.05)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), SECONDS)


@asynccontextmanager
async def server_process(
    environment: dict[str, str],
    *,
    stderr: int | None = None,
    stdout: int | None = None,
    token: str | None = None,
    prefix: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    port: int | None = None,
) -> AsyncIterator[ServerProcess]:
    """Starts a server and waits until it is ready; `prefix` is a command that wraps it."""
    port = port or free_port()
    process = await forking.start(
        *(forking.RUNGRAPH, "serve", "--port", str(port), *options),
        environment={**os.environ, **environment},
        stdout=stdout,
        stderr=stderr,
        prefix=prefix,
    )
    try:
        server = ServerProcess(process, port, token)
        await server.is_ready()
        yield server
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
                raise
