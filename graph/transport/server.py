"""The server process: listening sockets, signals, and a shutdown that takes bounded time."""

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

import structlog
import uvicorn
from starlette.types import ASGIApp

from graph.transport.connections import (
    DRAIN_TIMEOUT,
    MAX_MESSAGE_BYTES,
    Config,
    HttpConnection,
    WebSocketConnection,
)
from graph.transport.descriptors import Descriptors

logger = structlog.get_logger("rungraph.server")

REQUEST_TIMEOUT = 20.0
"""Default of `request_timeout`."""
SEND_TIMEOUT = 30.0
"""Default of `send_timeout`."""
STOP_TIMEOUT = 9.0
"""Default of `stop_timeout`."""

_FINISH_TIMEOUT = 5
"""Seconds for running requests to finish when the server stops."""

_SEND_BUFFER = 64 * 1024
"""Bytes of a socket's kernel send buffer, which grows to megabytes by default. Linux doubles the value."""

_BACKLOG = 2048
"""Connections that the kernel queues until they are accepted."""

_GC_THRESHOLD = (10_000, 3, 3)
"""Thresholds of the garbage collector, which pauses the server for 1 µs per object. With the default of
10 and 10, one collection may find a million objects that a large document left behind."""

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread with a long computation lets the event loop run. The loop asks for that after
each system call: with Python's default of 5 ms, forty of them would be a pause of 200 ms."""

_UNAVAILABLE_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListen(Exception):
    """The address is in use, or does not belong to this machine; the message has both."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets, one for each address of the host name. Raises CannotListen."""
    listening: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            try:
                listening.append(socket.create_server(address, family=family, backlog=_BACKLOG))
            except OSError as error:
                # `localhost` has an IPv6 address even where IPv6 is off.
                if error.errno not in _UNAVAILABLE_ADDRESS:
                    raise
                unavailable = error
        if not listening:
            raise unavailable
    except OSError as error:
        for each in listening:
            each.close()
        # Python appends the address, which this message contains already.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        if error.errno == errno.EADDRINUSE:
            reason += "; choose another port by --port or RUNGRAPH_PORT"
        raise CannotListen(f"cannot listen at {host}, port {port}: {reason}") from None
    return listening


def more_stop_signals() -> list[signal.Signals]:
    """The signals beside SIGINT and SIGTERM that stop a server. `nohup` ignores SIGHUP, and so it stays."""
    both = (signal.SIGHUP, signal.SIGQUIT)
    return [number for number in both if signal.getsignal(number) is not signal.SIG_IGN]


class Server(uvicorn.Server):
    """Serves an application on a port.

    SIGTERM, SIGINT, SIGHUP or SIGQUIT stops it: it serves for `stop_delay` more seconds, with `should_exit`
    set, then stops listening and closes its connections, within `stop_timeout` seconds. A second signal skips
    the delay. Requests have to arrive within `request_timeout` seconds, and connections are aborted whose
    client receives nothing for `send_timeout` seconds. Proxy headers count from the addresses and networks
    `trusted_proxies`. `on_start` is called when the server has started, and
    `on_stop` before it stops listening.
    """

    config: Config

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        stop_delay: float = 0,
        stop_timeout: float = STOP_TIMEOUT,
        request_timeout: float = REQUEST_TIMEOUT,
        send_timeout: float = SEND_TIMEOUT,
        trusted_proxies: Sequence[str] = (),
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self.stop_delay = stop_delay
        self._stop_timeout = stop_timeout
        self._on_start = on_start
        self.on_stop: Callable[[], None] = lambda: None
        super().__init__(
            Config(
                app,
                request_timeout=request_timeout,
                send_timeout=send_timeout,
                host=host,
                port=port,
                http=HttpConnection,
                ws=WebSocketConnection,
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_ping_interval=20,
                ws_ping_timeout=20,
                # It doubles the cost of a subscriber, and frames are small.
                ws_per_message_deflate=False,
                # At lower levels its lines contain what clients send, such as tokens.
                log_level="warning",
                log_config=None,
                # URLs contain the variables of GET requests.
                access_log=False,
                # The default trusts the headers of all clients on this machine.
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=list(trusted_proxies),
                server_header=False,
                timeout_graceful_shutdown=_FINISH_TIMEOUT,
                backlog=_BACKLOG,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in a process that does nothing else: also tunes the interpreter, and enables the garbage
        collector if it was disabled for the start."""
        # All objects so far stay until the end: each full collection would take 70 ms for them.
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(*_GC_THRESHOLD)
        sys.setswitchinterval(_SWITCH_INTERVAL)
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
            # Uvicorn would raise the signal again, and the exit code would not be 0.
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
        self.on_stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.descriptors = Descriptors()
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                _set_options(listening.fileno(), self.config.send_timeout)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.create_task(self._close_remaining())
        try:
            async with asyncio.timeout(self._stop_timeout):
                await super().shutdown(sockets)
        except TimeoutError:
            logger.warning("stopped before everything was closed")
        finally:
            closing.cancel()

    async def _close_remaining(self) -> None:
        """Close what would delay the stop: streams that began meanwhile, and clients that receive nothing."""
        await asyncio.sleep(DRAIN_TIMEOUT)
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpConnection):
                connection.shutdown()
            if connection.transport.get_write_buffer_size():
                connection.transport.abort()


def _set_options(listening: int, send_timeout: float) -> None:
    """Set the options that connections inherit from their listening socket."""
    # On a copy, since asyncio and uvloop restrict access to their sockets.
    with socket.socket(fileno=os.dup(listening)) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(send_timeout * 1000))
