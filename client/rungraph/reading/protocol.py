"""HTTP/1.1 and server-sent events as bytes, for both clients: nothing here reads or writes a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .errors import BAD_RESPONSE, ApiError, first_error, refused

_MAX_HEAD = 128 * 1024
EVENT_STREAM = "text/event-stream"


class ProtocolError(Exception):
    """The response is not HTTP, or is incomplete."""


class Request:
    """A request as bytes, and where to send it."""

    def __init__(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        self.url = url
        parts = urlsplit(url)
        self.is_encrypted = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_encrypted else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {_authority(parts)}", "User-Agent: rungraph-client"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""])
        self.data = head.encode("latin-1") + body

    @property
    def place(self) -> tuple[bool, str, int]:
        """Connections to the same place may be shared."""
        return self.is_encrypted, self.host, self.port


def _authority(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    return host if host.isascii() else host.encode("idna").decode()


def graphql_request(
    url: str, token: str | None, document: str, variables: dict[str, Any], accept: str = "application/json"
) -> Request:
    """A POST of an operation. Raises ValueError if the token cannot be in a header."""
    headers = {"Content-Type": "application/json", "Accept": accept}
    if token:
        if not (token.isascii() and token.isprintable()):
            raise ValueError("the token has characters that no token has, such as a line end")
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"query": document, "variables": variables}).encode()
    return Request("POST", url, headers, body)


class ResponseParser:
    """Parses a response from its bytes, as they arrive."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head has arrived."""
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self._buffer = bytearray()
        self._left: int | None = None
        """Bytes that are left of the body, or of its chunk; None until the connection is closed."""
        self._is_chunked = self._is_after_chunk = False

    @property
    def may_be_reused(self) -> bool:
        """Whether the connection is good for another request."""
        return self.is_complete and not self._buffer and self.headers.get("connection", "").lower() != "close"

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body among the data; empty data is the end of the connection. Raises
        ProtocolError."""
        if not data:
            if self.status and self._left is None:
                self.is_complete = True
                self.headers["connection"] = "close"
            if not self.is_complete:
                raise ProtocolError("the server closed the connection")
            return b""
        self._buffer += data
        if not self.status and not self._parse_head():
            return b""
        return self._chunks() if self._is_chunked else self._plain()

    def _parse_head(self) -> bool:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _MAX_HEAD:
                    raise ProtocolError("the head of the response has no end")
                return False
            first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            del self._buffer[: end + 4]
            version, _, rest = first.partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
                raise ProtocolError("the response is not HTTP/1.1")
            if not rest.startswith("1"):  # such as 100 Continue
                break
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.status = int(rest[:3])
        self._is_chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        if self.status in (204, 304):
            self._is_chunked, self._left = False, 0
        elif self._is_chunked:
            self._left = 0
        elif length is not None:
            if not length.isdecimal():
                raise ProtocolError("the length of the response is not a number")
            self._left = int(length)
        if version == "HTTP/1.0":
            self.headers["connection"] = "close"
        return True

    def _plain(self) -> bytes:
        body = bytes(self._buffer if self._left is None else self._buffer[: self._left])
        del self._buffer[: len(body)]
        if self._left is not None:
            self._left -= len(body)
            self.is_complete = not self._left
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while not self.is_complete:
            if self._left:
                part = self._buffer[: self._left]
                del self._buffer[: len(part)]
                body += part
                self._left -= len(part)
                if self._left:
                    break
                self._is_after_chunk = True
            if self._is_after_chunk:
                if len(self._buffer) < 2:
                    break
                del self._buffer[:2]
                self._is_after_chunk = False
            end = self._buffer.find(b"\r\n")
            if end < 0:
                break
            try:
                size = int(self._buffer[:end].split(b";")[0], 16)
            except ValueError:
                raise ProtocolError("a chunk of the response has no size") from None
            if size:
                del self._buffer[: end + 2]
                self._left = size
                continue
            if (last := self._buffer.find(b"\r\n\r\n", end)) < 0:  # after trailers, if there are any
                break
            del self._buffer[: last + 4]
            self.is_complete = True
        return bytes(body)


def data_of(url: str, status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The data of a GraphQL response. Raises ApiError."""
    try:
        answer = json.loads(body)
        errors, data = answer.get("errors"), answer.get("data")
    except (ValueError, AttributeError):
        raise refused(url, status, headers, body) from None
    if errors:
        raise first_error(errors)
    if status != 200 or not isinstance(data, dict):
        raise refused(url, status, headers, body)
    return data


class EventParser:
    """Parses server-sent events in the form that the server sends them."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, str]]:
        """The events that are complete, as name and data. Comments are left out."""
        self._buffer += data.replace(b"\r\n", b"\n")
        while (end := self._buffer.find(b"\n\n", self._searched)) >= 0:
            lines = self._buffer[:end].decode().split("\n")
            del self._buffer[: end + 2]
            self._searched = 0
            pairs = [line.partition(":") for line in lines if not line.startswith(":")]
            fields = {name: value[1:] if value.startswith(" ") else value for name, _, value in pairs}
            if fields:
                yield fields.get("event", "message"), fields.get("data", "")
        self._searched = max(len(self._buffer) - 1, 0)


def result_of(text: str) -> dict[str, Any]:
    """The data of a result in an event. Raises ApiError."""
    try:
        result = json.loads(text)
    except ValueError:
        raise ApiError(BAD_RESPONSE, "an event of the server is not JSON") from None
    if result.get("errors"):
        raise first_error(result["errors"])
    data: dict[str, Any] = result["data"]
    return data
