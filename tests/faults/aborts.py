"""Trials of aborts: many runs are aborted at once while they finish, and while replicas and the executor
fail."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.responses import Response

from repo import AbortState, ActionPhase
from tests.faults.faults import clocks_jump
from tests.faults.replica import HOLD
from tests.faults.stack import Stack, running_stack
from tests.support.executors import (
    FakeExecutor,
    Notification,
    delayed,
    status,
    stopped,
)

_WAITS = 1.0
"""Seconds for which replicas wait for the executor."""
_TIMEOUT = 30.0
_BATCH = 1000
_TOGETHER = 20
_REASON = "the trial is over"
_CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
_FINISH = """mutation ($updates: [UpdateActionPhaseInput!]!) {
  updateActionPhases(input: $updates) { results { applied } }
}"""
_ABORT = """mutation ($project: String!, $reason: String) {
  abortRuns(input: {filter: {project: $project}, reason: $reason, dryRun: false}) { requested batch }
}"""
_STORED = """
SELECT run_name, name, encode(key, 'hex') AS key, parent_key IS NULL AS is_run, phase, abort_state,
  abort_reason, abort_requested_by, abort_attempt_count, abort_last_error
FROM actions WHERE project = $1
"""
_PENDING = "SELECT count(*) AS pending FROM actions WHERE project = $1 AND abort_state IN (1, 2)"


@dataclass
class Outcome:
    """The result of a trial."""

    problems: list[str] = field(default_factory=list)
    measurements: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def abort_stack(
    executor: FakeExecutor, attempts: int, hold: float | None = None, with_clocks: bool = False
) -> AsyncIterator[Stack]:
    """Three replicas that notify this executor at most `attempts` times; `hold` is the margin of a claim
    beyond the timeout of a call."""
    settings = {
        "RUNGRAPH_ABORT_WEBHOOK_URL": executor.url,
        "RUNGRAPH_ABORT_WEBHOOK_SECRET": "a secret that is long enough",
        "RUNGRAPH_ABORT_WEBHOOK_ALLOW_PRIVATE": "true",
        "RUNGRAPH_ABORT_WEBHOOK_TIMEOUT": str(_WAITS),
        "RUNGRAPH_ABORT_ATTEMPTS": str(attempts),
    }
    if hold is not None:
        settings[HOLD] = str(hold)
    async with running_stack(
        "postgresql", ("one", "two", "three"), settings, with_clocks=with_clocks
    ) as stack:
        yield stack


def unreliable(seed: int) -> Callable[[Notification], Awaitable[Response]]:
    """An executor that fails, hangs, responds late, or does not know the action."""

    async def answer(notification: Notification) -> Response:
        chance = random.Random(f"{seed} {notification.key} {notification.number}")
        if notification.number > 3:
            return await delayed(chance.uniform(0, 0.1))(notification)
        way = chance.choices(
            [
                stopped,
                delayed(0.3),
                status(404),
                status(410),
                status(500),
                status(302, location="/"),
                delayed(60),
            ],
            [8, 3, 2, 1, 3, 1, 1],
        )
        return await way[0](notification)

    return answer


class Runs:
    """Runs that finish by themselves: each is a root and two nested actions."""

    def __init__(self, stack: Stack, client: httpx2.AsyncClient, project: str, count: int, seed: int) -> None:
        self.project = project
        self.finished: set[tuple[str, str]] = set()
        """The actions acknowledged as finished."""
        self._stack = stack
        self._client = client
        self._chance = random.Random(seed)
        self._names = [f"run-{number:04}" for number in range(count)]

    async def create(self) -> None:
        """Creates all runs, running."""
        tree = (("a0", None), ("child", "a0"), ("below", "child"))
        new = [
            {"id": self._id(run, name), "parentName": parent, "phase": "RUNNING"}
            for run in self._names
            for name, parent in tree
        ]
        for at in range(0, len(new), _BATCH):
            await self._write(_CREATE, {"input": new[at : at + _BATCH]})

    async def finish(self, part: float, seconds: float) -> None:
        """Lets this fraction of all actions succeed, over `seconds`."""
        every = [(run, name) for run in self._names for name in ("a0", "child", "below")]
        some = self._chance.sample(every, round(part * len(every)))
        groups = [some[at : at + _TOGETHER] for at in range(0, len(some), _TOGETHER)]
        for group in groups:
            updates = [{"id": self._id(*one), "phase": "SUCCEEDED", "attempts": 1} for one in group]
            made = await self._write(_FINISH, {"updates": updates})
            results = made["updateActionPhases"]["results"]
            self.finished |= {one for one, what in zip(group, results, strict=True) if what["applied"]}
            await asyncio.sleep(seconds / len(groups))

    async def abort(self) -> int:
        """Aborts all unfinished runs; returns their number."""
        made = await self._write(_ABORT, {"project": self.project, "reason": _REASON})
        return int(made["abortRuns"]["requested"])

    async def settled(self, seconds: float) -> bool:
        """Whether no abort is pending after at most `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            (row,) = await self._stack.fetch(_PENDING, self.project)
            if not row["pending"]:
                return True
            await asyncio.sleep(0.2)
        return False

    def _id(self, run: str, name: str) -> dict[str, str]:
        return {"project": self.project, "domain": "faults", "runName": run, "name": name}

    async def _write(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of a mutation, which is retried until a replica acknowledges it, so it may be executed
        twice."""
        async with asyncio.timeout(4 * _TIMEOUT):
            while True:
                url = self._chance.choice(self._stack.urls)
                try:
                    answer = await self._client.post(
                        f"{url}/graphql", json={"query": query, "variables": variables}
                    )
                    body = answer.json()
                    if not body.get("errors"):
                        data: dict[str, Any] = body["data"]
                        return data
                    if body["errors"][0].get("extensions", {}).get("code") != "SERVICE_UNAVAILABLE":
                        raise AssertionError(body["errors"])
                except (httpx2.TransportError, ValueError):
                    pass
                await asyncio.sleep(0.1)


async def check_results(stack: Stack, executor: FakeExecutor, runs: Runs, outcome: Outcome) -> None:
    """Adds every violations guarantee to the outcome."""
    rows = await stack.fetch(_STORED, runs.project)
    counts: dict[str, int] = {}
    for notification in executor.notifications:
        counts[notification.key] = counts.get(notification.key, 0) + 1
    states: dict[str, int] = {}
    for row in rows:
        one, phase = (row["run_name"], row["name"]), ActionPhase(row["phase"])
        what = "/".join(one)
        if one in runs.finished and (phase is not ActionPhase.SUCCEEDED or row["abort_state"] is not None):
            outcome.problems.append(f"{what} had finished but is {phase.name}, {row['abort_state']}")
        if not phase.is_terminal and row["is_run"]:
            outcome.problems.append(f"{what} was neither finished nor aborted")
        if row["abort_state"] is None:
            continue
        state = AbortState(row["abort_state"])
        states[state.name] = states.get(state.name, 0) + 1
        if state not in (AbortState.CONFIRMED, AbortState.FAILED) or phase is not ActionPhase.ABORTED:
            outcome.problems.append(f"{what} is {phase.name}, {state.name}")
        if row["abort_reason"] != _REASON or not row["abort_requested_by"]:
            outcome.problems.append(f"{what} lacks the requester or reason of its abort")
        times = counts.get(f"abort-{row['key']}", 0)
        if row["is_run"] and not 1 <= times <= row["abort_attempt_count"]:
            outcome.problems.append(
                f"{what} was notified {times} times in {row['abort_attempt_count']} attempts"
            )
    confirmed = {row["run_name"] for row in rows if row["is_run"] and row["abort_state"] == 3}
    outcome.problems += [
        f"{row['run_name']}/{row['name']} is still active in a stopped run"
        for row in rows
        if row["run_name"] in confirmed and not ActionPhase(row["phase"]).is_terminal
    ]
    outcome.problems += [f"{key} was notified twice at the same time" for key in executor.overlaps]
    outcome.measurements |= {name.lower(): float(count) for name, count in states.items()}
    outcome.measurements["calls"] = float(len(executor.notifications))
    outcome.measurements["deaths"] = float(sum(replica.deaths for replica in stack.replicas))


async def try_aborts(
    count: int,
    seed: int,
    *,
    kills: Sequence[str] = (),
    each: float = 3.0,
    unavailable: float = 0.0,
    jumps: float = 0.0,
    attempts: int = 10,
    hold: float | None = None,
    slowness: float = 120.0,
) -> Outcome:
    """Aborts `count` runs at once while they finish. Meanwhile, as requested, replicas die at these points
    for `each` seconds, the executor is unavailable for `away` seconds, and clocks jump for `jumps`
    seconds."""
    outcome, executor = Outcome(), FakeExecutor(unreliable(seed))
    async with AsyncExitStack() as exits:
        there = exits.enter_context(ExitStack())
        there.enter_context(executor.serving())
        stack = await exits.enter_async_context(abort_stack(executor, attempts, hold, jumps > 0))
        client = await exits.enter_async_context(httpx2.AsyncClient(timeout=_TIMEOUT))
        runs = Runs(stack, client, f"aborts, {seed}", count, seed)
        await runs.create()
        # The first ones finish before the abort, the others during it.
        finishing = asyncio.create_task(runs.finish(0.4, 4.0))
        await asyncio.sleep(1)
        began = time.monotonic()
        outcome.measurements["requested"] = float(await runs.abort())
        if jumps:
            await clocks_jump(stack, jumps)
        if unavailable:
            await asyncio.to_thread(there.close)
            await asyncio.sleep(unavailable)
            there.enter_context(executor.serving_again())
        for turn, phase in enumerate(kills):
            dying = [stack.replicas[turn % 3], stack.replicas[(turn + 1) % 3]]
            for replica in dying:
                replica.inject(phase)
            await asyncio.sleep(each)
            for replica in dying:
                replica.inject()
        await finishing
        if not await runs.settled(slowness):
            outcome.problems.append(f"aborts are pending after {slowness:.0f} s")
        outcome.measurements["seconds"] = time.monotonic() - began
        await check_results(stack, executor, runs, outcome)
        if outcome.problems:
            outcome.problems += [f"{replica.name}: {replica.log_tail()}" for replica in stack.replicas]
    return outcome
