"""Limits per client: connections of a caller and an address, operations of a caller, and failed
authentications of an address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_network
from typing import Self

from starlette.requests import HTTPConnection

from graph.auth.caller import ANONYMOUS, Caller
from graph.errors import RequestRefused
from graph.limits.rate_limits import RateLimit, RateStorage

_IPV6_NETWORK = 64
"""Bits of the network prefix by which IPv6 addresses are counted: one customer has all addresses below it."""


class ClientLimits:
    """The limits of one server. Anonymous callers have none, since they may be many people. Connections are
    limited per process."""

    def __init__(
        self,
        *,
        rate_limit: str = "",
        auth_failures: str = "",
        storage: str = "memory://",
        max_per_address: int = 5000,
        max_per_caller: int = 1000,
    ) -> None:
        """`max_per_address` and `max_per_caller` are numbers of connections."""
        self._storage = RateStorage(storage)
        self._operations = RateLimit(rate_limit, "operations", self._storage)
        self.auth_failures = RateLimit(auth_failures, "failed attempts to sign in", self._storage)
        self._per_address = ConnectionLimit(max_per_address, "from your address")
        self._per_caller = ConnectionLimit(max_per_caller, "of yours")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Close the storage at the end of the context."""
        try:
            yield self
        finally:
            await self._storage.close()

    def connection(self) -> "Connection":
        """A new connection or request."""
        return Connection(self._per_address, self._per_caller)

    async def admit(self, caller: Caller) -> None:
        """Count an operation. Raises RequestRefused."""
        if caller is not ANONYMOUS:
            await self._operations.admit(caller.key)

    def record_auth_failure(self, connection: HTTPConnection) -> None:
        """Count an invalid credential. Raises RequestRefused if its address sends too many."""
        self.auth_failures.record(address_of(connection))


@dataclass(slots=True)
class ConnectionLimit:
    """Counts the open connections of each key."""

    limit: int
    owner: str
    """Names the key in the message, such as `of yours`."""
    _open: dict[str, int] = field(default_factory=dict)

    def open(self, key: str) -> None:
        """Count a connection. Raises RequestRefused."""
        count = self._open.get(key, 0)
        if count >= self.limit:
            text = f"{self.limit} connections {self.owner} are open; more are not allowed."
            raise RequestRefused(429, "RATE_LIMITED", text, retry_after="10")
        self._open[key] = count + 1

    def close(self, key: str) -> None:
        """Count one connection of this key less."""
        count = self._open[key] - 1
        if count:
            self._open[key] = count
        else:
            del self._open[key]


@dataclass(slots=True)
class Connection:
    """A connection, counted until the end of its context once its address and its caller are known."""

    _per_address: ConnectionLimit
    _per_caller: ConnectionLimit
    _address: str | None = None
    _caller: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._address is not None:
            self._per_address.close(self._address)
        if self._caller is not None:
            self._per_caller.close(self._caller)

    def comes_from(self, connection: HTTPConnection) -> None:
        """Count it for its address. Raises RequestRefused."""
        address = address_of(connection)
        self._per_address.open(address)
        self._address = address

    def belongs_to(self, caller: Caller) -> None:
        """Count it for its caller. Raises RequestRefused."""
        if caller is not ANONYMOUS:
            self._per_caller.open(caller.key)
            self._caller = caller.key


def address_of(connection: HTTPConnection) -> str:
    """The address of a client, or its network for IPv6."""
    client = connection.scope.get("client")
    return _network(client[0]) if client else ""


@lru_cache(4096)
def _network(host: str) -> str:
    if ":" not in host:
        return host
    try:
        return str(ip_network((host.partition("%")[0], _IPV6_NETWORK), strict=False))
    except ValueError:
        return host
