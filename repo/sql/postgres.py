"""How connections to PostgreSQL are opened: to which host, how soon, and so that a dead one is noticed.

A URL may name several hosts: the servers of one cluster, of which the one that accepts writes is used.
"""

import asyncio
import os
import re
import time
import weakref
from collections.abc import Mapping
from typing import Any

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

from repo.domain.errors import InvalidArgument
from repo.sql.keepalive import keep_alive

CONNECT_WITHIN = 3.0
"""Seconds within which a host has to accept a connection. One that stops may accept it, and say no more."""
ANSWER_WITHIN = 3.0
"""Seconds within which a connection answers a statement that costs nothing, and beyond the time limit of a
statement until the connection counts as dead."""
PING_AFTER = 1.0
"""Seconds after which a connection that nobody used is asked whether it still answers, before it is used."""
_NEXT_HOST_AFTER = 0.3
"""Seconds after which the next host is tried beside one that has not answered."""
_URL = re.compile(r"(?P<scheme>[^:/]+://)(?P<user>[^/?#]*@)?(?P<hosts>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_TARGET = "target_session_attrs"

PING = "SELECT 1"
"""A statement that costs nothing."""

CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
)
"""What the driver raises when a connection was lost, also while nobody used it."""


class CannotConnect(ConnectionError):
    """No host accepts the connection; the message says why, without anything secret."""


def one_host_each(url: str) -> list[str]:
    """The URL once for each host that it names. Raises InvalidArgument where one of them is empty."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return [url]
    if "," not in parts["hosts"]:
        if re.search(r"[?&]host=[^&]*(,|%2C)", parts["rest"], re.IGNORECASE):
            raise InvalidArgument(
                "several hosts stand before the name of the database: postgresql://user@one:5432,two:5432/name"
            )
        return [url]
    hosts = parts["hosts"].split(",")
    if not all(hosts):
        raise InvalidArgument("the URL has several hosts, and one of them is empty")
    return [f"{parts['scheme']}{parts['user'] or ''}{host}{parts['rest']}" for host in hosts]


class Connector:
    """Opens connections to one database, and can end all of them."""

    def __init__(self, url: str, settings: Mapping[str, str], command_timeout: float | None = None) -> None:
        """`settings` are those of the session. A statement that has no answer after `command_timeout` seconds
        raises TimeoutError."""
        # The driver reads the options of a URL itself, those of TLS too.
        self._urls = [
            re.sub(r"^(postgres(ql)?)\+asyncpg://", "postgresql://", each) for each in one_host_each(url)
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
        """Whether no connection is opened any more."""
        return self._closed

    async def _connect_any(self) -> asyncpg.Connection:
        """From the host that was right the last time, or else from the first other one that is."""
        order = sorted(range(len(self._urls)), key=lambda number: number != self._best)
        attempts: dict[asyncio.Task[asyncpg.Connection], int] = {}
        reasons: dict[int, str] = {}
        try:
            while order or attempts:
                if order:
                    number = order.pop(0)
                    attempts[asyncio.create_task(self._connect(number))] = number
                done, _ = await asyncio.wait(
                    attempts,
                    timeout=_NEXT_HOST_AFTER if order else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for attempt in done:
                    number = attempts.pop(attempt)
                    if attempt.exception() is None:
                        self._best = number
                        return attempt.result()
                    reasons[number] = str(attempt.exception())
        finally:
            for attempt in attempts:
                attempt.add_done_callback(_end)
                attempt.cancel()
        raise CannotConnect("; ".join(f"host {number + 1}: {reasons[number]}" for number in sorted(reasons)))

    async def _connect(self, number: int) -> asyncpg.Connection:
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                connection = await asyncpg.connect(self._urls[number], **self._options)
                keep_alive(connection._transport.get_extra_info("socket"))
        except TimeoutError:
            raise CannotConnect(f"no answer within {CONNECT_WITHIN:g} s") from None
        except asyncpg.TargetServerAttributeNotMatched as error:
            raise CannotConnect("it accepts no writes: it is a standby, or read-only") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise CannotConnect(str(error)) from error
        return connection

    def close(self) -> None:
        """End every connection at once, and open none any more."""
        self._closed = True
        for connection in list(self._connections):
            connection.terminate()


def _end(attempt: "asyncio.Task[asyncpg.Connection]") -> None:
    """End the connection of an attempt that nobody needs any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


def replace_silent(engine: Engine) -> None:
    """Have the pool of an engine replace connections that were lost while nobody used them."""
    event.listen(engine, "connect", _note_answer)
    event.listen(engine, "checkin", _note_answer)
    event.listen(engine, "checkout", _ping)


def _note_answer(connection: Any, record: Any) -> None:
    """The connection was used just now."""
    record.info["answered_at"] = time.monotonic()


def _ping(connection: Any, record: Any, _: object) -> None:
    """Have the pool replace a connection that was lost while nobody used it, and all that are older."""
    driver = connection.driver_connection
    if not driver.is_closed():
        if time.monotonic() - record.info["answered_at"] <= PING_AFTER:
            return
        try:
            connection.run_async(lambda link: link.execute(PING, timeout=ANSWER_WITHIN))
        except Exception:  # whatever it is, another connection may do
            driver.terminate()
        else:
            return
    raise InvalidatePoolError
