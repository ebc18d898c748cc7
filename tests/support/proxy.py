"""A TCP proxy whose connections can be stalled, broken or refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url


class Proxy:
    """Forwards connections from one local port to another."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stranded: list[asyncio.Event] = []
        self._upstreams: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._connecting = asyncio.Event()
        self._connecting.set()
        self._links: set[asyncio.StreamWriter] = set()

    def stall(self) -> None:
        """Stops forwarding without closing connections."""
        self._flowing.clear()

    def flow(self) -> None:
        """Forwards again, including what was held back."""
        self._flowing.set()

    def strand(self) -> None:
        """Stalls the existing connections for good, without closing those of the clients; new ones work. The
        server's sides are dropped, as after a replacement of the server."""
        self._flowing.clear()
        self._stranded.append(self._flowing)
        self._flowing = asyncio.Event()
        self._flowing.set()
        for upstream in self._upstreams:
            upstream.transport.abort()

    def end(self) -> None:
        """Breaks all connections, including stalled ones."""
        self.flow()
        for stranded in self._stranded:
            stranded.set()
        self.cut()

    def refuse(self, refusing: bool = True) -> None:
        """Closes existing and new connections, or stops doing so."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def hold(self) -> None:
        """Breaks all connections; new ones are accepted and wait for `forward`."""
        self._connecting.clear()
        self.cut()

    def forward(self, url: str) -> None:
        """Forwards to the server of this URL: existing connections break; waiting and new ones get this
        server."""
        target = make_url(url).port
        assert target is not None
        self._target = target
        self.refuse(False)
        self.cut()
        self._connecting.set()

    def cut(self) -> None:
        """Breaks all connections."""
        for link in self._links:
            link.transport.abort()

    def url(self, url: str) -> str:
        """The URL of the same server through this proxy."""
        return make_url(url).set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one connection in both directions."""
        if self._refusing:
            await _abort(writer)
            return
        await self._connecting.wait()
        target = self._target
        try:
            there = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            await _abort(writer)
            return
        links = {writer, there[1]}
        if self._target != target or self._refusing:  # that has changed since
            await _abort(*links)
            return
        self._links |= links
        self._upstreams.add(there[1])
        try:
            flowing = self._flowing
            await asyncio.gather(self._pass(reader, there[1], flowing), self._pass(there[0], writer, flowing))
        finally:
            self._links -= links
            self._upstreams.discard(there[1])
            await _abort(*links)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await flowing.wait()
                writer.write(data)
                await writer.drain()
        await flowing.wait()
        writer.transport.abort()


async def _abort(*links: asyncio.StreamWriter) -> None:
    for link in links:
        link.transport.abort()
    for link in links:
        with contextlib.suppress(OSError):
            await link.wait_closed()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the server of this URL."""
    target = make_url(url).port
    assert target is not None
    proxy = Proxy(target)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        await proxy.serve(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy._connecting.set()
        proxy.refuse()
        proxy.end()
        await asyncio.sleep(0)  # who was accepted last begins, and is refused
        await asyncio.gather(*connections, return_exceptions=True)
