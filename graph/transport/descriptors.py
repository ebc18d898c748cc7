"""File descriptors: raises the process's limit and reserves some. Without free ones, probes would fail and
the server could not reconnect to its database."""

import asyncio
import contextlib
import resource
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.observability.health import PROBES

logger = structlog.get_logger("rungraph.server")

_MAX_LIMIT = 1 << 20
"""The highest limit requested."""

_RESERVE = 64
"""Descriptors reserved from clients; the second half also from probes."""

_REPORT_EVERY = 10.0
"""Minimum seconds between two log lines about refused clients."""

RESERVE_TIMEOUT = 2.0
"""Seconds for a request on a reserved descriptor."""

_BODY = (
    b'{"errors":[{"message":"The server has as many connections as it can have open; try again later.",'
    b'"extensions":{"code":"SERVICE_UNAVAILABLE"}}]}'
)
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_BODY)),
    (b"retry-after", b"10"),
    (b"connection", b"close"),
]
REFUSAL = b"\r\n".join(
    (b"HTTP/1.1 503 Service Unavailable", *(b"%b: %b" % header for header in _HEADERS), b"", _BODY)
)
"""The response to a client beyond the limit."""


class Descriptors:
    """Raises the limit of this process and returns it."""

    def __init__(self) -> None:
        limit = _raise_limit()
        reserve = min(_RESERVE, limit // 4)
        self._for_clients = limit - reserve
        self._for_probes = limit - reserve // 2
        self._report_at = 0.0

    def are_scarce(self, transport: asyncio.Transport) -> bool:
        """Whether this connection has a reserved descriptor: only probes are answered."""
        # A new descriptor is the lowest free one, so all below are in use.
        number: int = transport.get_extra_info("socket").fileno()
        is_scarce = number >= self._for_clients
        if is_scarce and time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + _REPORT_EVERY
            logger.warning("new connections are refused: too many files are open", descriptor=number)
        return is_scarce

    def are_used_up(self, transport: asyncio.Transport) -> bool:
        """Whether this connection has a descriptor reserved for the database."""
        return bool(transport.get_extra_info("socket").fileno() >= self._for_probes)


def _raise_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_LIMIT if hard == resource.RLIM_INFINITY else min(hard, _MAX_LIMIT)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return min(soft, _MAX_LIMIT) if soft != resource.RLIM_INFINITY else _MAX_LIMIT
    with contextlib.suppress(ValueError, OSError):  # a system that allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def only_probes(app: ASGIApp) -> ASGIApp:
    """The application for a reserved connection: it answers one request and closes."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        if scope["type"] == "http" and scope["path"] in PROBES:
            await app(scope, receive, send_and_close)
            return
        await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})

    return answer
