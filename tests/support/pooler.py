"""Owns a pooler of connections to PostgreSQL that knows nothing of prepared statements, as old ones do."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_SSL_REQUEST = 80877103
_READY = b"Z"


@asynccontextmanager
async def pooling(url: str) -> AsyncIterator[str]:
    """The URL of the same database through a pooler: each transaction gets the connection that was given back
    last."""
    target = make_url(url)
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken: Connection | None = None
        try:
            startup = await _startup(reader, writer)
            connected = await asyncio.open_connection(target.host, target.port)
            connected[1].write(startup)
            await _pass_on(connected[0], writer)
            idle.append(connected)
            while (message := await _message(reader))[:1] != b"X":  # by which a client says goodbye
                if taken is None:
                    taken = idle.pop()
                    giving_back = asyncio.create_task(_pass_on(taken[0], writer))
                taken[1].write(message)
                if message[:1] in b"QS":  # what the server answers by saying that it is ready
                    if await giving_back == b"I":
                        idle.append(taken)
                        taken = None
                    else:
                        giving_back = asyncio.create_task(_pass_on(taken[0], writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if taken is not None:
                giving_back.cancel()
                taken[1].close()
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
    """What the client begins with; that it would like TLS is declined."""
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


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Pass on what the server says until it is ready; whether it is in a transaction then."""
    while True:
        message = await _message(reader)
        writer.write(message)
        if message[:1] == _READY:
            return message[5:]
