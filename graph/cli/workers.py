"""Owns several server processes at one address: they are started, replaced when they die, and stopped.

Each is a replica like any other. Its standard input is a socket to the process that started it: over it
come its orders, and when it closes, that process is gone.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from graph.app import create_server
from graph.observability.logs import configure_logs
from graph.observability.metrics import forget_worker, share_metrics
from graph.settings import Settings
from graph.transport.server import Server, more_stop_signals
from repo import Supervisor

logger = structlog.get_logger("rungraph.workers")

_STOP = 9.5
"""Seconds after which a worker that is told to stop is killed; it wants to be gone after 9."""

_PAUSES = (0.1, 10.0)
"""Seconds before a dead worker is replaced: at first, and at most, when its successors die as well."""

_HEALTHY = 30.0
"""Seconds that a worker has to live for its death to be the first again."""

_MEMORY = Path("/dev/shm")


def serve_with_workers(settings: Settings, listening: list[socket.socket]) -> int:
    """Serve with as many processes as the settings say until a signal comes. Returns the exit code."""
    # It is written to again and again, and a server may be allowed to write nowhere else.
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rungraph-", dir=place, ignore_cleanup_errors=True) as folder:
        return asyncio.run(_Workers(settings, listening, Path(folder)).run())


class _Workers:
    """The workers, as seen by the process that started them."""

    def __init__(self, settings: Settings, listening: list[socket.socket], folder: Path) -> None:
        self._settings = settings
        self._listening = listening
        self._folder = folder
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._one_was_ready = False
        self._failed = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, *more_stop_signals()):
            loop.add_signal_handler(number, self._stop)
        killing = asyncio.create_task(self._kill_who_is_late())
        supervisor = Supervisor()
        numbers = range(1, self._settings.workers + 1)
        await asyncio.gather(
            *(supervisor.start(f"worker {number}", partial(self._keep, number)) for number in numbers)
        )
        killing.cancel()
        return 1 if self._failed else 0

    def _stop(self) -> None:
        """Tell all workers to stop; the second time, to wait no longer for it."""
        again = self._stopping.is_set()
        self._stopping.set()
        if again:
            self._hurrying.set()
        # As long as one process has them open, connections are taken that nobody accepts.
        for one in self._listening:
            one.close()
        for process in self._processes.values():
            _send(process, signal.SIGINT if again else signal.SIGTERM)

    async def _kill_who_is_late(self) -> None:
        await self._stopping.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurrying.wait(), self._settings.stop_delay)
        await asyncio.sleep(_STOP)
        for worker, process in self._processes.items():
            logger.warning("worker is killed, for it did not stop", worker=worker, pid=process.pid)
            _send(process, signal.SIGKILL)

    async def _keep(self, worker: int) -> None:
        """See to it that there is a worker of this number, until all are to stop."""
        pause = _PAUSES[0]
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                ended = await self._run_one(worker)
            except Exception as error:  # whatever it is, the other workers must not end for it
                ended = f"could not be started: {type(error).__name__}: {error}"
            if self._stopping.is_set():
                return
            if not self._one_was_ready:
                logger.error("stopped, for workers cannot start", worker=worker, reason=ended)
                self._failed = True
                self._stop()
                return
            if time.monotonic() - began > _HEALTHY:
                pause = _PAUSES[0]
            logger.warning("worker ended", worker=worker, reason=ended, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, _PAUSES[1])

    async def _run_one(self, worker: int) -> str:
        """Start a worker and wait for its end. Returns how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                # Not from the folder that it is started in, where anything may lie.
                *(sys.executable, "-P", "-m", "graph.cli.workers"),
                stdin=theirs.fileno(),
                pass_fds=[one.fileno() for one in self._listening],
                # Ctrl-C is for this process, which tells the workers what it means.
                start_new_session=True,
            )
        self._processes[worker] = process
        try:
            if self._stopping.is_set():
                _send(process, signal.SIGTERM)
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                orders = {
                    "worker": worker,
                    "settings": self._settings.for_worker(),
                    "listening": [one.fileno() for one in self._listening],
                    "metrics": str(self._folder),
                }
                writer.write(json.dumps(orders).encode() + b"\n")
                with contextlib.suppress(OSError):
                    if await reader.readline():
                        self._one_was_ready = True
                        logger.info("worker started", worker=worker, pid=process.pid)
                code = await process.wait()
            finally:
                writer.close()
        finally:
            del self._processes[worker]
        forget_worker(self._folder, worker)
        return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Not by the process's own method: it would take the exit code away from asyncio, if it has just ended.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def work() -> None:
    """Be a worker, as ordered over standard input."""
    parent = socket.socket(fileno=os.dup(0))
    with parent.makefile("r") as lines:
        line = lines.readline()
    if not line:
        return
    orders: dict[str, Any] = json.loads(line)
    worker = orders["worker"]
    settings = Settings(**orders["settings"])
    folder = Path(orders["metrics"])
    configure_logs(settings.log_level, settings.log_format, worker=worker)
    share_metrics(folder, worker)

    def ready() -> None:
        with contextlib.suppress(OSError):
            parent.sendall(b"ready\n")

    server = create_server(settings, on_start=ready)
    threading.Thread(target=_follow, args=(parent, server, folder), daemon=True).start()
    server.run([socket.socket(fileno=number) for number in orders["listening"]])


def _follow(parent: socket.socket, server: Server, folder: Path) -> None:
    """Stop when the process that started this one is gone: nobody would ever stop it, or replace it."""
    with contextlib.suppress(OSError):
        parent.recv(1)
    logger.warning("stops, for the process that started it is gone")
    server.stop_delay = 0
    server.should_exit = True
    shutil.rmtree(folder, ignore_errors=True)
    # A thread of its own, since the event loop may hang.
    time.sleep(_STOP)
    os._exit(1)


if __name__ == "__main__":
    work()
