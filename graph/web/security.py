"""Owns what keeps pages of other sites away from this server: which names it answers to, which requests are
those of its own page, and the headers that tell browsers so."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.auth.trusted_urls import is_loopback

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    # With none at all, a form would not say where it comes from.
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""What every answer has."""

API_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What answers of the API have beside it: nobody keeps them, and shown as a page they can do nothing."""

PROBES = frozenset({"/livez", "/readyz"})
"""They tell nothing, and are asked by addresses that nobody knows before."""

_MOST_KNOWN = 1000
_NOT_HERE = (
    "This server does not answer to the name that it was asked by. If it should, name it in "
    "RUNGRAPH_ALLOWED_HOSTS.\n"
)


class Hosts:
    """The names that a server answers to: a page of another site may get a name of its own to lead here,
    and would then be taken for ours."""

    def __init__(self, names: Sequence[str], loopback: bool = False) -> None:
        """`*.example.com` stands for every name below it, and `*` for all. With `loopback` the names of this
        machine are among them."""
        lowered = [name.lower().strip("[]") for name in names]
        self._all = "*" in lowered
        self._exact = frozenset(name for name in lowered if not name.startswith("*"))
        self._below = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._loopback = loopback
        # By the header as it came.
        self._known: dict[bytes, bool] = {}

    def have(self, scope: Scope) -> bool:
        """Whether the server was asked by one of them."""
        if self._all:
            return True
        is_one = False
        for name, value in scope["headers"]:
            if name == b"host":
                known = self._known.get(value)
                if known is None:
                    known = self._is_one(value)
                    if len(self._known) < _MOST_KNOWN:
                        self._known[value] = known
                # Of several, who knows which one counts elsewhere.
                if not known:
                    return False
                is_one = True
        return is_one

    def _is_one(self, value: bytes) -> bool:
        try:
            host = urlsplit(f"//{value.decode('ascii')}").hostname or ""
        except ValueError:
            return False
        host = host.removesuffix(".")
        if self._loopback and (is_loopback(host) or host.endswith(".localhost")):
            return True
        return host in self._exact or host.endswith(self._below)


class Guard:
    """An ASGI application that answers only to its names, with the headers that all answers have. At the
    paths `by_any_name` it answers to any."""

    def __init__(self, app: ASGIApp, hosts: Hosts, by_any_name: frozenset[str] = PROBES) -> None:
        self._app = app
        self._hosts = hosts
        self._by_any_name = by_any_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        if self._hosts.have(scope) or scope["path"] in self._by_any_name:
            await self._app(scope, receive, send_guarded)
        else:
            await PlainTextResponse(_NOT_HERE, 421)(scope, receive, send_guarded)


def is_of_another_site(connection: HTTPConnection) -> bool:
    """Whether a page of another site made the browser send this, as far as the browser says so."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != connection.headers.get("host")
