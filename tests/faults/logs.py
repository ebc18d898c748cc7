"""A log that grows fast is watched by many while replicas are killed: each of them receives every line, once
and in order."""

import asyncio
import json
import time
from bisect import bisect_left
from contextlib import suppress
from functools import lru_cache
from typing import Any

import httpx2

from repo import ActionIdentifier, RunIdentifier
from tests.faults import faults
from tests.faults.faults import Act
from tests.faults.stack import Stack
from tests.faults.trial import Outcome
from tests.faults.viewer import Query, Viewer
from tests.support.waiting import until

_APPENDERS = 4
"""Executors, each with a stream of its own."""
_INTERVAL = 0.05
"""Seconds between two calls of an executor."""
_TIMEOUT = 5.0
_CREATE = "mutation ($input: CreateActionInput!) { createAction(input: $input) { created } }"
_APPEND = """mutation ($input: AppendLogInput!) { appendLog(input: $input) {
  nextOffset missing lastNumber } }"""
_LINES = """subscription ($action: ActionIdentifierInput!, $after: BigInt) {
  logLines(action: $action, attempt: 1, after: $after) {
    kind end lines { number stream text } omitted { first } } }"""
_PAGE = """query ($action: ActionIdentifierInput!, $after: BigInt!) {
  logLines(action: $action, attempt: 1, after: $after, first: 1000) {
    lines { number stream text } end hasMore } }"""


FAULTS: tuple[Act, ...] = (
    faults.writer_dies_before_notifying,
    faults.connections_are_terminated,
    faults.notifications_are_unreliable,
)
"""Faults during which no stream has to restart."""


class LogViewer(Viewer):
    """A viewer of a log. All viewers together remember the text of each line once."""

    # The same message arrives at many viewers.
    parse = staticmethod(lru_cache(512)(json.loads))

    def __init__(self, name: str, urls: list[str], query: Query, texts: dict[int, tuple[str, str]]) -> None:
        super().__init__(name, urls, query)
        self.end = 0
        self.arrivals: list[tuple[int, float]] = []
        """The last number of each frame, and when it arrived."""
        self._texts = texts

    def take(self, frame: dict[str, Any]) -> None:
        if frame["kind"] == "RESYNC":
            self.problems.append("RESYNC")
            self.end = 0
        for line in frame["lines"]:
            if line["number"] != self.end + 1:
                self.problems.append(f"line {line['number']} after {self.end}")
            self.end = line["number"]
            text = line["stream"], line["text"]
            if self._texts.setdefault(self.end, text) != text:
                self.problems.append(f"line {self.end} is another one")
        if frame["omitted"]:
            self.problems.append(f"lines are missing up to {frame['end']}")
        self._cursor = frame["end"]
        self.arrivals.append((frame["end"], time.monotonic()))


class _Appender:
    """Sends lines to one stream, each call until it is acknowledged, to the next replica after a failure."""

    def __init__(
        self, client: httpx2.AsyncClient, urls: list[str], action: dict[str, str], number: int
    ) -> None:
        self.texts: list[str] = []
        self.acknowledged: list[tuple[int, float]] = []
        """The last number of each call, and when it was acknowledged."""
        self._client = client
        self._urls = urls
        self._action = action
        self.stream = f"executor-{number}"
        self._turn = number

    async def work(self, rate: float, end: float) -> None:
        """Send so many lines a second until then."""
        began = time.monotonic()
        while (now := time.monotonic()) < end:
            count = round((now - began) * rate) - len(self.texts)
            if count > 0:
                start = len(self.texts)
                self.texts += [f"{self.stream} line {n}" for n in range(start, start + count)]
                await self._send(start)
            await asyncio.sleep(_INTERVAL)

    async def _send(self, start: int) -> None:
        lines = [{"text": text} for text in self.texts[start:]]
        about = {"action": self._action, "stream": self.stream, "offset": start, "lines": lines}
        while True:
            self._turn += 1
            url = self._urls[self._turn % len(self._urls)]
            try:
                result = await post(self._client, url, _APPEND, input=about)
            except (httpx2.HTTPError, RefusedError):
                await asyncio.sleep(0.05)
                continue
            assert (result["missing"], result["nextOffset"]) == (0, len(self.texts))
            if result["lastNumber"] is not None:  # else an earlier attempt was stored
                self.acknowledged.append((result["lastNumber"], time.monotonic()))
            return


