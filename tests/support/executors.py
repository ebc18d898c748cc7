"""A real HTTP server in the role of an executor that is notified of aborts."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.serving import serving

Answer = Callable[["Notification"], Awaitable[Response]]


@dataclass
class Notification:
    """One notification."""

    headers: dict[str, str]
    body: bytes
    number: int
    """The number of this notification for its abort, from 1."""
    began: float
    ended: float | None = None

    @property
    def key(self) -> str:
        """The idempotency key, which identifies the abort."""
        return self.headers["idempotency-key"]

    @property
    def payload(self) -> dict[str, Any]:
        """The parsed body."""
        document: dict[str, Any] = json.loads(self.body)
        return document


async def stopped(notification: Notification) -> Response:
    """Responds that the work has stopped."""
    return Response(status_code=204)


def status(code: int, **headers: str) -> Answer:
    """Always responds with this status."""

    async def answer(notification: Notification) -> Response:
        return Response("a secret of the executor", code, headers)

    return answer


def delayed(seconds: float, then: Answer = stopped) -> Answer:
    """Responds after a delay."""

    async def answer(notification: Notification) -> Response:
        await asyncio.sleep(seconds)
        return await then(notification)

    return answer


def after(event: threading.Event, then: Answer = stopped) -> Answer:
    """Responds after an event is set."""

    async def answer(notification: Notification) -> Response:
        while not event.is_set():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.01)
        return await then(notification)

    return answer


@dataclass
class FakeExecutor:
    """Records notifications and responds to them."""

    answer: Answer = stopped
    notifications: list[Notification] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    """Aborts with two notifications at the same time."""
    url: str = ""
    _open: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving_again(self) -> Iterator["FakeExecutor"]:
        """Serves again on the previous port."""
        with serving(self._app(), int(self.url.rpartition(":")[2])):
            yield self

    @contextmanager
    def serving(self) -> Iterator["FakeExecutor"]:
        """Serves on a free port while the context is open."""
        with serving(self._app()) as url:
            self.url = url
            yield self

    def _app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST", "GET"])])

    async def _receive(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=499)
        with self._lock:
            key = request.headers.get("idempotency-key", "")
            number = 1 + sum(each.key == key for each in self.notifications)
            notification = Notification(dict(request.headers), body, number, time.monotonic())
            self.notifications.append(notification)
            if key in self._open:
                self.overlaps.append(key)
            self._open.add(key)
        answering = asyncio.ensure_future(self.answer(notification))
        disconnecting = asyncio.ensure_future(_disconnected(request))
        try:
            # The notifier may die or time out; then the notification has ended too.
            await asyncio.wait({answering, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
            return answering.result() if answering.done() else Response(status_code=499)
        finally:
            notification.ended = time.monotonic()
            with self._lock:
                self._open.discard(key)
            for task in (answering, disconnecting):
                task.cancel()

    def notifications_of(self, key: str) -> list[Notification]:
        """The notifications of one abort."""
        with self._lock:
            return [each for each in self.notifications if each.key == key]


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
