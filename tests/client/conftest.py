"""Scripts as processes of their own, tracked by the client, and a server that they report to."""

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rungraph import Client

from graph.app import create_app
from graph.settings import Settings
from tests import ROOT
from tests.client.both import Both, Writer
from tests.support.databases import Databases
from tests.support.ports import free_port
from tests.support.server_process import ServerProcess, server_process
from tests.support.serving import serving
from tests.support.waiting import until

SECONDS = 60
CLIENT = ROOT / "client"
PYTHON = os.environ.get("RUNGRAPH_TEST_CLIENT_PYTHON", sys.executable)
"""Runs the scripts: an older Python than that of the server, if it is named."""

_RUNS = """query ($project: String!) {
 runs(filter: {project: $project}, first: 5) { nodes {
  name phase functionName labels { key value } createdAt startedAt endedAt abort { state reason }
  error { code summary message }
  actions(first: 200) { nodes {
    name parentName phase attempts functionName isPlaceholder createdAt startedAt endedAt
    abort { state } error { code summary message } progress { done total message } metrics { name last unit }
    artifacts(last: 5) { kind name size text json attempt }
    attemptHistory(last: 5) {
      attempt phase startedAt endedAt error { code summary } logSummary { lineCount } } } } } } }"""
_LINES = """query ($action: ActionIdentifierInput!, $attempt: Int!) {
  logLines(action: $action, attempt: $attempt, first: 1000) {
    lines { stream level text } omitted { first } } }"""


class Actions(list[dict[str, Any]]):
    """The actions of a run."""

    def named(self, name: str) -> dict[str, Any]:
        (found,) = (each for each in self if each["name"] == name)
        return found

    def tree(self) -> list[tuple[str, str, int]]:
        """The function, its parent's function and the attempts of each, sorted: without names of actions."""
        functions = {each["name"]: (each["functionName"] or "").rpartition(".")[2] for each in self}
        return sorted(
            (functions[each["name"]], functions.get(each["parentName"], ""), each["attempts"])
            for each in self
        )


@dataclass
class Finished:
    """The result of a script."""

    code: int
    stdout: str
    stderr: str
    seconds: float


class Workspace:
    """A folder with scripts, and the environment in which they run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        self.project = "scripts"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RUNGRAPH_")},
            "PYTHONPATH": str(CLIENT),
            "RUNGRAPH_PROJECT": self.project,
            "RUNGRAPH_SPOOL": str(self.spool),
            "RUNGRAPH_URL": f"http://127.0.0.1:{free_port()}",
            "HOME": str(folder),
        }

    def write(self, source: str, name: str = "script.py") -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(source))
        return path

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(PYTHON, *arguments),
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def finish(self, process: asyncio.subprocess.Process) -> Finished:
        began = asyncio.get_running_loop().time()
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        code = process.returncode
        assert code is not None
        seconds = asyncio.get_running_loop().time() - began
        return Finished(code, stdout.decode(), stderr.decode(), seconds)

    async def run(self, *arguments: str, **environment: str) -> Finished:
        return await self.finish(await self.start(*arguments, **environment))

    async def run_source(self, source: str, **environment: str) -> Finished:
        """Runs a script; it must succeed without output to stderr."""
        done = await self.run(str(self.write(source)), **environment)
        assert (done.code, done.stderr) == (0, ""), done
        return done

    async def push(self) -> None:
        """Sends what a script kept on the disk because the machine was too slow at its end."""
        if self.spooled():
            assert (await self.run("-m", "rungraph", "push")).code == 0

    def spooled(self) -> list[Path]:
        return sorted(self.spool.rglob("*.spool"))


class Reader:
    """Reads what the scripts reported."""

    def __init__(self, server: ServerProcess, workspace: Workspace) -> None:
        self.server, self.workspace, self.project = server, workspace, workspace.project

    async def ask(self, query: str, **variables: Any) -> Any:
        answer = (await self.server.ask(query, variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def runs(self) -> list[dict[str, Any]]:
        data = await self.ask(_RUNS, project=self.project)
        for run in data["runs"]["nodes"]:
            run["actions"] = Actions(run["actions"]["nodes"])
        nodes: list[dict[str, Any]] = data["runs"]["nodes"]
        return nodes

    async def run(self) -> dict[str, Any]:
        """The only run, after its script has ended."""
        await self.workspace.push()
        (run,) = await self.runs()
        return run

    async def until(self, condition: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        """Waits until the runs fulfil the condition."""
        runs: list[dict[str, Any]] = []

        async def holds() -> bool:
            runs[:] = await self.runs()
            return bool(condition(runs))

        await until(holds)
        return runs

    async def lines(self, run: str, action: str, attempt: int = 1) -> list[tuple[str, str | None, str]]:
        identifier = {"project": self.project, "domain": "development", "runName": run, "name": action}
        page = (await self.ask(_LINES, action=identifier, attempt=attempt))["logLines"]
        assert page["omitted"] == []
        return [(each["stream"], each["level"], each["text"]) for each in page["lines"]]

    async def abort(self, run: str, reason: str) -> None:
        identifier = {"project": self.project, "domain": "development", "name": run}
        mutation = "mutation ($input: AbortRunInput!) { abortRun(input: $input) { requested } }"
        data = await self.ask(mutation, input={"id": identifier, "reason": reason})
        assert data["abortRun"]["requested"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


ServerStarter = Callable[[], AbstractAsyncContextManager[ServerProcess]]


@pytest.fixture
def start_server(
    sqlite_databases: Databases, migrated_sqlite_url: str, workspace: Workspace
) -> ServerStarter:
    """Starts the server to which the scripts of the workspace report: always the same port and database."""
    url = sqlite_databases.copy(migrated_sqlite_url)
    port = int(workspace.environment["RUNGRAPH_URL"].rpartition(":")[2])

    def start() -> AbstractAsyncContextManager[ServerProcess]:
        return server_process({"RUNGRAPH_DATABASE_URL": url}, port=port)

    return start


@pytest.fixture
async def reader(start_server: ServerStarter, workspace: Workspace) -> AsyncIterator[Reader]:
    """A server, and what it stores of the workspace's scripts."""
    async with start_server() as server:
        yield Reader(server, workspace)


@pytest.fixture(scope="module")
def url(sqlite_databases: Databases, migrated_sqlite_url: str) -> Iterator[str]:
    settings = Settings(database_url=sqlite_databases.copy(migrated_sqlite_url))
    with serving(create_app(settings)) as address:
        yield address


@pytest.fixture
def project() -> str:
    """Another one for each test: tests of a module share the server."""
    return f"reading-{time.monotonic_ns()}"


@pytest.fixture(params=[Client, Both])
def client(request: pytest.FixtureRequest, url: str, project: str) -> Iterator[Any]:
    """Each of both clients."""
    opened = request.param(url, project=project)
    yield opened
    opened.close()


@pytest.fixture
def writer(url: str, project: str) -> Writer:
    return Writer(url, project, "nightly")
