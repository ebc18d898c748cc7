"""Uvicorn's HTTP and WebSocket protocols, with time limits, and with exact parsing of upgrades."""

import asyncio
from typing import Any

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State

from graph.transport.descriptors import REFUSAL, RESERVE_TIMEOUT, Descriptors, only_probes
from graph.transport.frames import WRITE_FRAME
from graph.web.artifacts import LONG_BODY
from graph.web.log_links import CUT_OFF

MAX_MESSAGE_BYTES = 64 * 1024
"""The largest WebSocket message that is accepted."""

DRAIN_TIMEOUT = 2.0
"""Seconds for clients to receive the rest of what was sent when a connection or the server closes."""

_MAX_FRAGMENTS = 1000
"""Frames of a WebSocket message."""

_SEND_CHECKS = 6
"""How often within the send timeout the progress of the client is checked."""

_WRITE_BUFFER = 32 * 1024
"""Bytes buffered per WebSocket before writers have to wait."""

_REQUEST_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 35\r\n\r\nThe request took too long to arrive"
)

_BAD_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 28\r\n\r\nInvalid websocket handshake."
)

_BODY_HEADERS = (b"content-length", b"transfer-encoding")
"""Headers that announce a request body."""


class Config(uvicorn.Config):
    """Uvicorn's configuration, with the time limits of connections in seconds."""

    def __init__(self, app: ASGIApp, *, request_timeout: float, send_timeout: float, **rest: Any) -> None:
        super().__init__(app, **rest)
        self.request_timeout = request_timeout
        self.send_timeout = send_timeout
        self.descriptors: Descriptors | None = None


class _SendTimeout(asyncio.Protocol):
    """Aborts the connection of a client that receives nothing for the send timeout.

    Neither WebSocket pings nor a close would do: both queue behind the data that is not received.
    """

    config: Config
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _next_check: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._check(self.transport.get_write_buffer_size(), 0)

    def _check(self, buffered: int, checks: int) -> None:
        """`checks` have found no progress since `buffered` bytes were left."""
        now = self.transport.get_write_buffer_size()
        if now < buffered:
            checks = 0
        elif checks == _SEND_CHECKS:
            self.transport.abort()
            return
        delay = self.config.send_timeout / _SEND_CHECKS
        self._next_check = self.loop.call_later(delay, self._check, now, checks + 1)

    def resume_writing(self) -> None:
        self._cancel_check()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_check()
        super().connection_lost(exc)

    def _cancel_check(self) -> None:
        if self._next_check is not None:
            self._next_check.cancel()
            self._next_check = None


