"""A GraphQL client over HTTP with retries and clear errors."""

import asyncio
import json
import os
import random
import re
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import httpx2

UNAVAILABLE_STATUSES = {429, 502, 503, 504}
"""Statuses of a server that is overloaded or unavailable, or of a proxy in front of it."""
PERMANENT_ERRORS = {"UNAUTHENTICATED", "FORBIDDEN"}
"""Error codes that a retry cannot fix: the caller needs a token or a role."""
_TIMEOUT_S = 60
_MAX_PAUSE_S = 5.0


class ApiError(Exception):
    """The server is unreachable or rejected the operation; the message is for users."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ServerUnavailable(ApiError):
    """The server was unavailable for longer than the client waits."""


class _Unavailable(Exception):
    """One attempt failed: the server is unavailable or overloaded."""


def graphql_url(url: str) -> str:
    """The URL of the API, whose path ends with /graphql. Raises ValueError for an invalid URL."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        # Without the password that may be in it.
        hidden = re.sub(r"(://|^)[^/@]*@", r"\1…@", url)
        raise ValueError(f"{hidden!r} is not a URL such as http://127.0.0.1:8000")
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/graphql") else f"{path}/graphql"))


def _verification(url: str) -> ssl.SSLContext | bool:
    """How certificates are verified: by the authorities of SSL_CERT_FILE, if it is set. Raises ValueError."""
    named = os.environ.get("SSL_CERT_FILE")
    if not url.startswith("https:"):
        return False  # nothing to verify, and reading the certificates takes 40 ms
    if not named:
        return True
    try:
        return ssl.create_default_context(cafile=named)
    except OSError as error:  # also what is no certificate
        raise ValueError(f"SSL_CERT_FILE: cannot read certificates from {named}: {error}") from None


class GraphQLClient:
    """Sends operations and retries them. All must be safe to send twice, since a response can be lost."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        max_unavailable_s: float = 0,
        on_status: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`token` authenticates the caller. A server that is unavailable for `max_unavailable_s` seconds
        raises ServerUnavailable; `on_status` gets a message when it becomes unavailable and when it
        responds again, once for all waiting calls. Raises ValueError for an invalid URL or token."""
        self.url = graphql_url(url)
        self.max_unavailable_s = max_unavailable_s
        self._on_status = on_status
        self._unavailable = False
        # The server is the user's own: proxies from the environment are ignored.
        token = (token or "").strip()
        if not (token.isascii() and token.isprintable()):
            raise ValueError("invalid token: it contains characters that no token has")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self.http = httpx2.AsyncClient(
            transport=transport,
            timeout=_TIMEOUT_S,
            trust_env=False,
            headers=headers,
            verify=_verification(self.url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    def check_authenticated(self, response: httpx2.Response) -> None:
        """Raises ApiError if the server rejected the credentials."""
        if response.status_code == 401:
            has_token = "Authorization" in self.http.headers
            problem = "rejected the token" if has_token else "requires a token"
            raise ApiError(f"{self.url} {problem}: set RUNGRAPH_TOKEN", "UNAUTHENTICATED")

    async def execute(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of the response. Raises ApiError if it has errors."""
        body = json.dumps(
            {"query": query, "variables": variables or {}}, ensure_ascii=False, allow_nan=False
        ).encode()
        clock = asyncio.get_running_loop()
        deadline = clock.time() + self.max_unavailable_s
        pause = 0.25
        while True:
            try:
                data = await self._post(body)
                if self._unavailable:
                    self._unavailable = False
                    self._on_status(f"{self.url} responds again")
                return data
            except _Unavailable as error:
                if clock.time() >= deadline:
                    raise ServerUnavailable(f"no response from {self.url} ({error})") from None
                if not self._unavailable:
                    self._unavailable = True
                    self._on_status(f"{self.url} does not respond ({error}); retrying")
            # Jitter, so that clients do not all reconnect at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _MAX_PAUSE_S)

    async def _post(self, body: bytes) -> dict[str, Any]:
        try:
            response = await self.http.post(
                self.url, content=body, headers={"content-type": "application/json"}
            )
        except httpx2.TransportError as error:
            raise _Unavailable(str(error) or type(error).__name__) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ApiError(f"{self.url}: {error}") from None
        if response.status_code in UNAVAILABLE_STATUSES:
            raise _Unavailable(f"status {response.status_code}")
        self.check_authenticated(response)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not ("data" in answer or "errors" in answer):
            raise ApiError(f"{self.url} is not a GraphQL server (status {response.status_code})")
        if answer.get("errors"):
            first = answer["errors"][0]
            raise ApiError(first.get("message", "unknown error"), (first.get("extensions") or {}).get("code"))
        data: dict[str, Any] = answer["data"]
        return data
