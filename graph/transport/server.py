"""Owns the server process: how it listens, when it gives up on a client, and how it stops."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import httptools
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State

from graph.transport.descriptors import (
    REFUSAL,
    WAITS,
    Descriptors,
    only_probes,
)

logger = structlog.get_logger("rungraph.server")

MAX_MESSAGE_BYTES = 64 * 1024
"""The largest message that a websocket may bring."""

_MOST_FRAGMENTS = 1000
"""Frames that a message may come in."""

PATIENCE = 30.0
"""Seconds after which a client that takes nothing of what it is sent is cut off."""

_LOOKS = 6
"""How often within that time it is looked whether the client took anything."""

_SEND_BUFFER = 64 * 1024
"""Bytes that the system keeps for a client that is slow to take them; it would take megabytes. Linux takes
twice that, for what it needs itself."""

_WRITE_BUFFER = 32 * 1024
"""Bytes that this process keeps for such a client, beyond which it has to wait."""

FRAMES = "rungraph.frames"
"""The extension of ASGI by which frames of a websocket are written at once, where they need not wait: a
function of a frame, which says whether it was written."""

_FLUSH = 2.0
"""Seconds that clients have to take the rest when the server stops."""

_FINISH = 5
"""Seconds that requests have to come to their end when the server stops."""

_STOP = 9.0
"""Seconds after which a server that stops is gone, whatever its database does."""

_BACKLOG = 2048
"""Connections that the system keeps for a server that is slow to accept them."""

_COLLECT_AFTER = (10_000, 3, 3)
"""Objects more than before, after which Python looks among the new ones for those that only hold each other;
and after how many such looks it looks among older ones too. What a large document leaves behind takes it 1 µs
each, in which nobody is served: with its own 10 and 10, a look may find a million of them."""

_LET_GO_AFTER = 0.0005
"""Seconds after which a thread that looks at something large lets the loop go on, which asks for that after
each call of the system: with Python's 5 ms, forty of them would be a pause of 200."""

REQUEST_TIMEOUT = 20.0
"""Seconds that a request may take to arrive, unless told otherwise."""

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 33\r\n\r\nThe request took too long to come"
)

_FRAMING = (b"content-length", b"transfer-encoding")
"""The fields that say that a request has a body."""

_NO_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 28\r\n\r\nInvalid websocket handshake."
)

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListen(Exception):
    """The address is taken, or is none of this machine's; the message says which and why."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at the address: more than one where a name has several. Raises CannotListen."""
    listening: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            try:
                listening.append(socket.create_server(address, family=family, backlog=_BACKLOG))
            except OSError as error:
                # `localhost` has an address of IPv6 also where there is none.
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if not listening:
            raise missing
    except OSError as error:
        for one in listening:
            one.close()
        # Python adds the address, which is said here already.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        raise CannotListen(f"cannot listen at {host}, port {port}: {reason}") from None
    return listening


class _Impatient(asyncio.Protocol):
    """A connection that is cut off when its client takes nothing for PATIENCE.

    Neither a websocket's pings nor closing it would do: both wait behind what is not taken.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _next_look: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look(self.transport.get_write_buffer_size(), 0)

    def _look(self, waiting: int, looks: int) -> None:
        """`waiting` bytes waited when something was taken last, that many looks ago."""
        now = self.transport.get_write_buffer_size()
        if now < waiting:
            looks = 0
        elif looks == _LOOKS:
            return self.transport.abort()
        self._next_look = self.loop.call_later(PATIENCE / _LOOKS, self._look, now, looks + 1)
        return None

    def resume_writing(self) -> None:
        self._look_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._look_no_more()
        super().connection_lost(exc)

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None


class _Config(uvicorn.Config):
    """Uvicorn's, with what connections of ours have to know beside it."""

    def __init__(self, app: ASGIApp, *, request_timeout: float, **rest: Any) -> None:
        super().__init__(app, **rest)
        self.request_timeout = request_timeout
        self.descriptors: Descriptors | None = None


