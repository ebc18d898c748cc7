"""`rungraph watch` as a process: it follows a run, whatever happens to the server."""

import asyncio
import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from graph.cli.remote.connection import Session
from graph.cli.remote.names import RunReference
from graph.cli.remote.watch import watch_run
from ingest import subscription
from ingest.client import ApiError, GraphQLClient, ServerUnavailable
from repo import migrate, open_repository
from repo.domain.identifiers import RunIdentifier
from tests.graph.cli.remote.test_watch_tree import frame, node
from tests.graph.cli.test_cli import RUNGRAPH
from tests.support import forking
from tests.support.commands import Lines, read_until, until
from tests.support.databases import wait_for
from tests.support.making import make_run
from tests.support.ports import free_port
from tests.support.serving import serving

SECONDS = 40
RUN = RunReference("etl", "production", "nightly/1")
NAME = "etl/production/nightly/1"


def next_event(data: object) -> bytes:
    return b"event: next\r\ndata: " + orjson.dumps(data) + b"\r\n\r\n"


def sent(*args: Any, **rest: Any) -> bytes:
    return next_event({"data": {"actions": frame(*args, **rest)}})


def refused(code: str) -> bytes:
    return next_event({"errors": [{"message": "no such luck", "extensions": {"code": code}}]})


COMPLETE = b"event: complete\r\ndata: \r\n\r\n"


