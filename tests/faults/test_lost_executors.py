"""Executors as processes that are killed, stopped and continued, and servers that are stopped."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.support import leasing
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import until

RUN = """query ($run: RunIdentifierInput!) { run(id: $run) {
  phase executor leaseExpiresAt lastReportedAt error { kind code message }
  actions { nodes { name phase isLost events { nodes { phase version } } } }
} }"""
TTL = 3


@asynccontextmanager
async def executor(url: str, name: str, ttl: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """An executor with a run, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, leasing.__file__, url, name, str(ttl), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 40) == b"ready\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def read(server: ServerProcess, name: str) -> dict[str, Any]:
    response = await server.ask(RUN, {"run": {"project": "p", "domain": "d", "name": name}})
    run: dict[str, Any] = response.json()["data"]["run"]
    return run


def shows(server: ServerProcess, name: str, holds: Callable[[dict[str, Any]], bool]) -> Callable[[], Any]:
    async def condition() -> bool:
        with contextlib.suppress(httpx2.TransportError):
            return holds(await read(server, name))
        return False

    return condition


def is_lost(run: dict[str, Any]) -> bool:
    return run["phase"] == "FAILED" and all(each["isLost"] for each in run["actions"]["nodes"])


async def test_a_killed_executor_is_lost(database_url: str) -> None:
    async with server_process({"RUNGRAPH_DATABASE_URL": database_url}) as server:
        async with executor(server.url, "killed", 1) as process:
            process.kill()
            await until(shows(server, "killed", is_lost))
        run = await read(server, "killed")
        assert run["error"]["code"] == "EXECUTOR_LOST"
        assert run["error"]["kind"] == "SYSTEM"
        assert f"the executor killed:{process.pid} has been silent since" in run["error"]["message"]
        assert run["executor"] == f"killed:{process.pid}"
        assert run["leaseExpiresAt"] is not None
        assert run["lastReportedAt"] is not None
        assert await server.metric("leases_expired_total") == 1
        assert await server.metric("leases_held") == 0


@pytest.mark.soak
async def test_a_killed_executor_is_lost_soon_and_once_with_two_replicas(database_url: str) -> None:
    environment = {"RUNGRAPH_DATABASE_URL": database_url}
    async with server_process(environment) as one, server_process(environment) as other:
        async with executor(one.url, "killed", TTL) as process:
            await asyncio.sleep(2 * TTL)  # both have polled for as long as the lease lasts
            process.kill()
            killed = time.monotonic()
            await until(shows(other, "killed", is_lost))
            assert time.monotonic() - killed < 8
        await asyncio.sleep(2)
        run = await read(one, "killed")
        for each in run["actions"]["nodes"]:
            assert each["events"]["nodes"] == [{"phase": "FAILED", "version": -1}]
        assert sum([await each.metric("leases_expired_total") for each in (one, other)]) == 1


@pytest.mark.soak
async def test_a_stopped_executor_is_lost_until_it_continues(database_url: str) -> None:
    async with server_process({"RUNGRAPH_DATABASE_URL": database_url}) as server:
        async with executor(server.url, "stopped", TTL) as process:
            await asyncio.sleep(TTL)
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(10)
            assert is_lost(await read(server, "stopped"))
            process.send_signal(signal.SIGCONT)
            await until(shows(server, "stopped", lambda run: run["phase"] == "RUNNING"))
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 40) == 0
        run = await read(server, "stopped")
        assert (run["phase"], run["error"]) == ("SUCCEEDED", None)
        assert {each["phase"] for each in run["actions"]["nodes"]} == {"SUCCEEDED"}
        assert not any(each["isLost"] for each in run["actions"]["nodes"])


@pytest.mark.soak
@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_server_that_is_stopped_for_longer_than_the_lease_loses_nothing(
    database_url: str, how: str
) -> None:
    environment = {"RUNGRAPH_DATABASE_URL": database_url}
    async with server_process(environment) as server, executor(server.url, "waiting", TTL):
        await asyncio.sleep(2 * TTL)
        server.process.send_signal(signal.SIGSTOP if how == "stopped" else signal.SIGKILL)
        await asyncio.sleep(3 * TTL)
        if how == "stopped":
            server.process.send_signal(signal.SIGCONT)
            await stays_open(server)
        else:
            async with server_process(environment, port=server.port) as next_server:
                await stays_open(next_server)


async def stays_open(server: ServerProcess) -> None:
    for _ in range(4 * TTL):
        run = await read(server, "waiting")
        assert run["phase"] == "RUNNING"
        assert all(not each["events"]["nodes"] for each in run["actions"]["nodes"])
        await asyncio.sleep(0.5)
