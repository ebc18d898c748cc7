"""Subscriptions with third-party clients: graphql-ws, graphql-sse and GraphiQL in a browser."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from graph.app import create_app
from graph.settings import Settings
from repo import Access, CredentialKind, Grant, Identity, IdentityKind, Role, migrate, open_repository
from tests.support.browser import find_chromium
from tests.support.ports import free_port
from tests.support.serving import (
    NODE_FOLDER,
    run_node,
    serving,
)
from tests.support.toy import toy_app

SECONDS = 40
RUNS = "subscription { runs(first: 5) { kind cursor removed runs { name phase } } }"
ROOT = '{project: "p", domain: "d", runName: "live", name: "a0"}'
CREATE = f"mutation {{ createAction(input: {{id: {ROOT}}}) {{ created }} }}"
UPDATE = f"mutation {{ updateActionPhase(input: {{id: {ROOT}, phase: RUNNING, attempts: 1}}) {{ applied }} }}"


class Lines:
    """The output of a client, line by line; each line has to arrive within SECONDS."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def next(self) -> Any:
        line = await asyncio.wait_for(self._reader.readline(), SECONDS)
        assert line, "the client ended"
        return json.loads(line)

    async def frame(self) -> tuple[str, list[dict[str, Any]]]:
        """The kind and the runs of the next result."""
        line = await self.next()
        frame = line.get("result", line)["data"]["runs"]
        assert frame["cursor"]
        return frame["kind"], frame["runs"]

    async def change(self, phase: str) -> None:
        """Waits until the run is in this phase."""
        while await self.frame() != ("CHANGE", [{"name": "live", "phase": phase}]):
            pass


@asynccontextmanager
async def client(script: str, *arguments: str) -> AsyncIterator[Lines]:
    """A script of tests/npm that runs until it is stopped."""
    process = await asyncio.create_subprocess_exec(
        "node", script, *arguments, cwd=NODE_FOLDER, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield Lines(process.stdout)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def serve(folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`rungraph serve`, once it is ready. It has to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("rungraph")),
        "serve",
        cwd=folder,
        env={**os.environ, "RUNGRAPH_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            while not await is_ready(port):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)
        yield process
        process.send_signal(signal.SIGTERM)
        _, complaints = await asyncio.wait_for(process.communicate(), 10)
        assert complaints == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def is_ready(port: int) -> bool:
    async with httpx2.AsyncClient() as asking:
        try:
            return (await asking.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        except httpx2.TransportError:
            return False


async def execute(url: str, query: str) -> None:
    async with httpx2.AsyncClient(timeout=SECONDS) as asking:
        body = (await asking.post(url, json={"query": query})).json()
    assert "errors" not in body, body


@pytest.fixture(scope="module")
def toy_url() -> Iterator[str]:
    with serving(toy_app()) as address:
        yield f"{address}/graphql"


def test_the_graphql_ws_client_has_several_operations_on_one_socket(toy_url: str) -> None:
    queries = ["subscription { count(to: 2) }", "{ nothing }", "mutation { touch }", "{", "{ slow }"]
    lines = [json.loads(line) for line in run_node("subscribe.js", toy_url, *queries).splitlines()]
    of: list[list[dict[str, Any]]] = [
        [line for line in lines if line.get("operation") == number] for number in range(len(queries))
    ]
    assert [line["result"]["data"] for line in of[0][:-1]] == [{"count": 1}, {"count": 2}]
    assert of[2][0]["result"] == {"data": {"touch": True}}
    assert of[4][0]["result"] == {"data": {"slow": "at last"}}
    assert all(of[number][-1]["complete"] for number in (0, 2, 4))
    assert [of[number][0]["errors"][0]["extensions"]["code"] for number in (1, 3)] == [
        "GRAPHQL_VALIDATION_FAILED",
        "GRAPHQL_PARSE_FAILED",
    ]
    assert [line for line in lines if "operation" not in line] == [{"connected": True}, {"closed": 1000}]


async def test_both_clients_receive_the_changes_of_a_run(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}")
    await migrate(settings.database_url)
    with serving(create_app(settings)) as address:
        url = f"{address}/graphql"
        async with client("subscribe.js", url, RUNS) as by_ws, client("events.js", url, RUNS) as by_sse:
            assert await by_ws.next() == {"connected": True}
            for lines in (by_ws, by_sse):
                assert await lines.frame() == ("SYNCED", [])
            await execute(url, CREATE)
            for lines in (by_ws, by_sse):
                await lines.change("QUEUED")
            await execute(url, UPDATE)
            for lines in (by_ws, by_sse):
                await lines.change("RUNNING")


async def test_both_clients_authenticate_and_are_notified_of_revocation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}", auth="token")
    await migrate(settings.database_url)
    identity = Identity(IdentityKind.APPLICATION, "ci")
    async with open_repository(settings.database_url) as repository:
        token, secret = await repository.credentials.create(
            CredentialKind.TOKEN, "CI", identity, Access(frozenset({Grant(Role.VIEWER)}))
        )
        monkeypatch.setenv("RUNGRAPH_TOKEN", secret)
        with serving(create_app(settings)) as address:
            url = f"{address}/graphql"
            async with client("subscribe.js", url, RUNS) as by_ws, client("events.js", url, RUNS) as by_sse:
                assert await by_ws.next() == {"connected": True}
                for lines in (by_ws, by_sse):
                    assert await lines.frame() == ("SYNCED", [])
                await repository.credentials.revoke(token.id)
                assert await by_ws.next() == {"closed": 4403}
                (error,) = (await by_sse.next())["errors"]
                assert error["extensions"]["code"] == "UNAUTHENTICATED"
                # It reconnects, and is refused at once.
                assert await by_ws.next() == {"closed": 4403}


async def test_the_example_in_graphiql_shows_changes(tmp_path: Path) -> None:
    chromium = find_chromium()
    assert chromium, "Chromium is not installed: run `python tests/prepare.py`"
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}")
    await migrate(settings.database_url)
    with serving(create_app(settings)) as address:
        create = CREATE.replace('"p"', '"demo"')
        seen = json.loads(run_node("watch.js", f"{address}/graphql", chromium, create))
    assert seen["complaints"] == []
    synced, change = (result["data"]["runs"] for result in seen["results"])
    assert (synced["kind"], synced["runs"]) == ("SYNCED", [])
    [run] = change["runs"]
    assert (change["kind"], run["name"], run["phaseCounts"]) == (
        "CHANGE",
        "live",
        [{"phase": "QUEUED", "count": 1}],
    )


async def test_the_graphql_ws_client_reconnects_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    async with AsyncExitStack() as first:
        await first.enter_async_context(serve(tmp_path, port))
        async with client("subscribe.js", url, RUNS) as lines:
            assert await lines.next() == {"connected": True}
            assert await lines.frame() == ("SYNCED", [])
            await execute(url, CREATE)
            await lines.change("QUEUED")
            await first.aclose()
            assert await lines.next() == {"closed": 1012}
            async with serve(tmp_path, port):
                while (line := await lines.next()) != {"connected": True}:
                    assert line == {"closed": 1006}
                assert await lines.frame() == ("SNAPSHOT", [{"name": "live", "phase": "QUEUED"}])
                assert await lines.frame() == ("SYNCED", [])
                await execute(url, UPDATE)
                await lines.change("RUNNING")
