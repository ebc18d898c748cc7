"""The servers under test, with their CPU time and memory."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import uvicorn
from starlette.applications import Starlette

from tests.support.ports import free_port

_READY_SECONDS = 30
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A running server."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def unsent_to(self, port: int) -> int:
        """Bytes in the kernel's send buffer for the client at this port."""
        ends = f"0100007F:{self.port:04X} 0100007F:{port:04X}"
        found = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        return sum(int(fields[4].partition(":")[0], 16) for fields in found if " ".join(fields[1:3]) == ends)

    def memory(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def serve(application: Starlette) -> None:
    """Serves an application for comparison, on the port that `running` expects."""
    port = int(os.environ["RUNGRAPH_PORT"])
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning", access_log=False)


@asynccontextmanager
async def running(
    *command: str, program: str = "", ready: str = "/readyz", **environment: str
) -> AsyncIterator[Process]:
    """Starts `python -m COMMAND`, or another program, and waits until it is ready; RUNGRAPH_PORT is its
    port."""
    port = free_port()
    settings = {"RUNGRAPH_PORT": str(port), "RUNGRAPH_LOG_LEVEL": "warning", **environment}
    process = await asyncio.create_subprocess_exec(
        *([program] if program else [sys.executable, "-m"]),
        *command,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_READY_SECONDS), httpx2.AsyncClient() as running:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await running.get(f"http://127.0.0.1:{port}{ready}")).status_code == 200:
                        break
                await asyncio.sleep(0.05)
        yield Process(process.pid, port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def rungraph(database_url: str, **environment: str) -> AsyncIterator[Process]:
    """A Rungraph server on a database."""
    async with running("bench.serve", RUNGRAPH_DATABASE_URL=database_url, **environment) as process:
        yield process
