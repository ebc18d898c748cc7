"""Owns how the tests speak graphql-transport-ws by hand, message by message."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PROTOCOL = "graphql-transport-ws"
SECONDS = 40


class Socket:
    """A websocket; everything is waited for at most SECONDS."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: object) -> None:
        """As JSON, or text as it is."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def subscribe(self, id: str, query: str, **parameters: object) -> None:
        await self.send({"type": "subscribe", "id": id, "payload": {"query": query, **parameters}})

    async def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.connection.recv(), SECONDS))
        return message

    async def data(self, id: str) -> Any:
        """The value of the one field in the next message, which is a result of this operation."""
        message = await self.next()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def error(self, id: str) -> dict[str, Any]:
        """The one error in the next message, which says that this operation was not executed."""
        message = await self.next()
        assert (message["type"], message["id"]) == ("error", id), message
        (error,) = message["payload"]
        found: dict[str, Any] = error
        return found

    async def completes(self, id: str) -> None:
        assert await self.next() == {"type": "complete", "id": id}

    async def close_code(self, seconds: float = SECONDS) -> int:
        """The code that the server closes with; nothing comes before."""
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(self.connection.recv(), seconds)
        assert closed.value.rcvd is not None, "the connection broke off without a close frame"
        return int(closed.value.rcvd.code)

    async def close_code_at_the_end(self) -> int:
        """The code that the server closes with; whatever comes before is taken."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(SECONDS):
                while True:
                    await self.connection.recv()
        return await self.close_code()


@asynccontextmanager
async def opened(
    url: str,
    *protocols: str,
    origin: str | None = None,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[Socket]:
    """A websocket, before its `connection_init`."""
    wanted = [Subprotocol(name) for name in protocols or (PROTOCOL,)]
    headers = {**(headers or {}), **({"Origin": origin} if origin else {})}
    async with connect(
        url.replace("http", "ws", 1),
        subprotocols=wanted,
        additional_headers=headers,
        open_timeout=SECONDS,
        close_timeout=1,
        **options,
    ) as connection:
        yield Socket(connection)


@asynccontextmanager
async def connected(
    url: str, payload: dict[str, object] | None = None, **options: Any
) -> AsyncIterator[Socket]:
    """A websocket that the server has acknowledged, after a `connection_init` with this payload."""
    async with opened(url, **options) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.next() == {"type": "connection_ack"}
        yield socket
