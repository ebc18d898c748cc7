"""Executors with leases are killed and stopped while replicas are killed: each is lost once, and what was
only stopped goes on."""

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from repo import ActionPhase
from tests.faults.stack import Stack
from tests.faults.trial import Outcome
from tests.support import leasing
from tests.support.waiting import until

_TTL = 3
_WITHIN = 8.0
"""Seconds after its death within which an executor counts as lost."""
_STOPPED = 10.0
_START = 60.0
_STORED = """
SELECT a.run_name, a.name, a.phase, a.lost_phase, e.phase AS event, e.version
FROM actions AS a LEFT JOIN action_events AS e ON e.action_key = a.key
WHERE a.project = 'p' AND a.run_name = ANY ($1) ORDER BY e.version DESC, e.phase DESC
"""
_LOST = [(ActionPhase.FAILED, -1)]
_RETURNED = [(ActionPhase.FAILED, -1), (ActionPhase.RUNNING, -1)]


@dataclass
class _Run:
    """What is stored about a run: each list has all of its actions."""

    phases: list[ActionPhase] = field(default_factory=list)
    are_lost: list[bool] = field(default_factory=list)
    events: dict[str, list[tuple[ActionPhase, int]]] = field(default_factory=dict)
    """Phases and versions, by action."""

    @property
    def is_lost(self) -> bool:
        """Whether all of it ended with its executor."""
        return bool(self.are_lost) and all(self.are_lost)

    @property
    def succeeded(self) -> bool:
        """Whether all of it succeeded."""
        return set(self.phases) == {ActionPhase.SUCCEEDED}


async def try_leases(stack: Stack, count: int, rounds: int, seed: int) -> Outcome:
    """In each round, of `count` executors a third is killed and a third stopped, and a replica is killed
    when their leases expire. `during` of the outcome has how long it took until the killed ones were lost."""
    outcome, chance = Outcome(), random.Random(seed)
    for number in range(rounds):
        names = [f"leased-{seed}-{number}-{each}" for each in range(count)]
        killed, stopped, living = names[0::3], names[1::3], names[2::3]
        async with _executors(stack, names) as processes:
            await asyncio.sleep(2 * _TTL)  # each replica has watched for as long as the leases last
            for name in killed:
                processes[name].kill()
            for name in stopped:
                processes[name].send_signal(signal.SIGSTOP)
            began = time.monotonic()
            await asyncio.sleep(chance.uniform(_TTL - 1, _TTL + 1))
            replica = stack.replicas[number % len(stack.replicas)]
            replica.kill()
            await _until(stack, killed, lambda run: run.is_lost)
            outcome.during.append(time.monotonic() - began)
            await asyncio.sleep(max(0.0, began + _STOPPED - time.monotonic()))
            await _check(stack, outcome, stopped, "stopped", lambda run: run.is_lost)
            for name in stopped:
                processes[name].send_signal(signal.SIGCONT)
            await _until(stack, stopped, lambda run: not any(run.are_lost))
            await replica.wait_until_ready()
            for name in (*stopped, *living):
                processes[name].terminate()
                await asyncio.wait_for(processes[name].wait(), _START)
        outcome.writes += count
        await _check(stack, outcome, killed, "killed", lambda run: run.is_lost and _all(run, _LOST))
        await _check(stack, outcome, stopped, "continued", lambda run: run.succeeded and _all(run, _RETURNED))
        await _check(stack, outcome, living, "living", lambda run: run.succeeded and _all(run, []))
    if (latest := max(outcome.during)) > _WITHIN:
        outcome.problems.append(f"an executor was lost after {latest:.1f} s, {_WITHIN:.0f} s are promised")
    return outcome


@asynccontextmanager
async def _executors(stack: Stack, names: list[str]) -> AsyncIterator[dict[str, asyncio.subprocess.Process]]:
    """Executors that have begun a run each, killed at the end."""
    processes: dict[str, asyncio.subprocess.Process] = {}
    try:
        for number, name in enumerate(names):
            urls = [f"{url}/graphql" for url in stack.urls]
            turned = ",".join(urls[number % len(urls) :] + urls[: number % len(urls)])
            processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, leasing.__file__, turned, name, str(_TTL)), stdout=asyncio.subprocess.PIPE
            )
        for process in processes.values():
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), _START) == b"ready\n"
        yield processes
    finally:
        for process in processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _read(stack: Stack, names: Collection[str]) -> dict[str, _Run]:
    runs = {name: _Run() for name in names}
    for row in await stack.fetch(_STORED, list(names)):
        run = runs[row["run_name"]]
        if row["name"] not in run.events:
            run.phases.append(ActionPhase(row["phase"]))
            run.are_lost.append(row["lost_phase"] is not None)
            run.events[row["name"]] = []
        if row["event"] is not None:
            run.events[row["name"]].append((ActionPhase(row["event"]), row["version"]))
    return runs


async def _until(stack: Stack, names: Collection[str], holds: Callable[[_Run], bool]) -> None:
    async def condition() -> bool:
        return all(map(holds, (await _read(stack, names)).values()))

    await until(condition)


async def _check(
    stack: Stack, outcome: Outcome, names: Collection[str], what: str, holds: Callable[[_Run], bool]
) -> None:
    """Adds the runs that are not as they should be to the problems."""
    runs = await _read(stack, names)
    outcome.problems += [f"{name}, {what}: {run}" for name, run in runs.items() if not holds(run)]


def _all(run: _Run, events: list[tuple[ActionPhase, int]]) -> bool:
    """Whether each action of the run has these events."""
    return len(run.events) == 2 and all(each == events for each in run.events.values())
