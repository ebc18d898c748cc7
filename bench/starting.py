"""Benchmark: how long the command line and a server take to start."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from bench.report import Result
from tests.support.ports import free_port

_RUNGRAPH = str(Path(sys.executable).with_name("rungraph"))
_PACKAGES = "import sqlalchemy.ext.asyncio, strawberry.asgi, starlette.applications, uvicorn, asyncpg"


async def starting(database_url: str, rounds: int) -> list[Result]:
    """`rungraph --help`, and `rungraph serve` until it is ready, beside an import of its packages alone. The
    best of some rounds."""
    helped = packages = ready = float("inf")
    for _ in range(rounds):
        helped = min(helped, await _timed(lambda: _run(_RUNGRAPH, "--help")))
        packages = min(packages, await _timed(lambda: _run(sys.executable, "-c", _PACKAGES)))
        ready = min(ready, await _until_ready(database_url))
    return [
        Result("`rungraph --help`", helped, "s", "≤ 0.4", helped <= 0.4),
        Result(
            "`rungraph serve` until it is ready",
            ready,
            "s",
            "≤ 1",
            ready <= 1,
            f"importing its packages alone: {packages:.2f} s",
        ),
    ]


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    began = time.monotonic()
    await work()
    return time.monotonic() - began


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    assert await process.wait() == 0


async def _until_ready(database_url: str) -> float:
    port = free_port()
    environment = {**os.environ, "RUNGRAPH_DATABASE_URL": database_url, "RUNGRAPH_PORT": str(port)}
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        _RUNGRAPH, "serve", stdout=subprocess.DEVNULL, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        return time.monotonic() - began
                await asyncio.sleep(0.01)
    finally:
        process.terminate()
        await process.wait()
