"""Trials of failovers and restores: acknowledged and read commits are lost, their transaction ids are
reused, and one of the replicas notices late."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx2

from repo import RunIdentifier
from tests.faults import checks
from tests.faults.checks import Watched
from tests.faults.stack import BusKind, Stack, Way, running_stack
from tests.faults.trial import Outcome, settle, watching
from tests.support.postgres import Postgres, running_postgres

_WRITERS = 3
_PAUSE = 0.02
_TIMEOUT = 10.0
_MAX_WAIT = 60.0
"""Seconds after which a missing change counts as lost."""
_CALM = 0.5
_MORE = 20
"""Transactions in addition to the number of lost ones, before the late replica reads again."""
_ROUND = """mutation ($input: CreateActionInput!, $event: ActionEventInput!, $id: ActionIdentifierInput!) {
  createAction(input: $input) { created }
  insertEvents(events: [$event]) { inserted }
  updateActionState(id: $id, state: "written") { action { name } }
}"""


@dataclass(frozen=True)
class Failover:
    """How the database is replaced, and how the proxy behaves meanwhile."""

    name: str
    becomes: Literal["standby", "older copy"]
    """The replacement: a promoted standby, or older data in the same server."""
    loses: bool
    """Whether commits are lost; otherwise the primary shuts down and the standby has everything."""
    meanwhile: Literal["refuses", "holds", "switches"]
    """The behaviour of the proxy until the replacement is ready."""
    way: Way = "proxy"


FAILOVERS = [
    Failover("a standby without the last commits, connections rows", "standby", True, "holds"),
    Failover("a standby without the last commits, connections refused", "standby", True, "refuses"),
    Failover("a standby without the last commits, switched at once", "standby", True, "switches"),
    Failover("a standby without the last commits, PgBouncer", "standby", True, "holds", "pgbouncer"),
    Failover("a switchover", "standby", False, "refuses"),
    Failover("older data", "older copy", True, "holds"),
]


class Writer:
    """Repeatedly writes an action with an event and a state, sometimes in its own run."""

    def __init__(self, client: httpx2.AsyncClient, url: str, run: RunIdentifier, number: int) -> None:
        self.acknowledged: dict[str, tuple[float, float]] = {}
        """The time.monotonic() of the start and the acknowledgement of each action's write."""
        self.is_done = False
        self._client = client
        self._url = url
        self._run = run
        self._number = number
        self._chance = random.Random(number)

    async def work(self) -> None:
        """Writes until `is_done`."""
        count = 0
        while not self.is_done:
            name = f"w{self._number}-{count}"
            if await self.write(self._run, name, "a0") and count % 20 == 0:
                await self.write(RunIdentifier(self._run.project, self._run.domain, name), "a0", None)
            count += 1
            await asyncio.sleep(self._chance.uniform(0, 2 * _PAUSE))

    async def write(self, run: RunIdentifier, name: str, parent: str | None) -> bool:
        """Whether the write was acknowledged. If not, it may have been executed; it is not retried."""
        id = {"project": run.project, "domain": run.domain, "runName": run.name, "name": name}
        event = {"action": id, "attempt": 1, "phase": "QUEUED", "occurredAt": datetime.now(UTC).isoformat()}
        variables = {"input": {"id": id, "parentName": parent}, "event": event, "id": id}
        begun = time.monotonic()
        try:
            response = await self._client.post(
                f"{self._url}/graphql", json={"query": _ROUND, "variables": variables}
            )
            body: dict[str, Any] = response.json()
        except (httpx2.TransportError, ValueError):
            return False
        if body.get("errors"):
            return False
        if run == self._run:
            self.acknowledged[name] = begun, time.monotonic()
        return True


class _Replacement:
    """Replaces the database."""

    def __init__(self, stack: Stack, failover: Failover, standby: Postgres | None) -> None:
        self._stack = stack
        self._failover = failover
        self._standby = standby
        self._copy: Path | None = None

    async def prepare(self) -> None:
        """Prepares the replacement: later writes may be lost."""
        if self._standby is None:
            self._copy = await asyncio.to_thread(self._stack.postgres.back_up)
        elif self._failover.loses:
            await asyncio.to_thread(self._standby.catch_up, self._stack.postgres)
            await asyncio.to_thread(self._standby.stop_receiving)

    async def fail(self) -> None:
        """Replaces the database, without connecting replicas to the new one."""
        for proxy in self._stack.proxies:
            if self._failover.meanwhile == "holds":
                proxy.hold()
            elif self._failover.meanwhile == "refuses":
                proxy.refuse()
        if self._failover.meanwhile != "switches":
            await asyncio.to_thread(self._stack.postgres.stop, self._failover.loses)
        if self._standby is not None:
            await asyncio.to_thread(self._standby.promote)
            self._stack.postgres = self._standby
        else:
            assert self._copy is not None
            await asyncio.to_thread(self._stack.postgres.replace_data, self._copy)
            await asyncio.to_thread(self._stack.postgres.start)

    def connect(self, replica: int) -> None:
        """Connects a replica to the new database."""
        self._stack.proxies[replica].forward(self._stack.postgres.url)


