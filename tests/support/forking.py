"""Starts `rungraph`, and replicas with faults, by forking a process that has imported their modules: at a
fraction of the CPU time of a new interpreter. Otherwise the processes are like any other, with their own
environment, folder and output. What needs a new interpreter (LD_PRELOAD, a wrapping command) is started
as one.

As a program, this module is the process that is forked. Each process of tests has one, which ends with it.
"""

import asyncio
import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import ROOT

RUNGRAPH = "graph.cli.main"
REPLICA = "tests.faults.replica"
IMPORTED = (
    *(RUNGRAPH, REPLICA, "graph.app", "graph.cli.demo", "graph.cli.doctor", "graph.cli.prune"),
    *("graph.cli.remote.watch", "graph.cli.remote.details", "graph.cli.remote.events"),
    *("graph.cli.remote.logs", "graph.cli.remote.aborts", "graph.cli.workers"),
    *("alembic.command", "alembic.config", "anyio._backends._asyncio", "httpcore2", "redis.asyncio"),
)
"""Imported before the forks; programs may import others."""
SECONDS = 60
_NUMBER = 4
"""The size of a number in the messages between the two processes, in bytes."""
_sending = threading.Lock()


class Process:
    """A running program."""

    def __init__(
        self,
        program: str,
        *arguments: str,
        environment: Mapping[str, str],
        folder: Path = ROOT,
        stdout: int | None = None,
        stderr: int | None = None,
        in_own_session: bool = False,
    ) -> None:
        """The output goes to these descriptors, or nowhere."""
        self._link, theirs = socket.socketpair()
        request = json.dumps([program, arguments, dict(environment), str(folder), in_own_session]).encode()
        with theirs, open(os.devnull, "r+b") as nowhere:
            streams = [nowhere.fileno() if each is None else each for each in (None, stdout, stderr)]
            with _sending:
                socket.send_fds(
                    _forked(), [len(request).to_bytes(_NUMBER, "big")], [theirs.fileno(), *streams]
                )
                _forked().sendall(request)
        self.pid = int.from_bytes(self._link.recv(_NUMBER, socket.MSG_WAITALL), "big")
        assert self.pid, "the process that is forked has ended"
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative after a signal, or None while it runs."""
        if self._code is None:
            with contextlib.suppress(BlockingIOError):
                received = self._link.recv(_NUMBER, socket.MSG_DONTWAIT)
                self._code = int.from_bytes(received, "big", signed=True)
                self._link.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError after its end."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            link = os.dup(self._link.fileno())
            loop.add_reader(link, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(link)
                os.close(link)
        assert self.returncode is not None
        return self.returncode

    def wait_in_thread(self, seconds: float | None = SECONDS) -> int:
        """`wait` without an event loop. Raises TimeoutError."""
        if self.returncode is None and not select.select([self._link], [], [], seconds)[0]:
            raise TimeoutError
        assert self.returncode is not None
        return self.returncode


async def start(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    folder: Path = ROOT,
    stdout: int | None = None,
    stderr: int | None = None,
    prefix: tuple[str, ...] = (),
) -> Process | asyncio.subprocess.Process:
    """A process of the program, forked unless it needs a new interpreter; `prefix` is a command that wraps
    it."""
    if not prefix and "LD_PRELOAD" not in environment:
        return Process(
            program, *arguments, environment=environment, folder=folder, stdout=stdout, stderr=stderr
        )
    return await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-c", f"from {program} import app; app()", *arguments),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if stdout is None else stdout,
        stderr=subprocess.DEVNULL if stderr is None else stderr,
    )


def run(
    *arguments: str, environment: Mapping[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """`rungraph` with these arguments, run to its end."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        process = Process(
            RUNGRAPH,
            *arguments,
            environment=environment,
            folder=folder,
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
        )
        try:
            code = process.wait_in_thread()
        except TimeoutError:
            process.kill()
            raise
        for each in (stdout, stderr):
            each.seek(0)
        return subprocess.CompletedProcess(["rungraph", *arguments], code, stdout.read(), stderr.read())


@cache
def _forked() -> socket.socket:
    """A socket to the process that is forked."""
    mine, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        mine.close()
        process.wait()

    atexit.register(end)
    return mine


def _serve(requests: socket.socket) -> Any:
    """Forks for each request. Returns it in the forked process alone."""
    ended, wake = socket.socketpair()
    ended.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    links: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            ended.recv(4096)
            _report_ended(links)
        if requests in ready:
            length, descriptors, *_ = socket.recv_fds(requests, _NUMBER, 4)
            if not length:
                for pid in links:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            link, *streams = descriptors
            request = requests.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                for each in (requests, ended, wake, *links.values()):
                    each.detach()
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                return json.loads(request)
            for stream in streams:
                os.close(stream)
            links[pid] = socket.socket(fileno=link)
            links[pid].sendall(pid.to_bytes(_NUMBER, "big"))


def _report_ended(links: dict[int, socket.socket]) -> None:
    while links:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with links.pop(pid) as link, contextlib.suppress(BrokenPipeError):
            link.sendall(os.waitstatus_to_exitcode(status).to_bytes(_NUMBER, "big", signed=True))


def _run(program: str, arguments: list[str], environment: dict[str, str], folder: str, own: bool) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if own:
        os.setsid()
    # As a new interpreter would: those of the process that was forked are for other kinds of files.
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = ["rungraph", *arguments]
    sys.modules["__main__"].__package__ = None  # or usage messages would name it
    import_module(program).app()


if __name__ == "__main__":
    for name in IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()
    _run(*_serve(socket.socket(fileno=int(sys.argv[1]))))
