"""Serves an application on a real port, and runs Node clients."""

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import ASGIApp

from graph.transport.server import Server
from tests import ROOT

NODE_FOLDER = ROOT / "tests" / "npm"
_SECONDS = 15


@contextmanager
def serving(app: ASGIApp, port: int = 0, **options: Any) -> Iterator[str]:
    """Serves an application by uvicorn in a thread; yields its URL, such as http://127.0.0.1:41234.
    `options` are those of Server."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        port = listening.getsockname()[1]
        server = Server(app, "127.0.0.1", port, **options)
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),), daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(_SECONDS)
            assert not thread.is_alive(), "the server did not stop"


def _wait_until_started(server: Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _SECONDS
    while not server.started:
        assert thread.is_alive(), "the server ended at its start"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)


def run_node(script: str, *arguments: str, seconds: float = 60) -> str:
    """Runs a script of tests/npm and returns its output."""
    done = subprocess.run(
        ["node", script, *arguments], cwd=NODE_FOLDER, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
