"""Owns the real Redis server that the tests start for themselves, and stop however they end."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from tests.support.serving import free_port

_SECONDS = 20

# The server lives as long as this shell's input is open, so that nothing is left when the tests are killed.
_KEEPER = '"$@" & server=$!; read -r _; kill -KILL $server; wait $server'


def find_redis() -> str | None:
    """Where redis-server is on this machine, or None."""
    return shutil.which("redis-server")


class RedisServer:
    """A server of our own on a free port, which stores nothing."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = find_redis()
        assert binary is not None, "redis-server is not installed: run `python tests/prepare.py`"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder, "--save", ""]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "redis-keeper", binary, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
            start_new_session=True,
        )
        deadline = time.monotonic() + _SECONDS
        while not self._answers():
            assert self._keeper.poll() is None, "redis-server ended at its start"
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as link:
                return bool(link.ping())
        except RedisError:
            return False

    def stop(self) -> None:
        """Stop it at once, as in a crash."""
        if self._keeper is not None:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            self._keeper.wait(_SECONDS)
            self._keeper = None

    def cut_clients_off(self) -> None:
        """Close the connections of all clients."""
        with Redis.from_url(self.url) as link:
            link.client_kill_filter(_type="normal", skipme=True)
            link.client_kill_filter(_type="pubsub")


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A new, empty server."""
    with tempfile.TemporaryDirectory(prefix="rungraph-redis-") as folder:
        server = RedisServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
