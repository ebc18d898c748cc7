"""Commands of the command line that call a server, as processes, and the server that they call."""

import json
import os
import queue
import re
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from repo import Role, open_repository
from tests.support import forking
from tests.support.credentials import token
from tests.support.databases import wait_for
from tests.support.ports import free_port

SECONDS = 40


class Lines:
    """The lines that a process writes; waits for each."""

    def __init__(self, stream: Any) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self._reading = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reading.start()

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                self._lines.put(line.rstrip("\n"))

    def next(self) -> str:
        return self._lines.get(timeout=SECONDS)

    def rest(self) -> list[str]:
        self._reading.join(SECONDS)
        return list(self._lines.queue)


class Command:
    """A running command."""

    def __init__(self, environment: dict[str, str], folder: Path, *arguments: str) -> None:
        readers, writers = zip(os.pipe(), os.pipe(), strict=True)
        self.process = forking.Process(
            *(forking.RUNGRAPH, *arguments),
            environment=environment,
            folder=folder,
            stdout=writers[0],
            stderr=writers[1],
        )
        for each in writers:
            os.close(each)
        self.printed, self.noted = (Lines(os.fdopen(each, encoding="utf-8")) for each in readers)

    def wait(self) -> int:
        return self.process.wait_in_thread(SECONDS)


class Remote:
    """A server process with authentication, always on the same port and database, and commands for it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._port = free_port()
        self.folder = folder
        self.address = f"http://127.0.0.1:{self._port}"
        self._clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("RUNGRAPH_") and name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
        }
        self._server: forking.Process | None = None
        self._settings = {"RUNGRAPH_DATABASE_URL": database_url, "RUNGRAPH_AUTH": "token"}
        self.admin, self.viewer = wait_for(_tokens(database_url))
        self.environment = {
            **self._clean,
            "HOME": str(folder),
            "TERM": "xterm",
            "TZ": "UTC",
            "RUNGRAPH_URL": self.address,
            "RUNGRAPH_TOKEN": self.admin,
        }

    def start(self) -> None:
        self._server = forking.Process(
            *(forking.RUNGRAPH, "serve", "--port", str(self._port)),
            environment={**self._clean, **self._settings},
        )
        until(self._answers, "the server did not start")

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.address}/readyz", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait_in_thread(SECONDS)
            self._server = None

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a response without errors."""
        headers = {"Authorization": f"Bearer {self.admin}"}
        body = {"query": query, "variables": variables}
        answer = httpx2.post(f"{self.address}/graphql", json=body, headers=headers, timeout=SECONDS).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command, run to its end."""
        return forking.run(*arguments, folder=self.folder, environment={**self.environment, **environment})

    def output(self, *arguments: str, **environment: str) -> str:
        """What a command prints that succeeds without notes."""
        done = self.run(*arguments, **environment)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def read(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects that a command prints with `--json`."""
        return [json.loads(line) for line in self.output(*arguments, "--json").splitlines()]

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[Command]:
        command = Command({**self.environment, **environment}, self.folder, *arguments)
        try:
            yield command
        finally:
            if command.process.returncode is None:
                command.process.kill()

    def on_terminal(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """The exit code of a command, and what it writes to a terminal."""
        outer, inner = os.openpty()
        with tempfile.TemporaryFile() as notes:
            process = forking.Process(
                *(forking.RUNGRAPH, *arguments),
                environment={**self.environment, **environment},
                folder=self.folder,
                stdout=inner,
                stderr=notes.fileno(),
            )
            os.close(inner)
            text = read_until(outer, lambda text: False, strip=False)
            os.close(outer)
            return process.wait_in_thread(SECONDS), text.replace("\r\n", "\n")


async def _tokens(database_url: str) -> tuple[str, str]:
    async with open_repository(database_url) as repository:
        _, admin = await token(repository, "admin-1")
        _, viewer = await token(repository, "viewer-1", role=Role.VIEWER)
    return admin, viewer


def until(done: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)


def read_until(terminal: int, seen: Callable[[str], bool], strip: bool = True) -> str:
    """The output of a terminal, without colours, until a text appears or the program has ended."""
    output, deadline = b"", time.monotonic() + SECONDS
    while True:
        text = output.decode(errors="replace")
        if strip:
            text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        if seen(text):
            return text
        assert time.monotonic() < deadline, text
        if select.select([terminal], [], [], 1)[0]:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # so ends a terminal that no process holds any more
                return text