class _OpenTransport:
    """A transport that ignores writes once it is closing: uvloop would raise, and uvicorn log a traceback."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def write(self, data: bytes) -> None:
        """Write unless the transport is closing."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class HttpConnection(_SendTimeout, HttpToolsProtocol):
    """An HTTP connection with a request timeout, which ends event streams when the server stops.

    The header Upgrade is ignored unless the request is a WebSocket handshake (RFC 9110, section 7.8). The
    parser expects another protocol after any header section with Upgrade, and would take the body of the
    request for the next request: such a header section is parsed again without it.
    """

    config: Config
    _request_timer: asyncio.TimerHandle | None = None
    _is_long = False
    """Whether the body of the current request may take longer, while it arrives."""
    _has_arrived = False
    """Whether some of it has arrived since the timer was started."""
    _probes_only = False
    """Whether file descriptors are so scarce that this connection may only send health probes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_OpenTransport(transport))  # type: ignore[arg-type]
        descriptors = self.config.descriptors
        if descriptors is not None and descriptors.are_scarce(transport):
            self._probes_only = True
            self.app = only_probes(self.app)
            if descriptors.are_used_up(transport):
                self.transport.write(REFUSAL)
                self.transport.close()
                return
        self._start_request_timer()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._has_arrived = True
        try:
            self._parse(data)
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)
            return
        # Most requests arrive in one piece, and need no timer.
        cycle: Any = self.cycle
        if self._request_timer is None and (cycle is None or cycle.response_complete or cycle.more_body):
            # Not if it has become a WebSocket, which has another protocol.
            if self.transport.get_protocol() is self:
                self._start_request_timer()

    def _parse(self, data: bytes) -> None:
        """Raises HttpParserError."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self.scope["method"] == "CONNECT":
                    raise httptools.HttpParserError("CONNECT is not supported") from None
                if self._should_upgrade():
                    if self._is_answering():
                        raise httptools.HttpParserError("handshake within a pipeline") from None
                    self.handle_websocket_upgrade()
                    return
                data = self._header_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                # As uvicorn sets up the first parser.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _should_upgrade(self) -> bool:
        # A handshake has no body (RFC 6455, section 4.1): it would be taken for the next request.
        is_get = self.scope["method"] == "GET" and self.parser.get_http_version() == "1.1"
        has_body = any(name in _BODY_HEADERS and value != b"0" for name, value in self.headers)
        return is_get and not has_body and super()._should_upgrade()

    def _header_without_upgrade(self) -> bytes:
        """The last header section that was parsed, without Upgrade."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.scope["method"].encode(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def _is_answering(self) -> bool:
        """Whether the previous request is not answered yet."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            # For `_parse`, which decides whether to upgrade.
            self.scope["method"] = self.parser.get_method().decode()
        else:
            self._is_long = False
            extensions: Any = {LONG_BODY: self.allow_long_body, CUT_OFF: self.cut_off}
            self.scope["extensions"] = extensions
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._cancel_request_timer()

    def handle_websocket_upgrade(self) -> None:
        self._cancel_request_timer()
        if self._probes_only:
            self.transport.write(REFUSAL)
            self.transport.close()
            return
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_request_timer()
        super().connection_lost(exc)

    def allow_long_body(self) -> None:
        """Let the body of the current request take longer than the request timeout, as long as some of it
        arrives within each such time."""
        self._is_long = True

    def cut_off(self) -> None:
        """Close the connection in the middle of a response: its client sees that the rest is missing."""
        # As if the client had disconnected: uvicorn would log an incomplete response as an error.
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self.transport.close()

    def _start_request_timer(self) -> None:
        seconds = RESERVE_TIMEOUT if self._probes_only else self.config.request_timeout
        self._request_timer = self.loop.call_later(seconds, self._time_out)

    def _cancel_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _time_out(self) -> None:
        self._request_timer = None
        if self._is_long and (self._has_arrived or self.flow.read_paused):
            self._has_arrived = False
            self._start_request_timer()
            return
        cycle: Any = self.cycle
        scope: Any = self.scope
        if cycle is None or cycle.scope is not scope:
            # Browsers open connections in advance, and expect no response to nothing.
            respond = scope is not None
        else:
            respond = not cycle.response_started
            # As if the client had disconnected: nothing waits for the rest of the request.
            cycle.disconnected = True
            cycle.message_event.set()
        if respond:
            self.transport.write(_REQUEST_TIMEOUT)
        self.transport.close()

    def shutdown(self) -> None:
        super().shutdown()
        if _is_event_stream(self.cycle):
            self.cut_off()  # without `complete`: the client reconnects


class WebSocketConnection(_SendTimeout, WebSocketsSansIOProtocol):
    """A WebSocket connection; uvicorn closes it with 1012 when the server stops."""

    config: Config

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Upgraded from an HTTP connection.
        super().connection_made(transport.transport if isinstance(transport, _OpenTransport) else transport)
        self.transport.set_write_buffer_limits(_WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            # Uvicorn would not answer a handshake that cannot be parsed, and wait forever.
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_HANDSHAKE)
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.conn.extensions and hasattr(self, "scope"):
            self.scope["extensions"][WRITE_FRAME] = self.write_frame  # type: ignore[assignment]

    def start_keepalive(self) -> None:
        super().start_keepalive()
        # The library keeps the handshake as long as the connection: 3 KB that the ASGI scope has too.
        self.request.headers.clear()
        del self.request, self.response

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        if len(self.frames) == _MAX_FRAGMENTS:
            # Empty fragments never reach the size limit.
            self._refuse(CloseCode.MESSAGE_TOO_BIG)
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                # Uvicorn would log a traceback for each such message.
                self._refuse(CloseCode.INVALID_DATA)
                return
        super().send_receive_event_to_app()

    def _refuse(self, code: CloseCode) -> None:
        """Close the connection after an invalid message."""
        self.frames = []
        self.conn.send_close(code)
        self.handle_parser_exception()

    def write_frame(self, frame: bytes) -> bool:
        """Write a frame at once; False if that would have to wait, or the connection is closing."""
        transport = self.transport
        if self.conn.state is not State.OPEN or not self.writable.is_set() or transport.is_closing():
            return False
        transport.write(frame)
        return True

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # The client may have disappeared: a graceful close would wait for it to receive the rest.
        self.loop.call_later(DRAIN_TIMEOUT, self.transport.abort)


def _is_event_stream(cycle: Any) -> bool:
    """Whether a response in progress may be an endless stream of server-sent events."""
    if cycle is None or cycle.response_complete:
        return False
    return any(
        name == b"accept" and b"text/event-stream" in value.lower() for name, value in cycle.scope["headers"]
    )
