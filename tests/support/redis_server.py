"""A real Redis server, stopped even if the tests are killed."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from tests.support.ports import free_port

_SECONDS = 20

# The server lives until this shell's input is closed, so that none is left when the tests are killed.
_KEEPER = '"$@" & server=$!; read -r _; kill -KILL $server; wait $server'


def find_redis() -> str | None:
    """The path of redis-server, or None."""
    return shutil.which("redis-server")


class RedisServer:
    """A server on a free port without persistence."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it responds."""
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
        """Kills it, as in a crash."""
        if self._keeper is not None:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            self._keeper.wait(_SECONDS)
            self._keeper = None

    def cut_clients_off(self) -> None:
        """Closes the connections of all clients."""
        with Redis.from_url(self.url) as link:
            link.client_kill_filter(_type="normal", skipme=True)
            link.client_kill_filter(_type="pubsub")


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Runs an empty server."""
    with tempfile.TemporaryDirectory(prefix="rungraph-redis-") as folder:
        server = RedisServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
