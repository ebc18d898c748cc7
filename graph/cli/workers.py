"""Worker processes at one address: started, restarted when they die, and stopped. Each is a replica. A
worker's standard input is a socket to its parent, which carries its settings and closes when the parent
is gone."""

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
"""Seconds after which a stopping worker is killed; it normally ends within 9."""

_PAUSES = (0.1, 10.0)
"""Seconds before a dead worker is restarted: initially, and at most."""

_HEALTHY = 30.0
"""Seconds of life after which the backoff is reset."""

_MEMORY = Path("/dev/shm")


def serve_with_workers(settings: Settings, listening: list[socket.socket]) -> int:
    """Serves with the configured number of workers until a signal. Returns the exit code."""
    # It is written to frequently, and the server may not be allowed to write elsewhere.
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rungraph-", dir=place, ignore_cleanup_errors=True) as folder:
        return asyncio.run(_Workers(settings, listening, Path(folder)).run())


class _Workers:
    """The workers, as the parent sees them."""

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
        """Stops all workers; the second call kills them."""
        again = self._stopping.is_set()
        self._stopping.set()
        if again:
            self._hurrying.set()
        # While any process has the socket open, the kernel accepts connections that nobody serves.
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
        """Keeps a worker of this number running until the stop."""
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
        """Starts a worker and waits for its end. Returns its exit status."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                # Not from the current folder, which may contain anything.
                *(sys.executable, "-P", "-m", "graph.cli.workers"),
                stdin=theirs.fileno(),
                pass_fds=[one.fileno() for one in self._listening],
                # Ctrl-C reaches only this process, which forwards it.
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
    # Not by the process's own method, which would take the exit code away from asyncio.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def work() -> None:
    """Runs as a worker, with the settings from standard input."""
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
    """Stops when the parent is gone."""
    with contextlib.suppress(OSError):
        parent.recv(1)
    logger.warning("stops, for the process that started it is gone")
    server.stop_delay = 0
    server.should_exit = True
    shutil.rmtree(folder, ignore_errors=True)
    # In a thread, since the event loop may hang.
    time.sleep(_STOP)
    os._exit(1)


if __name__ == "__main__":
    work()