class _WhileOpen:
    """A transport whose client may leave: to write what comes too late would raise an error in uvloop, for
    which uvicorn logs a traceback."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def write(self, data: bytes) -> None:
        """Write it, where the client is still here."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class HttpConnection(_Impatient, HttpToolsProtocol):
    """Uvicorn's connection of HTTP, which waits only so long for a request, and ends streams of events when
    the server stops.

    The field Upgrade is ignored unless the request is a websocket's handshake (RFC 9110, 7.8). The parser
    expects another protocol behind each header section that has the field, and would take the body of the
    request for the next request: such a header section is parsed again without it.
    """

    config: _Config
    _coming: asyncio.TimerHandle | None = None
    """When a request has to be here whole that is coming."""
    _is_of_reserve = False
    """Whether there are so few descriptors that it may only ask whether the server lives."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_WhileOpen(transport))  # type: ignore[arg-type]
        descriptors = self.config.descriptors
        if descriptors is not None and descriptors.are_scarce(transport):
            self._is_of_reserve = True
            self.app = only_probes(self.app)
            if descriptors.are_used_up(transport):
                self.transport.write(REFUSAL)
                self.transport.close()
                return
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)
            return
        # Most requests come in one piece, and have no timer.
        cycle: Any = self.cycle
        if self._coming is None and (cycle is None or cycle.response_complete or cycle.more_body):
            # It may be a websocket by now, which has a protocol of its own.
            if self.transport.get_protocol() is self:
                self._wait_for_request()

    def _parse(self, data: bytes) -> None:
        """Feed the parser. Raises HttpParserError."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self.scope["method"] == "CONNECT":
                    raise httptools.HttpParserError("this is no proxy") from None
                if self._should_upgrade():
                    if self._is_answering():
                        raise httptools.HttpParserError("a handshake waits for no answer") from None
                    self.handle_websocket_upgrade()
                    return
                data = self._header_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                # As uvicorn's first parser.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _should_upgrade(self) -> bool:
        # A handshake has no body (RFC 6455, 4.1). One that did would be none, and its body the next request.
        is_get = self.scope["method"] == "GET" and self.parser.get_http_version() == "1.1"
        has_body = any(name in _FRAMING and value != b"0" for name, value in self.headers)
        return is_get and not has_body and super()._should_upgrade()

    def _header_without_upgrade(self) -> bytes:
        """The header section of the request that was parsed last, without the field Upgrade."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.scope["method"].encode(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def _is_answering(self) -> bool:
        """Whether a request that came before is not answered yet."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            # `_parse` decides what becomes of it, and needs the method for that.
            self.scope["method"] = self.parser.get_method().decode()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._wait_no_more()

    def handle_websocket_upgrade(self) -> None:
        self._wait_no_more()
        if self._is_of_reserve:
            self.transport.write(REFUSAL)
            self.transport.close()
            return
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_for_request(self) -> None:
        seconds = WAITS if self._is_of_reserve else self.config.request_timeout
        self._coming = self.loop.call_later(seconds, self._give_up)

    def _wait_no_more(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _give_up(self) -> None:
        self._coming = None
        cycle: Any = self.cycle
        scope: Any = self.scope
        if cycle is None or cycle.scope is not scope:
            # A browser may connect without asking for anything, and needs no answer to that.
            is_asked = scope is not None
        else:
            is_asked = not cycle.response_started
            # As if the client had left: nobody waits for the rest.
            cycle.disconnected = True
            cycle.message_event.set()
        if is_asked:
            self.transport.write(_TOO_SLOW)
        self.transport.close()

    def shutdown(self) -> None:
        super().shutdown()
        if _goes_on(self.cycle):
            # As if the client had left. The client sees its stream break off, and knows to come again.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.close()


class WebSocketConnection(_Impatient, WebSocketsSansIOProtocol):
    """Uvicorn's connection of a websocket, which it closes with 1012 when the server stops."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # It comes from a connection of HTTP.
        super().connection_made(transport.transport if isinstance(transport, _WhileOpen) else transport)
        self.transport.set_write_buffer_limits(_WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            # Of a handshake that cannot be parsed uvicorn says nothing, and waits for ever.
            self.transport.write(b"".join(self.conn.data_to_send()) or _NO_HANDSHAKE)
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.conn.extensions and hasattr(self, "scope"):
            self.scope["extensions"][FRAMES] = self.write_frame  # type: ignore[assignment]

    def start_keepalive(self) -> None:
        super().start_keepalive()
        # The handshake is over. What was said in it takes 3 KB, and is in the scope of ASGI where needed;
        # the library keeps the request as long as the connection.
        self.request.headers.clear()
        del self.request, self.response

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        if len(self.frames) == _MOST_FRAGMENTS:
            # Empty ones never come to the largest message.
            self._refuse(CloseCode.MESSAGE_TOO_BIG)
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                # Uvicorn would log a traceback, as often as anybody sends such a message.
                self._refuse(CloseCode.INVALID_DATA)
                return
        super().send_receive_event_to_app()

    def _refuse(self, code: CloseCode) -> None:
        """Close for what a client sent."""
        self.frames = []
        self.conn.send_close(code)
        self.handle_parser_exception()

    def write_frame(self, frame: bytes) -> bool:
        """Write what `text_frame` made; False where it has to wait, or cannot be written."""
        transport = self.transport
        if self.conn.state is not State.OPEN or not self.writable.is_set() or transport.is_closing():
            return False
        transport.write(frame)
        return True

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # Nobody answers, so nobody may be there to take the rest: closing alone would wait for that.
        self.loop.call_later(_FLUSH, self.transport.abort)


def more_stop_signals() -> list[signal.Signals]:
    """The signals that stop a server beside SIGINT and SIGTERM: the terminal is gone, or somebody wants it to
    end at once. `nohup` has the first one ignored, and so it stays."""
    both = (signal.SIGHUP, signal.SIGQUIT)
    return [number for number in both if signal.getsignal(number) is not signal.SIG_IGN]


class Server(uvicorn.Server):
    """The application on a port.

    A signal (SIGTERM, SIGINT, SIGHUP or SIGQUIT) stops it: it goes on for `stop_delay` seconds, in which
    `should_exit` is true already, then it listens no more and ends its connections. A second signal cuts the
    delay short. `on_start` is called when it has begun to serve. A request has to be here whole within
    `request_timeout` seconds. Which address a client has, the headers of `trusted_proxies` say, which are
    addresses and networks.
    """

    config: _Config

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        stop_delay: float = 0,
        request_timeout: float = REQUEST_TIMEOUT,
        trusted_proxies: Sequence[str] = (),
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self.stop_delay = stop_delay
        self._on_start = on_start
        super().__init__(
            _Config(
                app,
                request_timeout=request_timeout,
                host=host,
                port=port,
                http=HttpConnection,
                ws=WebSocketConnection,
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_ping_interval=20,
                ws_ping_timeout=20,
                # It doubles what a subscriber costs, for frames that are small.
                ws_per_message_deflate=False,
                # It logs as all libraries do. At lower levels it repeats what clients send, tokens too.
                log_level="warning",
                log_config=None,
                # Addresses hold variables of GET requests, which are nobody's business.
                access_log=False,
                # By default it takes the address that a client claims to have, from anybody on this machine.
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=list(trusted_proxies),
                server_header=False,
                timeout_graceful_shutdown=_FINISH,
                backlog=_BACKLOG,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in a process that does nothing else."""
        # What is there now stays until the end. Python would look at all of it again and again for what may
        # be thrown away, 70 ms each time, in which nobody is served.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)
        sys.setswitchinterval(_LET_GO_AFTER)
        super().run(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            before = {}
            if threading.current_thread() is threading.main_thread():
                before = {number: signal.signal(number, self.handle_exit) for number in more_stop_signals()}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
            # Uvicorn would now let the process die of the signal, which has got what it asked for.
            self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and self.stop_delay:
            self.stop_delay = 0
        else:
            super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        await super().main_loop()
        began = time.monotonic()
        while time.monotonic() - began < self.stop_delay:  # noqa: ASYNC110 - a signal cannot set an event
            await asyncio.sleep(0.1)
        self.stop_delay = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.descriptors = Descriptors()
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                _set_options(listening.fileno())
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cutting = asyncio.create_task(self._cut_off())
        try:
            async with asyncio.timeout(_STOP):
                await super().shutdown(sockets)
        except TimeoutError:
            logger.warning("stopped without having closed everything")
        finally:
            cutting.cancel()

    async def _cut_off(self) -> None:
        """Ends what hinders the stop: streams that began meanwhile, and clients that take nothing."""
        await asyncio.sleep(_FLUSH)
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpConnection):
                connection.shutdown()
            if connection.transport.get_write_buffer_size():
                connection.transport.abort()


def _goes_on(cycle: RequestResponseCycle | None) -> bool:
    """Whether this is a stream of events, which nothing would end."""
    if cycle is None or cycle.response_complete:
        return False
    return any(
        name == b"accept" and b"text/event-stream" in value.lower() for name, value in cycle.scope["headers"]
    )


def _set_options(listening: int) -> None:
    """What connections inherit from the socket they came in by."""
    # A copy, since asyncio and uvloop do not let everyone set options on theirs.
    with socket.socket(fileno=os.dup(listening)) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000))
