"""A GraphQL client over HTTP with retries and clear errors."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import httpx2

AWAY = {429, 502, 503, 504}
"""What a server answers, or a proxy for it, that is overloaded or not there now."""
REFUSED = {"UNAUTHENTICATED", "FORBIDDEN"}
"""The codes of what is not worth trying again: somebody has to give the caller a token, or a role."""
_TIMEOUT_S = 60
_LONGEST_PAUSE_S = 5.0


class ApiError(Exception):
    """The server cannot be reached, or refused what was asked; the message is for people."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ServerUnavailable(ApiError):
    """The server did not answer for longer than the client is patient."""


class _Away(Exception):
    """One try found no server, or one that is overloaded."""


def graphql_url(url: str) -> str:
    """The address of the API, which may be given without its path. Raises ValueError for no address."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:8000")
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") or "/graphql"))


class GraphQLClient:
    """Sends operations, all of which must be safe to send twice: an answer can be lost on its way."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        patience_s: float = 0,
        on_away: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`token` authenticates the caller. `patience_s` is the time in seconds after which an unavailable
        server raises ServerUnavailable; `on_away` is called when it becomes unavailable and when it is back,
        once for all waiting calls. Raises ValueError for an invalid URL or token."""
        self.url = graphql_url(url)
        self.patience_s = patience_s
        self._on_away = on_away
        self._away = False
        # The server is the user's own: a proxy from the environment is not asked.
        token = (token or "").strip()
        if not (token.isascii() and token.isprintable()):
            raise ValueError("the token is none: it has characters that no token has")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self.http = httpx2.AsyncClient(
            transport=transport, timeout=_TIMEOUT_S, trust_env=False, headers=headers
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    def check_known(self, response: httpx2.Response) -> None:
        """Raise ApiError where the server does not know who calls."""
        if response.status_code == 401:
            shown = "Authorization" in self.http.headers
            what = "does not know the token, or not any more" if shown else "wants a token"
            raise ApiError(f"{self.url} {what}: set RUNGRAPH_TOKEN", "UNAUTHENTICATED")

    async def execute(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of the answer. Raises ApiError where there are errors."""
        body = json.dumps(
            {"query": query, "variables": variables or {}}, ensure_ascii=False, allow_nan=False
        ).encode()
        clock = asyncio.get_running_loop()
        deadline = clock.time() + self.patience_s
        pause = 0.25
        while True:
            try:
                data = await self._post(body)
                if self._away:
                    self._away = False
                    self._on_away(f"{self.url} answers again")
                return data
            except _Away as away:
                if clock.time() >= deadline:
                    raise ServerUnavailable(f"no server answers at {self.url} ({away})") from None
                if not self._away:
                    self._away = True
                    self._on_away(f"{self.url} does not answer ({away}); trying again")
            # A little chance keeps clients from coming back all at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _post(self, body: bytes) -> dict[str, Any]:
        try:
            response = await self.http.post(
                self.url, content=body, headers={"content-type": "application/json"}
            )
        except httpx2.TransportError as error:
            raise _Away(str(error) or type(error).__name__) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ApiError(f"{self.url}: {error}") from None
        if response.status_code in AWAY:
            raise _Away(f"status {response.status_code}")
        self.check_known(response)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not ("data" in answer or "errors" in answer):
            raise ApiError(
                f"{self.url} is no GraphQL server (it answered with status {response.status_code})"
            )
        if answer.get("errors"):
            first = answer["errors"][0]
            raise ApiError(first.get("message", "unknown error"), (first.get("extensions") or {}).get("code"))
        data: dict[str, Any] = answer["data"]
        return data
