"""Worker processes at one address: started, restarted when they die, and stopped. Each is a replica. A
worker's standard input is a socket to its parent, which sends the settings and closes when the parent
ends."""

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
from dataclasses import dataclass, field
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

_STOP_TIMEOUT = 9.5
"""Seconds after which a stopping worker is killed; it normally ends within 9."""

_BACKOFF = (0.1, 10.0)
"""Seconds before a dead worker is restarted: initially, and at most."""

_RESET_AFTER = 30.0
"""Seconds of life after which the backoff is reset."""

_SHARED_MEMORY = Path("/dev/shm")


def serve_with_workers(settings: Settings, listening: list[socket.socket]) -> int:
    """Serves with the configured number of workers until a signal. Returns the exit code."""
    # It is written to frequently, and other folders may be read-only.
    parent_folder = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="rungraph-", dir=parent_folder, ignore_cleanup_errors=True
    ) as folder:
        return asyncio.run(_Workers(settings, listening, Path(folder)).run())


@dataclass
class _Workers:
    """The workers, as the parent sees them."""

    settings: Settings
    listening: list[socket.socket]
    folder: Path
    """Of the metrics that workers share."""
    _processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _is_hurried: asyncio.Event = field(default_factory=asyncio.Event)
    _has_started: bool = False
    """Whether any worker has."""
    _failed: bool = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, *more_stop_signals()):
            loop.add_signal_handler(number, self._stop)
        killing = asyncio.create_task(self._kill_after_timeout())
        supervisor = Supervisor()
        numbers = range(1, self.settings.workers + 1)
        await asyncio.gather(
            *(supervisor.start(f"worker {number}", partial(self._keep_running, number)) for number in numbers)
        )
        killing.cancel()
        return 1 if self._failed else 0

    def _stop(self) -> None:
        """Stops all workers; the second call kills them."""
        is_repeated = self._stopping.is_set()
        self._stopping.set()
        if is_repeated:
            self._is_hurried.set()
        # While any process has the socket open, the kernel accepts connections that no process serves.
        for each in self.listening:
            each.close()
        for process in self._processes.values():
            _send(process, signal.SIGINT if is_repeated else signal.SIGTERM)

    async def _kill_after_timeout(self) -> None:
        await self._stopping.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_hurried.wait(), self.settings.stop_delay)
        await asyncio.sleep(_STOP_TIMEOUT)
        for worker, process in self._processes.items():
            logger.warning("worker did not stop and is killed", worker=worker, pid=process.pid)
            _send(process, signal.SIGKILL)

    async def _keep_running(self, worker: int) -> None:
        """Keeps a worker of this number running until the stop."""
        pause = _BACKOFF[0]
        while not self._stopping.is_set():
            started_at = time.monotonic()
            try:
                ended = await self._run_one(worker)
            except Exception as error:  # whatever it is, the other workers must not end for it
                ended = f"could not be started: {type(error).__name__}: {error}"
            if self._stopping.is_set():
                return
            if not self._has_started:
                logger.error("stopped, since workers cannot start", worker=worker, reason=ended)
                self._failed = True
                self._stop()
                return
            if time.monotonic() - started_at > _RESET_AFTER:
                pause = _BACKOFF[0]
            logger.warning("worker ended", worker=worker, reason=ended, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, _BACKOFF[1])

    async def _run_one(self, worker: int) -> str:
        """Starts a worker and waits for its end. Returns its exit status."""
        own_end, worker_end = socket.socketpair()
        with worker_end:
            process = await asyncio.create_subprocess_exec(
                # Not from the current folder, which may contain anything.
                *(sys.executable, "-P", "-m", "graph.cli.workers"),
                stdin=worker_end.fileno(),
                pass_fds=[each.fileno() for each in self.listening],
                # Ctrl-C reaches only this process, which forwards it.
                start_new_session=True,
            )
        self._processes[worker] = process
        try:
            if self._stopping.is_set():
                _send(process, signal.SIGTERM)
            reader, writer = await asyncio.open_connection(sock=own_end)
            try:
                startup = {
                    "worker": worker,
                    "settings": self.settings.for_worker(),
                    "listening": [each.fileno() for each in self.listening],
                    "metrics": str(self.folder),
                }
                writer.write(json.dumps(startup).encode() + b"\n")
                with contextlib.suppress(OSError):
                    if await reader.readline():
                        self._has_started = True
                        logger.info("worker started", worker=worker, pid=process.pid)
                code = await process.wait()
            finally:
                writer.close()
        finally:
            del self._processes[worker]
        forget_worker(self.folder, worker)
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
    startup: dict[str, Any] = json.loads(line)
    worker = startup["worker"]
    settings = Settings(**startup["settings"])
    folder = Path(startup["metrics"])
    configure_logs(settings.log_level, settings.log_format, worker=worker)
    share_metrics(folder, worker)

    def ready() -> None:
        with contextlib.suppress(OSError):
            parent.sendall(b"ready\n")

    server = create_server(settings, on_start=ready)
    threading.Thread(target=_stop_with_parent, args=(parent, server, folder), daemon=True).start()
    server.run([socket.socket(fileno=number) for number in startup["listening"]])


def _stop_with_parent(parent: socket.socket, server: Server, folder: Path) -> None:
    """Stops the worker when its parent process has ended."""
    with contextlib.suppress(OSError):
        parent.recv(1)
    logger.warning("stopping, since the parent process has ended")
    server.stop_delay = 0
    server.should_exit = True
    shutil.rmtree(folder, ignore_errors=True)
    # In a thread, since the event loop may hang.
    time.sleep(_STOP_TIMEOUT)
    os._exit(1)


if __name__ == "__main__":
    work()
