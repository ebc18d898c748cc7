"""The stack under test: PostgreSQL, a bus, and replicas that are restarted when they die."""

import asyncio
import contextlib
import os
import resource
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import asyncpg
import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.network import DATABASE_PORT, REDIS_PORT, SERVED, Network, as_unix_socket
from tests.faults.replica import FAULT_FILE
from tests.support import forking
from tests.support.fake_clock import FakeClock, fake_clock
from tests.support.pgbouncer import running_pgbouncer
from tests.support.ports import free_port
from tests.support.postgres import Postgres, running_postgres
from tests.support.proxy import Proxy, proxied
from tests.support.redis_server import RedisServer, running_redis

BusKind = Literal["postgresql", "redis"]
Way = Literal["direct", "proxy", "pgbouncer", "network"]
"""How replicas connect to PostgreSQL: PgBouncer has a proxy behind it; with `network`, namespaces separate
them from PostgreSQL and Redis."""
_READY_SECONDS = 30
_STOP_SECONDS = 15


class Replica:
    """A server process that is restarted when it ends, as by an orchestrator."""

    def __init__(
        self, name: str, folder: Path, environment: dict[str, str], network: Network | None = None
    ) -> None:
        self.name = name
        self.port = free_port()
        host = SERVED if network else "127.0.0.1"
        self.url = f"http://{host}:{self.port}"
        self._prefix = network.inside() if network else ()
        self.deaths = 0
        self._fault_file = folder / f"{name}.fault"
        self._fault_file.write_text("")
        self._log = folder / f"{name}.log"
        self._environment = {
            **os.environ,
            **environment,
            "RUNGRAPH_HOST": host,
            "RUNGRAPH_ALLOW_ANYBODY": "true",
            "RUNGRAPH_PORT": str(self.port),
            "RUNGRAPH_LOG_LEVEL": "warning",
            FAULT_FILE: str(self._fault_file),
        }
        self._process: asyncio.subprocess.Process | forking.Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps it running while the context is open; it must stop cleanly at the end."""
        keeping = asyncio.create_task(self._keep())
        try:
            await self.wait_until_ready()
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if self._process is not None and self._process.returncode is None:
                self._process.terminate()
                try:
                    await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
                except TimeoutError:
                    self._process.kill()
                    await self._process.wait()
                    raise AssertionError(f"{self.name} did not stop:\n{self.log_tail()}") from None

    async def _keep(self) -> None:
        while True:
            self._process = await self._start()
            await self._process.wait()
            self.deaths += 1

    async def _start(self) -> asyncio.subprocess.Process | forking.Process:
        with self._log.open("ab") as log:
            return await forking.start(
                *(forking.REPLICA, "serve"),
                environment=self._environment,
                stdout=log.fileno(),
                stderr=log.fileno(),
                prefix=self._prefix,
            )

    async def wait_until_ready(self) -> None:
        """Waits until it is ready."""
        async with asyncio.timeout(_READY_SECONDS), httpx2.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kills it, as in a crash."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def inject(self, fault: str = "") -> None:
        """Injects this fault from now on, or none."""
        self._fault_file.write_text(fault)

    def fill_log_disk(self, is_full: bool) -> None:
        """Prevents its log from growing, as on a full disk, or allows it again."""
        assert self._process is not None
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (0 if is_full else hard, hard))

    def log_tail(self) -> str:
        """The end of its log."""
        return self._log.read_text()[-4000:]

    async def usage(self) -> dict[str, float]:
        """Its current resource usage by name."""
        assert self._process is not None
        async with httpx2.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        families = text_string_to_metric_families(text)
        found = {sample.name: sample.value for family in families for sample in family.samples}
        names = ("subscribers", "watches", "mailbox_entries", "tasks", "database_connections_in_use")
        usage = {name: found[f"rungraph_{name}"] for name in names}
        return usage | {"descriptors": len(os.listdir(f"/proc/{self._process.pid}/fd"))}

    def memory(self) -> int:
        """Its resident memory in bytes."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Stack:
    """The servers of a trial."""

    bus: BusKind
    postgres: Postgres
    redis: RedisServer | None
    replicas: list[Replica]
    proxies: list[Proxy] = field(default_factory=list)
    """The proxy of each replica to PostgreSQL, if any."""
    clocks: list[FakeClock] = field(default_factory=list)
    """The clocks of the database and of each replica, if they can be moved."""
    network: Network | None = None
    """The network of the replicas, if they run in namespaces."""

    @property
    def urls(self) -> list[str]:
        """The URLs of the replicas."""
        return [replica.url for replica in self.replicas]

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        """The rows of a statement, executed on a new connection."""
        settings = {"application_name": "faults", "default_transaction_read_only": "off"}
        connection = await asyncpg.connect(self.postgres.url, server_settings=settings)
        try:
            found: list[Any] = await connection.fetch(statement, *values)
            return found
        finally:
            await connection.close()


@asynccontextmanager
async def running_stack(
    bus: BusKind,
    names: tuple[str, ...] = ("one", "two"),
    settings: Mapping[str, str] | None = None,
    way: Way = "direct",
    with_clocks: bool = False,
) -> AsyncIterator[Stack]:
    """Runs replicas on one database, with additional settings, and with movable clocks if requested, which
    slow everything down."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rungraph-faults-")))
        clocks = [stack.enter_context(fake_clock()) for _ in range(1 + len(names))] if with_clocks else []
        arguments = [clock.environment for clock in clocks] or [{}] * (1 + len(names))
        os.chmod(folder, 0o777)  # PostgreSQL may be another user
        postgres = stack.enter_context(
            running_postgres(is_migrated=True, environment=arguments[0], unix_socket_directories=str(folder))
        )
        redis = stack.enter_context(running_redis()) if bus == "redis" else None
        network = Network() if way == "network" else None
        if network is not None:
            targets = {DATABASE_PORT: f"{folder}/.s.PGSQL.{postgres.url.rpartition(':')[2].split('/')[0]}"}
            if redis is not None:
                targets[REDIS_PORT] = await stack.enter_async_context(as_unix_socket(redis.port, folder))
            await stack.enter_async_context(network.running(targets))
        replicas, proxies = [], []
        for name, of_clock in zip(names, arguments[1:], strict=True):
            url = postgres.url
            if way in ("proxy", "pgbouncer"):
                proxies.append(await stack.enter_async_context(proxied(url)))
                url = proxies[-1].url(url)
            if way == "pgbouncer":
                url = stack.enter_context(running_pgbouncer(url))
            bus_url = redis.url if redis else url
            if network is not None:
                url = network.url("postgresql", "/postgres")
                bus_url = network.url("redis") if redis else url
            environment = {
                "RUNGRAPH_DATABASE_URL": url,
                "RUNGRAPH_BROADCAST_URL": bus_url,
                **(settings or {}),
                **of_clock,
            }
            replicas.append(Replica(name, folder, environment, network))
        await asyncio.gather(*(stack.enter_async_context(replica.running()) for replica in replicas))
        yield Stack(bus, postgres, redis, replicas, proxies, clocks, network)
