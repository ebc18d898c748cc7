"""Benchmark: writes of events in batches, with and without subscribers."""

import time
from datetime import UTC, datetime
from itertools import count
from statistics import median

from bench.data import action_id, make_actions, run_id
from bench.load import Connection, connected, request
from bench.processes import rungraph
from bench.report import Result
from bench.subscribers import Seen, behind, subscribed

_WATCHERS = 50
_TURNS = 3
_INSERT = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
_EVENTS = """subscription ($run: RunIdentifierInput!) {
  events(run: $run) { kind cursor events { attempt phase version occurredAt } }
}"""


class _Writer:
    """Inserts new events of an action."""

    def __init__(self, connection: Connection, run: str) -> None:
        self._connection = connection
        self._action = action_id(run, "a1")
        self._versions = count(1)
        self.latest = 0
        """The version of the last event."""

    async def times(self, batch: int, rounds: int) -> list[float]:
        """The seconds of each of this many sequential batches."""
        times = []
        for _ in range(rounds):
            sent = self._events(batch)
            began = time.monotonic()
            answer = await self._connection.post(sent)
            times.append(time.monotonic() - began)
            assert f'"inserted":{batch}}}'.encode() in answer, answer
        return times

    def _events(self, batch: int) -> bytes:
        now, events = datetime.now(UTC).isoformat(), []
        for _ in range(batch):
            self.latest = next(self._versions)
            events.append(
                {
                    "action": self._action,
                    "attempt": 1,
                    "phase": "RUNNING",
                    "version": self.latest,
                    "occurredAt": now,
                }
            )
        return request({"query": _INSERT, "variables": {"events": events}})


async def writes(database_url: str, rounds: int) -> list[Result]:
    """Events in batches of 1,000 and 5,000; the fastest of some rounds."""
    async with rungraph(database_url) as process, connected(process) as connection:
        await make_actions(process, "writes", 2)
        writer = _Writer(connection, "writes")
        thousand = min(await writer.times(1000, rounds))
        growth = min(await writer.times(5000, rounds)) / thousand
    rate = 1000 / thousand
    return [
        Result("insertEvents of 1,000", rate, "rows/s", "≥ 25,000", rate >= 25_000),
        Result("insertEvents of 5,000", growth, "× the time of 1,000", "≤ 6", growth <= 6),
    ]


async def watched_writes(database_url: str, rounds: int) -> list[Result]:
    """Events in batches of 1,000, with and without subscribers that receive them."""
    alone: list[float] = []
    watched: list[float] = []
    async with rungraph(database_url) as process:
        # In turns, so that the growing table affects both alike; each time in a new run, since a new
        # subscriber receives all its events.
        for turn in range(_TURNS):
            for watchers, times in ((0, alone), (_WATCHERS, watched)):
                run = f"writes-{turn}-{watchers}"
                await make_actions(process, run, 2)
                async with subscribed(process, _EVENTS, {"run": run_id(run)}, Seen(), watchers) as crowd:
                    async with connected(process) as connection:
                        writer = _Writer(connection, run)
                        await writer.times(1000, 1)
                        times += await writer.times(1000, rounds)
                    assert await behind(crowd, writer.latest) == 0
    more = (median(watched) / median(alone) - 1) * 100
    note = f"{median(alone) * 1000:.1f} ms, watched {median(watched) * 1000:.1f} ms"
    name = f"insertEvents of 1,000, watched by {_WATCHERS}"
    return [Result(name, more, "% slower than unwatched", "≤ 15", more <= 15, note)]
