"""HTTP to the server, over one connection that stays open."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

from .settings import without_password

_CONNECT_SECONDS = 2.0
_RESPONSE_SECONDS = 15.0
_MAX_RESPONSE = 64 * 1024 * 1024
_POLL_SECONDS = 0.05
_PERSISTED_AFTER = 0.3
_TRANSIENT = {"TIMEOUT", "SERVICE_UNAVAILABLE", "RATE_LIMITED", "INTERNAL_SERVER_ERROR"}
_MAX_INTERNAL_ERRORS = 4
_NOT_ALLOWED = {"UNAUTHENTICATED"}


class Unavailable(Exception):
    """Nothing can be sent at present; `is_silent` if that is expected to end soon."""

    def __init__(self, message: str, is_silent: bool = False) -> None:
        super().__init__(message)
        self.is_silent = is_silent


class Refused(Exception):
    """The server refused the call, and would again."""


class Connection:
    """A connection to the API."""

    def __init__(self, url: str, token: Callable[[], str | None], waiting: Callable[[float], None]) -> None:
        """`waiting` is called with the seconds of each wait for a response, over and over."""
        self.url = url
        self._token, self._waiting = token, waiting
        self._http: Any = None
        self._location: str | None = None
        """Where the last response redirects to."""
        self.internal_errors = 0
        """Consecutive errors of the server itself: of several, the call counts as their cause."""

    def graphql(self, query: str, variables: bytes, seconds: float = _RESPONSE_SECONDS) -> dict[str, Any]:
        """The data of the response. Raises Unavailable or Refused."""
        body = b'{"query":%s,"variables":%s}' % (json.dumps(query).encode(), variables)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "rungraph-client",
        }
        if token := self._token():
            if not (token.isascii() and token.isprintable()):
                raise Unavailable("the token has characters that no token has, such as a line end")
            headers["Authorization"] = f"Bearer {token}"
        status, data = self._exchange("POST", self.url, body, headers, seconds)
        try:
            answer = json.loads(data)
            errors = answer.get("errors")
        except (ValueError, AttributeError):
            raise Unavailable(self._no_server(status)) from None
        if errors:
            message = str(errors[0].get("message"))
            code = str((errors[0].get("extensions") or {}).get("code"))
            if status in (401, 403) or code in _NOT_ALLOWED:
                raise Unavailable(f"{code}: {message}")
            if code == "INTERNAL_SERVER_ERROR":
                self.internal_errors += 1
                if self.internal_errors > _MAX_INTERNAL_ERRORS:
                    raise Refused(f"{code}: {message}")
            if status == 429 or status >= 500 or code in _TRANSIENT:
                raise Unavailable(f"{code}: {message}", is_silent=True)
            raise Refused(f"{code}: {message}")
        if status != 200 or not isinstance(answer.get("data"), dict):
            raise Unavailable(self._no_server(status))
        result: dict[str, Any] = answer["data"]
        return result

    def _no_server(self, status: int) -> str:
        """What is wrong with a response that is none of the API."""
        url = without_password(self.url)
        if self._location:
            target = without_password(urljoin(self.url, self._location))
            return f"{url} redirects to {target}: set RUNGRAPH_URL to the address of the server itself"
        return f"{url} is no Rungraph server (HTTP {status})"

    def put(self, path: str, body: Iterable[bytes], size: int, headers: dict[str, str]) -> None:
        """Sends bytes to a signed address, in a connection of its own. Raises Unavailable or Refused."""
        kept, self._http = self._http, None
        try:
            headers = {**headers, "Content-Length": str(size)}
            status, _ = self._exchange("PUT", urljoin(self.url, path), body, headers, _RESPONSE_SECONDS)
        finally:
            self.close()
            self._http = kept
        if status == 503 or status == 429:
            raise Unavailable(f"the upload failed (HTTP {status})", is_silent=True)
        if status != 200:
            raise Refused(f"an artifact was refused (HTTP {status})")

    def _exchange(
        self, method: str, url: str, body: Any, headers: dict[str, str], seconds: float
    ) -> tuple[int, bytes]:
        import http.client

        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        for is_last in (False, True):
            is_reused = self._http is not None
            try:
                if self._http is None:
                    kind = (
                        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
                    )
                    self._http = kind(parts.hostname or "", parts.port, timeout=_CONNECT_SECONDS)
                    self._http.connect()
                    self._http.sock.settimeout(5.0)
                self._http.request(method, target, body, headers)
                self._wait(seconds)
                response = self._http.getresponse()
                # Python 3.9 fills so much memory before it reads.
                limit = _MAX_RESPONSE if response.length is None else min(response.length, _MAX_RESPONSE)
                whole = response.length
                data = response.read(limit)
                if whole is not None and len(data) < min(whole, limit):
                    raise http.client.IncompleteRead(data, whole - len(data))
                self._location = response.getheader("Location") if 300 <= response.status < 400 else None
                if response.will_close:
                    self.close()
                return response.status, data
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A server closes connections that were idle.
                is_stale = is_reused and isinstance(
                    error, (ConnectionError, http.client.BadStatusLine, http.client.CannotSendRequest)
                )
                if is_last or not is_stale:
                    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
                    raise Unavailable(f"{place} is unreachable ({error})") from None
        raise AssertionError("unreachable")

    def _wait(self, seconds: float) -> None:
        began = time.monotonic()
        sock = self._http.sock
        while True:
            if getattr(sock, "pending", None) is not None and sock.pending():
                return
            if _is_readable(sock):
                return
            passed = time.monotonic() - began
            if passed > seconds:
                raise TimeoutError("no response")
            if passed > _PERSISTED_AFTER:
                self._waiting(passed)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def _is_readable(sock: Any) -> bool:
    if hasattr(select, "poll"):  # select() fails for descriptors from 1024
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return bool(poller.poll(int(_POLL_SECONDS * 1000)))
    return bool(select.select([sock], [], [], _POLL_SECONDS)[0])
