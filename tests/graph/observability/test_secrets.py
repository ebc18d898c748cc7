"""No secrets and no input of clients are in the log or the metrics."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support import forking
from tests.support.ports import free_port
from tests.support.postgres import Postgres, running_postgres
from tests.support.sockets import opened

SECONDS = 60
RUNGRAPH = str(Path(sys.executable).with_name("rungraph"))


def canary(kind: str) -> str:
    """A recognizable text."""
    return f"canary{kind}{secrets.token_hex(8)}"


SERVERS = {name: canary(name) for name in ("database", "broadcast", "webhookurl", "webhook", "oidc")}
"""Secrets of the server."""
CLIENTS = {
    name: canary(name)
    for name in (
        "bearer",
        "cookie",
        "variable",
        "literal",
        "field",
        "comment",
        "operation",
        "label",
        "spec",
        "state",
        "reason",
        "body",
        "address",
        "header",
        "id",
    )
}
"""Input of a client."""

CREATE = """mutation Create($spec: JSON) {{ createAction(input: {{
  id: {{project: "p", domain: "d", runName: "r", name: "a"}}, spec: $spec,
  labels: [{{key: "team", value: "{label}"}}]}}) {{ created }} }}"""
STATE = """mutation { updateActionState(state: "%s",
  id: {project: "p", domain: "d", runName: "r", name: "a"}) { action { state } } }"""
ABORT = """mutation { abortRun(input: {reason: "%s",
  id: {project: "p", domain: "d", name: "r"}}) { requested } }"""
LAST_ERROR = '{ run(id: {project: "p", domain: "d", name: "r"}) { abort { attemptCount lastError } } }'
RUNS = "query Runs($search: String) { runs(filter: {search: $search}) { totalCount nodes { name } } }"


class Client:
    """A client that sends canaries, and records the responses."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.responses: list[str] = []
        self.token = token
        self._headers = {"Cookie": f"other={CLIENTS['cookie']}", "X-Request-ID": f"{CLIENTS['id']} {{}}"}

    async def ask(
        self, query: str, variables: dict[str, Any] | None = None, token: str | None = None, **more: Any
    ) -> str:
        """Sends a POST."""
        body = {"query": query, "variables": variables or {}, **more}
        return await self.send("POST", json=body, token=token)

    async def send(
        self, method: str, token: str | None = None, path: str = "/graphql", **options: Any
    ) -> str:
        """Sends any request."""
        headers = {
            **self._headers,
            "Authorization": f"Bearer {token or self.token}",
            **options.pop("headers", {}),
        }
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            response = await client.request(method, self.address + path, headers=headers, **options)
        self.responses.append(f"{response.headers} {response.text}")
        return response.text

    async def watch(self, token: str, query: str) -> None:
        """Over a websocket, until the first frame, the error, or the close frame."""
        url = f"{self.address}/graphql?token={CLIENTS['address']}"
        async with opened(url) as socket:
            await socket.send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
            with contextlib.suppress(ConnectionClosed):
                await socket.next()
                await socket.subscribe(CLIENTS["id"], query)
                self.responses.append(str(await socket.next()))


