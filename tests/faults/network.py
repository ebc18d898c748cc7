"""Two hosts in network namespaces: one of the replicas, and one in front of PostgreSQL and Redis that can
die silently.

Requires root on Linux (`can_make_namespaces`). Otherwise tests/support/proxy.py approximates it: it
discards what is sent, but the kernel still acknowledges it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from tests import ROOT
from tests.faults.relay import forward

_ROOT = ROOT
_DATABASE = "10.213.1.1"
_REPLICAS = [f"10.213.1.{number}" for number in range(2, 34)]
"""The source addresses of the replicas, one for each death of the host: they distinguish connections to the
dead host from those to its replacement."""
_HERE, SERVED = "10.213.2.1", "10.213.2.2"
"""The address of the tests, and that of the replicas for clients."""
_READY_SECONDS = 20
DATABASE_PORT, REDIS_PORT = 5432, 6379


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_READY_SECONDS, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr}")


@cache
def can_make_namespaces() -> bool:
    """Whether this process may create network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"rungraph-try-{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        try:
            _run("ip", "-n", name, "rule", "add", "pref", "5", "from", _REPLICAS[0], "blackhole")
        finally:
            _run("ip", "netns", "del", name)
    except OSError:
        return False
    return True


class Network:
    """The host of the replicas and that of the database."""

    def __init__(self) -> None:
        number = os.getpid()
        self.replicas = f"rungraph-r-{number}"
        self.database = f"rungraph-d-{number}"
        self._deaths = 0
        self._relay: asyncio.subprocess.Process | None = None

    def inside(self) -> tuple[str, ...]:
        """The prefix of a command that runs on the host of the replicas."""
        return ("ip", "netns", "exec", self.replicas)

    def url(self, scheme: str, rest: str = "") -> str:
        """The URL of PostgreSQL or Redis for the replicas."""
        port = REDIS_PORT if scheme == "redis" else DATABASE_PORT
        user = "" if scheme == "redis" else "postgres@"
        return f"{scheme}://{user}{_DATABASE}:{port}{rest}"

    @asynccontextmanager
    async def running(self, sockets: dict[int, str]) -> AsyncIterator[None]:
        """Runs the hosts while the context is open; `sockets` are the Unix sockets by port."""
        await asyncio.to_thread(self._make)
        try:
            self._relay = await asyncio.create_subprocess_exec(
                *(
                    "ip",
                    "netns",
                    "exec",
                    self.database,
                    sys.executable,
                    "-m",
                    "tests.faults.relay",
                    _DATABASE,
                ),
                *(f"{port}={path}" for port, path in sockets.items()),
                cwd=_ROOT,
                stdout=asyncio.subprocess.PIPE,
            )
            assert self._relay.stdout is not None
            async with asyncio.timeout(_READY_SECONDS):
                assert await self._relay.stdout.readline() == b"ready\n", "the relay did not start"
            yield
        finally:
            if self._relay is not None and self._relay.returncode is None:
                self._relay.kill()
                await self._relay.wait()
            await asyncio.to_thread(self._remove)

    def _make(self) -> None:
        for name in (self.replicas, self.database):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        between = f"rgb{os.getpid()}"
        here = f"rgh{os.getpid()}"
        peer = f"peer name db netns {self.database}"
        _run(*f"ip link add {between} netns {self.replicas} type veth {peer}".split())
        _run(*f"ip link add {here} type veth peer name clients netns {self.replicas}".split())
        for host, link, addresses in (
            (self.database, "db", [_DATABASE]),
            (self.replicas, between, _REPLICAS),
            (self.replicas, "clients", [SERVED]),
        ):
            for address in addresses:
                _run(*f"ip -n {host} address add {address}/24 dev {link}".split())
            _run(*f"ip -n {host} link set {link} up".split())
        _run(*f"ip address add {_HERE}/24 dev {here}".split())
        _run(*f"ip link set {here} up".split())
        # Rules precede the table of local addresses, so that they can drop incoming packets.
        _run(*f"ip -n {self.database} rule add pref 100 lookup local".split())
        _run(*f"ip -n {self.database} rule del pref 0".split())
        self._connect_from(_REPLICAS[0])

    def _connect_from(self, address: str) -> None:
        link = f"rgb{os.getpid()}"
        _run(*f"ip -n {self.replicas} route replace {_DATABASE}/32 dev {link} src {address}".split())

    def _rule(self, verb: str, address: str) -> None:
        for direction in ("from", "to"):
            rule = f"ip -n {self.database} rule {verb} pref 5 {direction} {address}"
            _run(*rule.split(), *(("blackhole",) if verb == "add" else ()))

    async def die(self) -> None:
        """Kills the database host: it responds with neither data nor resets."""
        assert self._relay is not None
        before, after = _REPLICAS[self._deaths : self._deaths + 2]
        self._deaths += 1
        for address in (before, after):
            await asyncio.to_thread(self._rule, "add", address)
        await asyncio.to_thread(self._connect_from, after)
        self._relay.send_signal(signal.SIGUSR1)

    async def replace(self) -> None:
        """Replaces the host at the same address. Connections to the old one stay dead."""
        await asyncio.to_thread(self._rule, "del", _REPLICAS[self._deaths])

    def _remove(self) -> None:
        for name in (self.replicas, self.database):
            with contextlib.suppress(OSError):
                _run("ip", "netns", "del", name)


@asynccontextmanager
async def as_unix_socket(port: int, folder: Path) -> AsyncIterator[str]:
    """Forwards a Unix socket to a local port; yields its path. Namespaces share the file system."""
    path = f"{folder}/{port}.socket"

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(forward(reader, there[1]), forward(there[0], writer))

    server = await asyncio.start_unix_server(accept, path)
    try:
        yield path
    finally:
        server.close()
