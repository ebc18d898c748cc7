"""A websocket client for graphql-transport-ws, message by message."""

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
    """A websocket; every wait is limited to SECONDS."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: object) -> None:
        """Sends JSON, or text unchanged."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def subscribe(self, id: str, query: str, **parameters: object) -> None:
        await self.send({"type": "subscribe", "id": id, "payload": {"query": query, **parameters}})

    async def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.connection.recv(), SECONDS))
        return message

    async def data(self, id: str) -> Any:
        """The value of the only field of the next message, a result of this operation."""
        message = await self.next()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def error(self, id: str) -> dict[str, Any]:
        """The only error of the next message, which rejects this operation."""
        message = await self.next()
        assert (message["type"], message["id"]) == ("error", id), message
        (error,) = message["payload"]
        found: dict[str, Any] = error
        return found

    async def completes(self, id: str) -> None:
        assert await self.next() == {"type": "complete", "id": id}

    async def close_code(self, seconds: float = SECONDS) -> int:
        """The close code; no message comes before it."""
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(self.connection.recv(), seconds)
        assert closed.value.rcvd is not None, "the connection broke off without a close frame"
        return int(closed.value.rcvd.code)

    async def close_code_at_the_end(self) -> int:
        """The close code; messages before it are skipped."""
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
    """Opens a websocket without `connection_init`."""
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
    """Opens a websocket and waits for `connection_ack` after a `connection_init` with this payload."""
    async with opened(url, **options) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.next() == {"type": "connection_ack"}
        yield socket