class Script:
    """A server that answers each connection with the next part of a script, and records the requests."""

    def __init__(self, *answers: bytes | int) -> None:
        self._answers = list(answers)
        self.afters: list[str | None] = []
        self.app = Starlette(routes=[Route("/graphql", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        assert body["variables"]["run"] == {"project": "etl", "domain": "production", "name": "nightly/1"}
        self.afters.append(body["variables"]["after"])
        answer = self._answers.pop(0)
        if isinstance(answer, int):
            return PlainTextResponse("no", answer)

        async def parts() -> AsyncIterator[bytes]:
            # In small pieces, to show that it does not matter how the network cuts them.
            for at in range(0, len(answer), 100):
                yield answer[at : at + 100]

        return StreamingResponse(parts(), media_type="text/event-stream")


@pytest.fixture
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the pause before retries."""
    monkeypatch.setattr(subscription, "_FIRST_PAUSE_S", 0.01)


async def watch(
    script: Script, terminal: bool = False, wait: bool = True, as_json: bool = False
) -> tuple[int, str, str]:
    """The exit code, the output, and the notes."""
    printed, notes = io.StringIO(), io.StringIO()
    with serving(script.app) as url:
        console = Console(file=printed, force_terminal=terminal, width=100, height=20, color_system=None)
        async with GraphQLClient(url) as client:
            session = Session(client, console, Console(file=notes, width=200))
            code = await asyncio.wait_for(watch_run(session, RUN, wait, as_json), SECONDS)
    return code, printed.getvalue(), notes.getvalue()


async def test_the_watch_resumes_after_the_last_frame_whatever_interrupted_it(short_retries: None) -> None:
    script = Script(
        503,
        refused("INTERNAL_SERVER_ERROR"),
        b": ping\r\n\r\n"
        + sent("SNAPSHOT", node("root", phase="RUNNING"), cursor="c1")
        + b"event: next\r\nda",
        sent("SNAPSHOT", node("a"), cursor="c2") + sent("SYNCED", cursor="c3") + COMPLETE,
        sent("CHANGE", node("a", phase="FAILED", revision=2), cursor="c4"),
        502,
        sent("CHANGE", node("root", phase="SUCCEEDED", revision=3), cursor="c5") + COMPLETE,
    )
    code, printed, notes = await watch(script)
    assert script.afters == [None, None, None, "c1", "c3", "c4", "c4"]
    assert code == 0
    assert [line.split("  ")[1:3] for line in printed.splitlines()[1:-1]] == [
        ["a", "FAILED"],
        ["root", "SUCCEEDED"],
    ]
    assert printed.splitlines()[-1].endswith("2 of 2 ended (1 failed, 1 succeeded)")
    assert notes.splitlines()[0].startswith("No response from http://127.0.0.1:")
    assert "Connection lost, retrying … (the server ended the stream)" in notes


async def test_any_message_of_the_server_ends_the_connection_error(short_retries: None) -> None:
    script = Script(
        sent("SNAPSHOT", node("root", phase="RUNNING")) + sent("SYNCED", cursor="c1"),
        503,
        b": ping\r\n\r\n",
        sent("CHANGE", node("root", phase="SUCCEEDED", revision=2), cursor="c2") + COMPLETE,
    )
    code, _, notes = await watch(script)
    assert code == 0
    assert script.afters == [None, "c1", "c1", "c1"]
    # The second connection is lost too.
    assert notes.splitlines() == ["Connection lost, retrying … (the stream was cut off)"] * 2


async def test_json_is_each_action_and_then_each_change(short_retries: None) -> None:
    root, load = node("root", phase="RUNNING"), node("load", parent="root")
    ended = node("load", parent="root", phase="FAILED", revision=2)
    last = node("root", phase="FAILED", revision=3)
    script = Script(
        sent("SNAPSHOT", root, load, cursor="c1") + sent("SYNCED", cursor="c2"),
        sent("RESYNC", cursor="c3")
        + sent("SNAPSHOT", root, ended, cursor="c4")
        + sent("SYNCED", cursor="c5"),
        sent("CHANGE", last, cursor="c6") + COMPLETE,
    )
    code, printed, notes = await watch(script, terminal=True, as_json=True)
    assert code == 1
    assert [json.loads(line) for line in printed.splitlines()] == [root, load, ended, last]
    assert "Connection lost" in notes


async def test_after_a_resync_only_changes_are_printed(short_retries: None) -> None:
    root, failed = node("root", phase="RUNNING"), node("b", phase="FAILED", revision=4)
    script = Script(
        sent("SNAPSHOT", root, node("a"), failed) + sent("SYNCED", cursor="c1"),
        sent("RESYNC", cursor="c2")
        + sent("SNAPSHOT", root, node("a", phase="RUNNING", revision=2), failed)
        + sent("SYNCED")
        + sent("CHANGE", node("root", phase="FAILED", revision=9))
        + COMPLETE,
    )
    code, printed, _ = await watch(script)
    assert code == 1
    changes = [line.split("  ")[1:3] for line in printed.splitlines() if "  " in line]
    assert changes == [["b", "FAILED"], ["a", "RUNNING"], ["root", "FAILED"]]


async def test_on_a_terminal_the_last_state_of_the_tree_remains(short_retries: None) -> None:
    error = {"code": "OOM", "summary": "a line\u2028and another"}
    script = Script(
        sent("SNAPSHOT", node("root", phase="RUNNING"), node("a")) + sent("SYNCED"),
        sent("CHANGE", node("a", phase="FAILED", revision=2, error=error))
        + sent("CHANGE", node("root", phase="FAILED", revision=3))
        + COMPLETE,
    )
    code, printed, notes = await watch(script, terminal=True)
    assert (code, notes) == (1, "")
    *_, last = printed.split(NAME)
    assert "FAILED" in last
    assert "OOM: a line and another" in last
    assert "2 of 2 ended" in last


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused("BAD_USER_INPUT"), "no such luck"),
        (404, "is not a GraphQL server (status 404)"),
    ],
)
async def test_a_refusal_ends_the_watch_with_the_message_of_the_server(
    answer: bytes | int, words: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await watch(Script(answer))
    assert words in str(caught.value)


async def test_without_wait_a_server_that_is_unavailable_at_the_start_ends_the_watch() -> None:
    with pytest.raises(ServerUnavailable, match="no response from .* \\(status 503\\)"):
        await watch(Script(503), wait=False)


# The real server, as a process that can be killed.


async def prepare(url: str) -> None:
    await migrate(url)
    async with open_repository(url) as repository:
        await make_run(repository, RunIdentifier("etl", "production", "nightly/1"), a="a0", b="a0")


class Servers:
    """One server at a time, always on the same port and the same database."""

    def __init__(self, folder: Path) -> None:
        self._environment = {**os.environ, "RUNGRAPH_DATABASE_URL": f"sqlite:///{folder / 'watched.db'}"}
        self._port = free_port()
        self._process: forking.Process | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        wait_for(prepare(self._environment["RUNGRAPH_DATABASE_URL"]))

    def start(self) -> None:
        self._process = forking.Process(
            *(forking.RUNGRAPH, "serve", "--port", str(self._port)), environment=self._environment
        )
        until(self._answers, "the server did not start")

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait_in_thread(SECONDS)
            self._process = None

    def report(self, name: str, phase: str) -> None:
        action_id = {"project": "etl", "domain": "production", "runName": "nightly/1", "name": name}
        body = {
            "query": "mutation($i: UpdateActionPhaseInput!) { updateActionPhase(input: $i) { applied } }",
            "variables": {"i": {"id": action_id, "phase": phase, "attempts": 1}},
        }
        answer = httpx2.post(f"{self.url}/graphql", json=body, timeout=SECONDS).json()
        assert answer["data"]["updateActionPhase"]["applied"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path)
    try:
        yield servers
    finally:
        servers.kill()


@contextmanager
def watcher(name: str, url: str, **rest: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*RUNGRAPH, "watch", name, "--url", url], text=True, **rest) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_run_is_followed_across_a_crash_of_the_server(server: Servers) -> None:
    with watcher(NAME, server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        printed, noted = Lines(process.stdout), Lines(process.stderr)
        assert noted.next().startswith(f"No response from {server.url}/graphql, retrying")
        server.start()
        assert printed.next().startswith(f"{NAME}: QUEUED after ")
        server.report("a", "RUNNING")
        assert printed.next().endswith("  a  RUNNING  attempt 1")
        server.kill()
        assert noted.next().startswith("Connection lost, retrying")
        server.start()
        for name, phase in (("a", "SUCCEEDED"), ("b", "FAILED"), ("a0", "SUCCEEDED")):
            server.report(name, phase)
        assert process.wait(SECONDS) == 0
        *changes, last = printed.rest()
        named = {tuple(line.split("  ")[1:3]) for line in changes}
        assert named == {("a", "SUCCEEDED"), ("b", "FAILED"), ("a0", "SUCCEEDED")}
        assert len(changes) == 3
        assert last.endswith("3 of 3 ended (1 failed, 2 succeeded)")
        assert noted.rest() == []


def test_ctrl_c_ends_the_watch_silently_and_a_missing_run_with_one_line(server: Servers) -> None:
    server.start()
    with watcher(
        "etl/production/none", server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        printed, noted = process.communicate(timeout=SECONDS)
        assert (process.returncode, printed) == (2, "")
        assert noted == "rungraph: there is no run etl/production/none\n"
    outer, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with watcher(NAME, server.url, stdout=inner, stderr=inner, env=environment) as process:
        os.close(inner)
        seen = read_until(outer, lambda text: "○ a " in text)
        assert "0 of 3 ended" in seen
        server.report("a", "RUNNING")
        read_until(outer, lambda text: "● a " in text)
        process.send_signal(signal.SIGINT)
        rest = read_until(outer, lambda text: False)
        assert process.wait(SECONDS) == 130
    os.close(outer)
    assert "\x1b[?25h" in rest  # the cursor is back
    assert "Traceback" not in rest
    assert "Aborted" not in rest
