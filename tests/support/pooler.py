"""A connection pooler for PostgreSQL without support for prepared statements, as in old releases."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_SSL_REQUEST = 80877103
_READY = b"Z"


@asynccontextmanager
async def running_pooler(url: str) -> AsyncIterator[str]:
    """Runs a pooler; yields the URL of the same database through it. Each transaction gets the connection
    that was released last."""
    target = make_url(url)
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: Connection | None = None
        try:
            startup = await _startup(reader, writer)
            connection = await asyncio.open_connection(target.host, target.port)
            connection[1].write(startup)
            await _forward(connection[0], writer)
            idle.append(connection)
            while (message := await _message(reader))[:1] != b"X":  # Terminate
                if upstream is None:
                    upstream = idle.pop()
                    relay = asyncio.create_task(_forward(upstream[0], writer))
                upstream[1].write(message)
                if message[:1] in b"QS":  # what the server answers by saying that it is ready
                    if await relay == b"I":
                        idle.append(upstream)
                        upstream = None
                    else:
                        relay = asyncio.create_task(_forward(upstream[0], writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if upstream is not None:
                relay.cancel()
                upstream[1].close()
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in idle:
            writer.close()


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The startup message of the client; a request for TLS is declined."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!ii", head)
        rest = await reader.readexactly(length - 8)
        if code != _SSL_REQUEST:
            return head + rest
        writer.write(b"N")


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Forwards the server's messages until it is ready; returns its transaction status."""
    while True:
        message = await _message(reader)
        writer.write(message)
        if message[:1] == _READY:
            return message[5:]