class RefusedError(Exception):
    """An operation failed, such as with an unavailable database."""


async def post(client: httpx2.AsyncClient, url: str, query: str, **variables: Any) -> Any:
    """The value of the only field. Raises RefusedError."""
    body = (await client.post(f"{url}/graphql", json={"query": query, "variables": variables})).json()
    if "errors" in body:
        raise RefusedError(body["errors"])
    (value,) = body["data"].values()
    return value


async def each_replica_dies(stack: Stack, seconds: float, own: ActionIdentifier) -> None:
    """Kills one replica after another."""
    for replica in stack.replicas:
        await asyncio.sleep(seconds / (len(stack.replicas) + 1))
        replica.kill()
        await replica.wait_until_ready()


async def try_log(
    stack: Stack, viewers: int, rate: int, seconds: float, seed: int, act: Act = each_replica_dies
) -> Outcome:
    """Watch a log of so many lines a second during a fault. The lags are those of all viewers."""
    run = RunIdentifier(f"logs, {seed}", "faults", f"{act.__name__}, {viewers}")
    action = {"project": run.project, "domain": run.domain, "runName": run.name, "name": "a0"}
    texts: dict[int, tuple[str, str]] = {}
    query = Query("logLines", _LINES, {"action": action})
    urls = [stack.urls, stack.urls[::-1]]
    crowd = [LogViewer(f"viewer {n}", urls[n % 2], query, texts) for n in range(viewers)]
    outcome = Outcome()
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        await post(client, stack.urls[0], _CREATE, input={"id": action})
        watching = [asyncio.create_task(viewer.watch()) for viewer in crowd]
        end = time.monotonic() + seconds
        appenders = [_Appender(client, stack.urls, action, number) for number in range(_APPENDERS)]
        working = [asyncio.create_task(one.work(rate / _APPENDERS, end)) for one in appenders]
        await act(stack, seconds, ActionIdentifier(run.project, run.domain, run.name, "a0"))
        await asyncio.gather(*working)
        total = sum(len(one.texts) for one in appenders)
        with suppress(TimeoutError):  # a viewer that has not received everything is broken
            await until(lambda: all(viewer.end == total for viewer in crowd))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        stored = await _stored(client, stack.urls[0], action)
    for one in appenders:
        if [text for stream, text in stored if stream == one.stream] != one.texts:
            outcome.problems.append(f"the lines of {one.stream} are not stored as they were sent")
    if stored != [texts.get(number) for number in range(1, total + 1)]:
        outcome.problems.append("what was received is not what is stored")
    for viewer in crowd:
        outcome.problems += [f"{viewer.name}: {problem}" for problem in viewer.problems[:3]]
        if viewer.end != total:
            outcome.problems.append(f"{viewer.name} received {viewer.end} of {total} lines")
        outcome.usual += _lags(viewer, appenders)
        outcome.streams += viewer.streams
    outcome.writes, outcome.rows = total, total * viewers
    return outcome


def _lags(viewer: LogViewer, appenders: list[_Appender]) -> list[float]:
    """Seconds from each acknowledgement until the viewer had the lines."""
    numbers = [number for number, _ in viewer.arrivals]
    lags = []
    for appender in appenders:
        for number, at in appender.acknowledged:
            place = bisect_left(numbers, number)
            if place < len(numbers):
                lags.append(max(0.0, viewer.arrivals[place][1] - at))
    return lags


async def _stored(client: httpx2.AsyncClient, url: str, action: dict[str, str]) -> list[tuple[str, str]]:
    """The stream and text of each stored line."""
    found: list[tuple[str, str]] = []
    has_more, end = True, 0
    while has_more:
        page = await post(client, url, _PAGE, action=action, after=end)
        found += [(line["stream"], line["text"]) for line in page["lines"]]
        has_more, end = page["hasMore"], page["end"]
    return found
