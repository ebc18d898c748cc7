"""Viewers: each follows one subscription over a websocket, from replica to replica, and records what it
receives."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

_OPEN_SECONDS = 5.0
_RETRY = 0.2


@dataclass(frozen=True)
class Query:
    """A subscription to a field whose frames have a list of the same name."""

    field: str
    text: str
    variables: dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """A received row."""

    time: float
    """The time.monotonic() of its receipt."""
    stream: int
    """The number of its connection, from 1."""
    revision: int
    row: dict[str, Any]


class Viewer:
    """A viewer. After a lost stream it resumes at the next replica from its last cursor."""

    parse: Callable[[str | bytes], Any] = staticmethod(json.loads)

    def __init__(self, name: str, urls: list[str], query: Query) -> None:
        self.name = name
        self.rows: dict[str, dict[str, Any]] = {}
        """The current rows by id."""
        self.seen: dict[str, list[Seen]] = {}
        """All received rows, by the name of the row or the key of the event."""
        self.problems: list[str] = []
        self.streams = 0
        self.resyncs = 0
        self.synced = asyncio.Event()
        self._urls = urls
        self._query = query
        self._cursor: str | None = None

    async def watch(self) -> None:
        """Watches until cancelled."""
        while True:
            with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                async for frame in self._frames(self._urls[self.streams % len(self._urls)]):
                    self.take(frame)
                    if frame["kind"] == "SYNCED":
                        self.synced.set()
            await asyncio.sleep(_RETRY)

    async def _frames(self, url: str) -> AsyncIterator[dict[str, Any]]:
        async with connect(
            f"{url.replace('http', 'ws', 1)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            open_timeout=_OPEN_SECONDS,
            close_timeout=0.2,
            max_size=None,
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            await asyncio.wait_for(socket.recv(), _OPEN_SECONDS)
            self.streams += 1
            payload = {
                "query": self._query.text,
                "variables": {**self._query.variables, "after": self._cursor},
            }
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            async for text in socket:
                message = self.parse(text)
                if message["type"] == "next" and not message["payload"].get("errors"):
                    yield message["payload"]["data"][self._query.field]
                elif message["type"] == "ping":
                    await socket.send('{"type":"pong"}')
                else:
                    # An error, such as with an unavailable database: reconnect.
                    return

    def take(self, frame: dict[str, Any]) -> None:
        """Records a frame."""
        now = time.monotonic()
        self._cursor = frame["cursor"]
        if frame["kind"] == "RESYNC":
            self.resyncs += 1
            self.rows, self.seen = {}, {}
        rows = frame.get(self._query.field) or frame.get("actions") or []
        for row in rows:
            self._record(row, now)
        for id in frame.get("removed", []):
            self.rows.pop(id, None)

    def _record(self, row: dict[str, Any], now: float) -> None:
        key = row["name"]
        revision = int(row["revision"])
        past = self.seen.setdefault(key, [])
        if past and past[-1].revision > revision:
            self.problems.append(
                f"{key}: revision {revision} after {past[-1].revision} "
                f"(streams {self.streams}, {past[-1].stream})"
            )
        past.append(Seen(now, self.streams, revision, row))
        self.rows[row["id"]] = row

    def first_seen(self, key: str, revision: int) -> float | None:
        """When this or a newer revision of the row was received."""
        return next((seen.time for seen in self.seen.get(key, []) if seen.revision >= revision), None)


class EventViewer(Viewer):
    """A viewer of events, which must all be distinct."""

    def _record(self, row: dict[str, Any], now: float) -> None:
        key = "/".join(str(row[part]) for part in ("attempt", "phase", "version"))
        key = f"{row['action']['name']}/{key}"
        if key in self.seen:
            self.problems.append(
                f"event {key} came twice (streams {self.seen[key][0].stream}, {self.streams})"
            )
        self.seen[key] = [Seen(now, self.streams, 0, row)]
        self.rows[key] = row


class StateViewer(Viewer):
    """A viewer of state changes. After RESYNC a client would read all states."""

    def __init__(self, name: str, urls: list[str], query: Query) -> None:
        super().__init__(name, urls, query)
        self.resynced_at = 0.0

    def take(self, frame: dict[str, Any]) -> None:
        super().take(frame)
        if frame["kind"] == "RESYNC":
            self.resynced_at = time.monotonic()

    def _record(self, row: dict[str, Any], now: float) -> None:
        self.seen[row["name"]] = [Seen(now, self.streams, 0, row)]

    async def missing(self, acknowledged: dict[str, float], seconds: float) -> set[str]:
        """The actions whose state change was acknowledged but not received within `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            missing = {
                name for name, at in acknowledged.items() if name not in self.seen and at > self.resynced_at
            }
            if not missing or time.monotonic() > deadline:
                return missing
            await asyncio.sleep(0.02)
