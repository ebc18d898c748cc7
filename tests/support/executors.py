"""Owns the executor that the tests tell of aborts: a real server, which answers as it is told to."""

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

Answer = Callable[["Told"], Awaitable[Response]]


@dataclass
class Told:
    """One call that came."""

    headers: dict[str, str]
    body: bytes
    number: int
    """The how manyth it is for the same abort, from 1 on."""
    began: float
    ended: float | None = None

    @property
    def key(self) -> str:
        """Which abort it is about."""
        return self.headers["idempotency-key"]

    @property
    def said(self) -> dict[str, Any]:
        """What the body says."""
        document: dict[str, Any] = json.loads(self.body)
        return document


async def gone(told: Told) -> Response:
    """The work is gone."""
    return Response(status_code=204)


def status(code: int, **headers: str) -> Answer:
    """The same answer each time."""

    async def answer(told: Told) -> Response:
        return Response("a secret of the executor", code, headers)

    return answer


def late(seconds: float, then: Answer = gone) -> Answer:
    """What is answered, but later."""

    async def answer(told: Told) -> Response:
        await asyncio.sleep(seconds)
        return await then(told)

    return answer


def once(happened: threading.Event, then: Answer = gone) -> Answer:
    """What is answered, but not before something has happened."""

    async def answer(told: Told) -> Response:
        while not happened.is_set():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.01)
        return await then(told)

    return answer


@dataclass
class FakeExecutor:
    """What it was told, and how it answers."""

    answer: Answer = gone
    told: list[Told] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    """Aborts that it was told of twice at a time."""
    url: str = ""
    _open: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving_again(self) -> Iterator["FakeExecutor"]:
        """The same, on the port that it had before."""
        with serving(self._app(), int(self.url.rpartition(":")[2])):
            yield self

    @contextmanager
    def serving(self) -> Iterator["FakeExecutor"]:
        """It listens on a port of its own for as long as the context lasts."""
        with serving(self._app()) as url:
            self.url = url
            yield self

    def _app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["POST", "GET"])])

    async def _take(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=499)
        with self._lock:
            key = request.headers.get("idempotency-key", "")
            number = 1 + sum(told.key == key for told in self.told)
            told = Told(dict(request.headers), body, number, time.monotonic())
            self.told.append(told)
            if key in self._open:
                self.overlaps.append(key)
            self._open.add(key)
        answering = asyncio.ensure_future(self.answer(told))
        leaving = asyncio.ensure_future(_leaves(request))
        try:
            # Who told it may die over it, or wait no longer: then nobody is told any more.
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return answering.result() if answering.done() else Response(status_code=499)
        finally:
            told.ended = time.monotonic()
            with self._lock:
                self._open.discard(key)
            for task in (answering, leaving):
                task.cancel()

    def times(self, key: str) -> list[Told]:
        """The calls about one abort."""
        with self._lock:
            return [told for told in self.told if told.key == key]


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
