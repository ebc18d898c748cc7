"""File descriptors: the limit is raised, and some are reserved."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.databases import PostgresDatabases, create_migrated
from tests.support.postgres import Postgres, running_postgres
from tests.support.server_process import ServerProcess, server_process
from tests.support.sockets import connected

SECONDS = 60
LIMIT = 160
QUERY = "{ runs { nodes { name } } }"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@asynccontextmanager
async def limited(postgres: Postgres, how: str) -> AsyncIterator[ServerProcess]:
    """A server that is started with a limit of descriptors."""
    databases = PostgresDatabases(postgres.url)
    url = create_migrated(databases)
    prefix = ("sh", "-c", f'ulimit {how}; exec "$@"', "sh")
    settings = {"RUNGRAPH_DATABASE_URL": url, "RUNGRAPH_BROADCAST_URL": url}
    async with server_process(settings, prefix=prefix) as server:
        yield server
    databases.drop(url)


async def test_a_server_raises_its_descriptor_limit_as_far_as_allowed(postgres: Postgres) -> None:
    async with limited(postgres, "-Sn 64") as server:
        soft, hard = limits_of(server.process.pid)
    assert int(soft) == min(int(hard), 1 << 20)


async def test_at_the_limit_probes_are_answered_and_the_database_reconnects(
    postgres: Postgres,
) -> None:
    async with limited(postgres, f"-n {LIMIT}") as server, contextlib.AsyncExitStack() as stack:
        with pytest.raises(InvalidStatus) as caught:
            await connect_on_and_on(stack, server)
        response = caught.value.response
        assert (response.status_code, response.headers["retry-after"]) == (503, "10")
        assert code(response.body or b"") == "SERVICE_UNAVAILABLE"

        refused = await server.ask(QUERY)
        assert (refused.status_code, code(refused.content)) == (503, "SERVICE_UNAVAILABLE")
        assert refused.headers["connection"] == "close"
        for path in ("/livez", "/readyz"):
            probe = await server.get(path)
            assert (probe.status_code, probe.headers["connection"]) == (200, "close")
        # Silent clients cannot use the reserved descriptors.
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(LIMIT)]
        async with asyncio.timeout(SECONDS):
            while not await lives(server):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)

        postgres.stop()
        await status_becomes(server, 503)
        postgres.start()
        await status_becomes(server, 200)
        for _, writer in idle:
            writer.close()

        await stack.aclose()
        async with asyncio.timeout(SECONDS):
            while (await server.ask(QUERY)).status_code != 200:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)


async def connect_on_and_on(stack: contextlib.AsyncExitStack, server: ServerProcess) -> None:
    """Opens connections until one is refused, which raises."""
    for _ in range(LIMIT):
        await stack.enter_async_context(connected(server.url))


def limits_of(pid: int) -> list[str]:
    """The soft and the hard limit of a process for open files."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[3:5] for line in lines if line.startswith("Max open files"))


def code(body: bytes | bytearray) -> str:
    (error,) = json.loads(body)["errors"]
    found: str = error["extensions"]["code"]
    return found


async def lives(server: ServerProcess) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return (await server.get("/livez")).status_code == 200
    return False


async def status_becomes(server: ServerProcess, wanted: int) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await server.get("/readyz")).status_code == wanted:
                    return
            await asyncio.sleep(0.1)