async def try_failover(failover: Failover, bus: BusKind, seconds: float, seed: int) -> Outcome:
    """Runs a failover that loses the writes of `seconds`, if any; one of the replicas reconnects after their
    ids were reused."""
    async with AsyncExitStack() as resources:
        stack = await resources.enter_async_context(running_stack(bus, way=failover.way))
        standby = None
        if failover.becomes == "standby":
            standby = resources.enter_context(running_postgres(standby_of=stack.postgres))
        replacement = _Replacement(stack, failover, standby)
        outcome = await _try_failover(stack, replacement, failover, seconds, seed)
        if outcome.problems:
            outcome.problems += [f"{replica.name}: {replica.log_tail()}" for replica in stack.replicas]
        return outcome


async def _try_failover(
    stack: Stack, replacement: _Replacement, failover: Failover, seconds: float, seed: int
) -> Outcome:
    outcome = Outcome()
    run = RunIdentifier(f"{failover.name}, {seed}", "faults", "run")
    rows = [each for url in stack.urls for each in _watchers(url, run)]
    states = [checks.watch_states(f"states at {url}", [url], run) for url in stack.urls]
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        writers = [Writer(client, stack.urls[0], run, number) for number in range(_WRITERS)]
        assert await writers[0].write(run, "a0", None), "nothing could be written"
        all_watched = [*rows, *(Watched(viewer, _nothing) for viewer in states)]
        async with watching(all_watched):
            working = [asyncio.create_task(writer.work()) for writer in writers]
            await asyncio.sleep(_CALM)
            safe_until = time.monotonic()
            await replacement.prepare()
            await asyncio.sleep(seconds)
            await replacement.fail()
            replacement.connect(0)
            ended = time.monotonic()
            most_lost = len(_acknowledged(writers, after=safe_until))
            await _until(lambda: len(_acknowledged(writers, begun_after=ended)) >= most_lost + _MORE)
            replacement.connect(1)
            connected, late = time.monotonic(), set(_acknowledged(writers, begun_after=ended))
            await _until(lambda: late <= set(checks.shown(rows[-1].viewer)))
            outcome.after.append(time.monotonic() - connected)
            await asyncio.sleep(_CALM)
            for writer in writers:
                writer.is_done = True
            await asyncio.gather(*working)
            await settle(stack, rows, outcome)
            stored = set(await checks.stored_actions(stack, run))
            written, afterwards = _acknowledged(writers), _acknowledged(writers, begun_after=ended)
            before = {name for name in written if written[name] < safe_until}
            must = before | set(afterwards) if failover.loses else set(written)
            outcome.problems += [f"{name} is not stored" for name in must - stored]
            for viewer in states:
                missing = await viewer.missing(afterwards, _MAX_WAIT)
                outcome.problems += [f"{viewer.name} missed the state of {name}" for name in missing]
    outcome.writes = len(written)
    outcome.count(all_watched)
    lost = set(written) - stored
    if failover.loses is not bool(lost):
        outcome.problems.append(f"{len(lost)} writes were lost")
    for watched in all_watched:
        if failover.loses is not bool(watched.viewer.resyncs):
            outcome.problems.append(f"{watched.viewer.name} got RESYNC {watched.viewer.resyncs} times")
    return outcome


def _watchers(url: str, run: RunIdentifier) -> list[Watched]:
    return [
        checks.watch_project(f"runs at {url}", [url], run.project),
        checks.watch_events(f"events at {url}", [url], run),
        checks.watch_actions(f"actions at {url}", [url], run),
    ]


async def _nothing(stack: Stack) -> checks.State:
    return {}


def _acknowledged(writers: list[Writer], after: float = 0.0, begun_after: float = 0.0) -> dict[str, float]:
    """The acknowledgement times of the actions written after these times."""
    return {
        name: ended
        for writer in writers
        for name, (begun, ended) in writer.acknowledged.items()
        if ended > after and begun > begun_after
    }


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _MAX_WAIT
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - none of them has an event
        await asyncio.sleep(0.02)
