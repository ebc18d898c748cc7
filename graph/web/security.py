"""Security middleware: host checks against DNS rebinding, and security headers on every response."""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.auth.origins import is_loopback
from graph.observability.health import PROBES

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    # With no-referrer, browsers would send forms with the origin "null".
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""Headers of every response that does not set them itself."""

_MAX_CACHED = 1000
_WRONG_HOST = (
    "This server does not accept requests for this host name. To allow it, add it to "
    "RUNGRAPH_ALLOWED_HOSTS.\n"
)


class AllowedHosts:
    """The host names of this server.

    Others are refused: an attacker's name that resolves to this server would make their page same-origin
    (DNS rebinding).
    """

    def __init__(self, names: Sequence[str], loopback: bool = False) -> None:
        """`*.example.com` stands for every subdomain, and `*` for all names. `loopback` adds the names and
        addresses of this machine."""
        lowered = [name.lower().strip("[]") for name in names]
        self._all = "*" in lowered
        self._exact = frozenset(name for name in lowered if not name.startswith("*"))
        self._suffixes = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._loopback = loopback
        self._allows = lru_cache(_MAX_CACHED)(self._matches)

    def allow(self, scope: Scope) -> bool:
        """Whether the request has a Host header, and all of them are allowed."""
        if self._all:
            return True
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        # Of several, a proxy may have used another one than this server would.
        return bool(hosts) and all(map(self._allows, hosts))

    def _matches(self, header: bytes) -> bool:
        try:
            host = urlsplit(f"//{header.decode('ascii')}").hostname or ""
        except ValueError:
            return False
        host = host.removesuffix(".")
        if self._loopback and (is_loopback(host) or host.endswith(".localhost")):
            return True
        return host in self._exact or host.endswith(self._suffixes)


class SecurityMiddleware:
    """Refuses requests for other hosts with 421, and adds security headers to every response."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, any_host_paths: frozenset[str] = PROBES) -> None:
        """The paths `any_host_paths` are served for any host."""
        self._app = app
        self._hosts = hosts
        self._any_host_paths = any_host_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in _HEADERS if each[0] not in own)]
            await send(message)

        if self._hosts.allow(scope) or scope["path"] in self._any_host_paths:
            await self._app(scope, receive, send_with_headers)
        else:
            await PlainTextResponse(_WRONG_HOST, 421)(scope, receive, send_with_headers)
