"""Opens connections to PostgreSQL: chooses the host, limits the wait, and detects dead connections.

A URL may name several hosts, the servers of one cluster; the one that accepts writes is used.
"""

import asyncio
import os
import re
import socket
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

from repo.sql.urls import split_hosts

CONNECT_TIMEOUT = 3.0
"""Seconds within which a host has to accept a connection. One that shuts down may accept it, then stall."""
ANSWER_TIMEOUT = 3.0
"""Seconds within which a connection answers a ping. A statement that exceeds its own time limit by as much
counts as lost, with its connection."""
PING_AFTER = 1.0
"""Seconds of idleness after which a connection is pinged before it is used."""
_NEXT_HOST_AFTER = 0.3
"""Seconds after which the next host is tried in parallel with one that has not answered."""
_TARGET = "target_session_attrs"

PING = "SELECT 1"

CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
)
"""What the driver raises when a connection was lost, also while it was idle."""

_USER_TIMEOUT = 4
"""Seconds after which unacknowledged data breaks the connection."""
_OPTIONS = {
    # Names of Linux; options that a system lacks are left out.
    "TCP_KEEPIDLE": 2,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": _USER_TIMEOUT * 1000,
}

TCP_OPTIONS = {getattr(socket, name): value for name, value in _OPTIONS.items() if hasattr(socket, name)}
"""Values of the options at level IPPROTO_TCP, with SO_KEEPALIVE. Without them a connection to a host that
died silently stays open for about 15 minutes, until TCP gives up."""


class CannotConnect(ConnectionError):
    """No host accepts the connection; the message says why and contains no secrets."""


class Connector:
    """Opens connections to one database and can terminate all of them."""

    def __init__(self, url: str, settings: Mapping[str, str], command_timeout: float | None = None) -> None:
        """`settings` are those of the session. A statement without an answer after `command_timeout` seconds
        raises TimeoutError."""
        # asyncpg parses the options of a URL itself, including those of TLS.
        self._urls = [
            re.sub(r"^(postgres(ql)?)\+asyncpg://", "postgresql://", each) for each in split_hosts(url)
        ]
        self._options: dict[str, Any] = {
            "server_settings": dict(settings),
            "command_timeout": command_timeout,
        }
        if len(self._urls) > 1 and f"{_TARGET}=" not in url and "PGTARGETSESSIONATTRS" not in os.environ:
            self._options[_TARGET] = "read-write"
        self._best = 0
        self._connections: weakref.WeakSet[asyncpg.Connection] = weakref.WeakSet()
        self._closed = False

    async def connect(self) -> asyncpg.Connection:
        """A new connection. Raises CannotConnect or another OSError."""
        if self.is_closed():
            raise CannotConnect("the database is being closed")
        connection = await (self._connect(0) if len(self._urls) == 1 else self._connect_any())
        self._connections.add(connection)
        if self.is_closed():
            connection.terminate()
        return connection

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def _connect_any(self) -> asyncpg.Connection:
        """A connection to the last good host, or else to the first other one that accepts it."""
        order = sorted(range(len(self._urls)), key=lambda number: number != self._best)
        attempts: dict[asyncio.Task[asyncpg.Connection], int] = {}
        reasons: dict[int, str] = {}
        try:
            while order or attempts:
                if order:
                    number = order.pop(0)
                    attempts[asyncio.create_task(self._connect(number))] = number
                done, _ = await asyncio.wait(
                    attempts, timeout=_NEXT_HOST_AFTER if order else None, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    number = attempts.pop(attempt)
                    if attempt.exception() is None:
                        self._best = number
                        return attempt.result()
                    reasons[number] = str(attempt.exception())
        finally:
            for attempt in attempts:
                attempt.add_done_callback(_terminate)
                attempt.cancel()
        raise CannotConnect("; ".join(f"host {number + 1}: {reasons[number]}" for number in sorted(reasons)))

    async def _connect(self, number: int) -> asyncpg.Connection:
        async with connecting():
            connection = await asyncpg.connect(self._urls[number], **self._options)
            _keep_alive(connection._transport.get_extra_info("socket"))
        return connection

    def close(self) -> None:
        """Terminate every connection and open no more."""
        self._closed = True
        for connection in list(self._connections):
            connection.terminate()


@asynccontextmanager
async def connecting() -> AsyncIterator[None]:
    """Within it a connection is opened. Raises CannotConnect or another OSError."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            yield
    except TimeoutError:
        raise CannotConnect(f"no answer within {CONNECT_TIMEOUT:g} s") from None
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise CannotConnect("it accepts no writes: it is a standby or read-only") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise CannotConnect(str(error)) from error


def _terminate(attempt: "asyncio.Task[asyncpg.Connection]") -> None:
    """Terminate the connection of an attempt that is no longer needed."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


def _keep_alive(connection: socket.socket) -> None:
    """Set the TCP options of a connected socket; a Unix socket has none."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in TCP_OPTIONS.items():
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def replace_lost(engine: Engine) -> None:
    """Have the pool of an engine replace connections that were lost while idle."""
    event.listen(engine, "connect", _note_answer)
    event.listen(engine, "checkin", _note_answer)
    event.listen(engine, "checkout", _ping)


def _note_answer(connection: Any, record: Any) -> None:
    record.info["answered_at"] = time.monotonic()


def _ping(connection: Any, record: Any, _: object) -> None:
    """Have the pool replace a connection that was lost while idle, and all older ones."""
    driver = connection.driver_connection
    if not driver.is_closed():
        if time.monotonic() - record.info["answered_at"] <= PING_AFTER:
            return
        try:
            connection.run_async(lambda link: link.execute(PING, timeout=ANSWER_TIMEOUT))
        except Exception:  # whatever it is, another connection may work
            driver.terminate()
        else:
            return
    raise InvalidatePoolError
