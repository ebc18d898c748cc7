"""HTTP over blocking sockets, which stay open for further requests."""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Any

from .errors import unreachable
from .protocol import ProtocolError, Request, ResponseParser

CONNECT_SECONDS = 10.0
_MAX_IDLE = 8


class Response:
    """A response whose head has arrived. Leaving it closes its connection, or keeps it for others."""

    def __init__(
        self,
        transport: Transport,
        request: Request,
        sock: socket.socket,
        parser: ResponseParser,
        first: bytes,
    ) -> None:
        self._transport, self._request, self._socket = transport, request, sock
        self._parser, self._first = parser, first
        self.status, self.headers = parser.status, parser.headers

    def read(self, seconds: float) -> bytes | None:
        """The next part of the body; b"" at its end, None if none arrives for so long. Raises ApiError."""
        data, self._first = self._first, b""
        while not data and not self._parser.is_complete:
            self._socket.settimeout(max(seconds, 0.001))
            try:
                data = self._parser.feed(self._socket.recv(64 * 1024))
            except socket.timeout:
                return None
            except (OSError, ProtocolError) as error:
                raise unreachable(self._request.url, error) from None
        return data

    def read_all(self, seconds: float) -> bytes:
        """The whole body. Raises ApiError, also if none of it arrives for so long."""
        body = bytearray()
        while True:
            part = self.read(seconds)
            if part is None:
                raise unreachable(self._request.url, TimeoutError(f"no response for {seconds:g} s"))
            if not part:
                return bytes(body)
            body += part

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and not self._first and self._parser.may_be_reused:
            self._transport.keep(self._request, self._socket)
        else:
            self._socket.close()


class Transport:
    """Connections to servers. Threads may share it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._idle: list[tuple[tuple[bool, str, int], int, socket.socket]] = []
        """Places, processes and connections: a forked child must not use those of its parent."""
        self._tls: Any = None

    def open(self, request: Request) -> Response:
        """Sends the request, and waits for the head of the response. Raises ApiError."""
        sock = self._take_idle(request)
        if sock is not None:
            try:
                return self._send(sock, request)
            except (ConnectionError, ProtocolError):
                pass  # servers close connections that were idle
            except OSError as error:
                raise unreachable(request.url, error) from None
        try:
            return self._send(self._connect(request), request)
        except (OSError, ProtocolError, UnicodeError) as error:
            raise unreachable(request.url, error) from None

    def exchange(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the response. Raises ApiError."""
        with self.open(request) as response:
            return response.status, response.headers, response.read_all(self.seconds)

    def _take_idle(self, request: Request) -> socket.socket | None:
        while True:
            try:
                place, process, sock = self._idle.pop()
            except IndexError:
                return None
            if place == request.place and process == os.getpid():
                return sock
            sock.close()

    def keep(self, request: Request, sock: socket.socket) -> None:
        """Keeps a connection for another request."""
        self._idle.append((request.place, os.getpid(), sock))
        if len(self._idle) > _MAX_IDLE:
            self._idle.pop(0)[2].close()

    def _connect(self, request: Request) -> socket.socket:
        connected = socket.create_connection(
            (request.host, request.port), timeout=min(self.seconds, CONNECT_SECONDS)
        )
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if request.is_encrypted:
                import ssl

                if self._tls is None:
                    self._tls = ssl.create_default_context()
                return self._tls.wrap_socket(connected, server_hostname=request.host)  # type: ignore[no-any-return]
        except BaseException:
            connected.close()
            raise
        return connected

    def _send(self, sock: socket.socket, request: Request) -> Response:
        parser = ResponseParser()
        try:
            sock.settimeout(self.seconds)
            sock.sendall(request.data)
            first = b""
            while not parser.status:
                first = parser.feed(sock.recv(64 * 1024))
        except BaseException:
            sock.close()
            raise
        return Response(self, request, sock, parser, first)

    def close(self) -> None:
        """Closes the connections that are kept."""
        while self._idle:
            self._idle.pop()[2].close()

    def __del__(self) -> None:
        self.close()
