"""HTTP over the streams of asyncio: the counterpart of `sockets`."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from .errors import unreachable
from .protocol import ProtocolError, Request, ResponseParser
from .sockets import CONNECT_SECONDS

_MAX_IDLE = 8


class AsyncConnection:
    """A connection, of which one read at a time may be pending."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.loop = asyncio.get_running_loop()
        self._pending: asyncio.Future[bytes] | None = None

    @property
    def is_closed(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing() or self.loop.is_closed()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def read(self, seconds: float) -> bytes | None:
        """What arrives next; None if nothing does for so long. Raises OSError."""
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._reader.read(64 * 1024))
        # A read that is cancelled could lose what has arrived: it stays pending.
        done, _ = await asyncio.wait({self._pending}, timeout=seconds)
        if not done:
            return None
        pending, self._pending = self._pending, None
        return pending.result()

    def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if not self.loop.is_closed():
            self._writer.transport.abort()


class AsyncResponse:
    """A response whose head has arrived. Leaving it closes its connection, or keeps it for others."""

    def __init__(
        self,
        transport: AsyncTransport,
        request: Request,
        connection: AsyncConnection,
        parser: ResponseParser,
        first: bytes,
    ) -> None:
        self._transport, self._request, self._connection = transport, request, connection
        self._parser, self._first = parser, first
        self.status, self.headers = parser.status, parser.headers

    async def read(self, seconds: float) -> bytes | None:
        """The next part of the body; b"" at its end, None if none arrives for so long. Raises ApiError."""
        data, self._first = self._first, b""
        while not data and not self._parser.is_complete:
            try:
                received = await self._connection.read(seconds)
                if received is None:
                    return None
                data = self._parser.feed(received)
            except (OSError, ProtocolError) as error:
                raise unreachable(self._request.url, error) from None
        return data

    async def read_all(self, seconds: float) -> bytes:
        """The whole body. Raises ApiError, also if none of it arrives for so long."""
        body = bytearray()
        while True:
            part = await self.read(seconds)
            if part is None:
                raise unreachable(self._request.url, TimeoutError(f"no response for {seconds:g} s"))
            if not part:
                return bytes(body)
            body += part

    async def __aenter__(self) -> AsyncResponse:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and not self._first and self._parser.may_be_reused:
            self._transport.keep(self._request, self._connection)
        else:
            self._connection.close()


class AsyncTransport:
    """Connections to servers, each for the event loop that it was made in."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._idle: list[tuple[tuple[bool, str, int], AsyncConnection]] = []
        self._tls: Any = None

    async def open(self, request: Request) -> AsyncResponse:
        """Sends the request, and waits for the head of the response. Raises ApiError."""
        if (connection := self._take_idle(request)) is not None:
            try:
                return await self._send(connection, request)
            except (ConnectionError, ProtocolError):
                pass  # servers close connections that were idle
            except OSError as error:
                raise unreachable(request.url, error) from None
        try:
            return await self._send(await self._connect(request), request)
        except (OSError, ProtocolError, UnicodeError, asyncio.TimeoutError) as error:
            raise unreachable(request.url, error) from None

    async def exchange(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the response. Raises ApiError."""
        async with await self.open(request) as response:
            return response.status, response.headers, await response.read_all(self.seconds)

    def _take_idle(self, request: Request) -> AsyncConnection | None:
        loop = asyncio.get_running_loop()
        while self._idle:
            place, connection = self._idle.pop()
            if place == request.place and connection.loop is loop and not connection.is_closed:
                return connection
            connection.close()
        return None

    def keep(self, request: Request, connection: AsyncConnection) -> None:
        """Keeps a connection for another request."""
        self._idle.append((request.place, connection))
        if len(self._idle) > _MAX_IDLE:
            self._idle.pop(0)[1].close()

    async def _connect(self, request: Request) -> AsyncConnection:
        tls: Any = None
        if request.is_encrypted:
            import ssl

            tls = self._tls = self._tls or ssl.create_default_context()
        connecting = asyncio.open_connection(request.host, request.port, ssl=tls)
        reader, writer = await asyncio.wait_for(connecting, min(self.seconds, CONNECT_SECONDS))
        return AsyncConnection(reader, writer)

    async def _send(self, connection: AsyncConnection, request: Request) -> AsyncResponse:
        parser = ResponseParser()
        try:
            await connection.send(request.data)
            first = b""
            while not parser.status:
                received = await connection.read(self.seconds)
                if received is None:
                    raise OSError(f"no response for {self.seconds:g} s")
                first = parser.feed(received)
        except BaseException:
            connection.close()
            raise
        return AsyncResponse(self, request, connection, parser, first)

    def close(self) -> None:
        """Closes the connections that are kept."""
        while self._idle:
            self._idle.pop()[1].close()