async def do_everything(client: Client, database: Postgres) -> None:
    """Requests of clients, and failures, of the database at last."""
    one = CLIENTS
    created = await client.ask(CREATE.format(label=one["label"]), {"spec": {"key": one["spec"]}})
    assert "true" in created
    await client.ask(RUNS, {"search": one["variable"]})
    await client.ask(
        f'{{ runs(filter: {{search: "{one["literal"]}"}}) {{ totalCount }} }} # {one["comment"]}'
    )
    await client.ask(f"{{ {one['field']} }}")
    await client.ask(RUNS, {"search": [one["variable"]]})
    await client.ask("query A { __typename }", operationName=f"{one['operation']} {{}}")
    await client.ask("{ __typename }", token=one["bearer"])
    await client.ask("{ __typename }", token=f"rgt_{one['bearer']}".ljust(47, "x")[:47])
    await client.send(
        "POST", content=f'{{"query": "{one["body"]}', headers={"Content-Type": "application/json"}
    )
    await client.send("POST", content=one["body"], headers={"Content-Type": one["header"]})
    await client.send("GET", params={"query": RUNS, "variables": f'{{"search": "{one["address"]}"}}'})
    await client.send("GET", params={"query": f"{{ {one['address']} }}"})
    await client.send("GET", path=f"/{one['address']}?a={one['address']}")
    await client.send("POST", json={"query": RUNS}, headers={"Accept": "text/event-stream"})
    for query in (
        "subscription { runs(first: 1) { kind } }",
        f"subscription {{ {one['field']} }}",
        one["body"],
    ):
        await client.watch(client.token, query)
    await client.watch(one["bearer"], "{ __typename }")

    await client.ask(ABORT % one["reason"])
    async with asyncio.timeout(SECONDS):
        while '"attemptCount":0' in await client.ask(LAST_ERROR):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.1)

    connection = await asyncpg.connect(database.url)
    # PostgreSQL's message repeats the whole row.
    await connection.execute("ALTER TABLE actions ADD CONSTRAINT quiet CHECK (state IS NULL)")
    await connection.close()
    assert "INTERNAL_SERVER_ERROR" in await client.ask(STATE % one["state"])
    await client.send("GET", path="/metrics")

    database.stop(immediately=True)
    assert "SERVICE_UNAVAILABLE" in await client.ask(RUNS, {"search": one["variable"]})
    await client.ask(STATE % one["state"])
    await client.send("GET", path="/readyz")
    await client.send("GET", path="/metrics")


def with_password(url: str, password: str) -> str:
    return url.replace("postgres@", f"postgres:{password}@")


async def run(environment: dict[str, str], *command: str) -> str:
    """The output of a command."""
    process = await asyncio.create_subprocess_exec(
        RUNGRAPH, *command, cwd=environment["HOME"], env=environment, stdout=subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0
    return printed.decode().strip()


@asynccontextmanager
async def running(environment: dict[str, str], *options: str) -> AsyncIterator[tuple[str, Path]]:
    """The address of a running server, and the file with its output."""
    port = free_port()
    log = Path(environment["HOME"]) / "log"
    with log.open("wb") as output:
        process = forking.Process(
            *(forking.RUNGRAPH, "serve", "--port", str(port), *options),
            folder=Path(environment["HOME"]),
            environment=environment,
            stdout=output.fileno(),
            stderr=output.fileno(),
        )
    try:
        async with asyncio.timeout(SECONDS), httpx2.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        break
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}", log
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("level", "how", "options"), [("debug", "json", ["--workers", "2"]), ("info", "text", [])]
)
async def test_the_log_has_no_secrets_and_no_client_input(
    tmp_path: Path, level: str, how: str, options: list[str]
) -> None:
    with running_postgres() as database:
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "RUNGRAPH_DATABASE_URL": with_password(database.url, SERVERS["database"]),
            "RUNGRAPH_BROADCAST_URL": with_password(database.url, SERVERS["broadcast"]),
            "RUNGRAPH_ABORT_WEBHOOK_URL": f"https://executor.invalid/?key={SERVERS['webhookurl']}",
            "RUNGRAPH_ABORT_WEBHOOK_SECRET": SERVERS["webhook"],
            "RUNGRAPH_OIDC_CLIENT_SECRET": SERVERS["oidc"],
            "RUNGRAPH_AUTH": "token",
            "RUNGRAPH_LOG_LEVEL": level,
            "RUNGRAPH_LOG_FORMAT": how,
            "RUNGRAPH_LOG_OPERATIONS": "all",
        }
        await run(environment, "migrate")
        token = await run(environment, "token", "create", "--name", "t", "--role", "admin")
        async with running(environment, *options) as (address, log):
            client = Client(address, token)
            await do_everything(client, database)
        output = log.read_text()

    for expected in ("unexpected error", "CheckViolation", "the database is not available", "not ready"):
        assert expected in output
    metrics = "".join(each for each in client.responses if "rungraph_operations_total" in each)
    assert "rungraph_errors_total" in metrics
    for secret in {**SERVERS, **CLIENTS, "token": token}.values():
        assert secret not in output
        assert secret not in metrics
    for secret in [*SERVERS.values(), token, CLIENTS["bearer"], CLIENTS["cookie"]]:
        assert secret not in "".join(client.responses)
