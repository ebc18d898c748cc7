"""A trial: executors write, viewers watch, a fault is injected, and afterwards everything must be correct."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from repo import RunIdentifier
from repo.domain.identifiers import ActionIdentifier
from tests.faults import checks
from tests.faults.checks import Lags, Watched
from tests.faults.faults import Fault
from tests.faults.load import Executor, Journal
from tests.faults.stack import Stack
from tests.support.waiting import until

AFTER = 5.0
"""Seconds after a fault within which every viewer must have received everything, as the README guarantees."""
_LANES = 3
_TIMEOUT = 10.0
_SETTLE = 20.0
"""Seconds after which an incorrect viewer counts as broken."""
_CALM = 0.5
"""Seconds of writing before and after the fault."""
MIN_WRITES = 20
"""The minimum number of writes of a meaningful trial; executors continue until there are more."""
_MAY_GROW = {"descriptors": 22}
"""The pools: 10 connections for requests and 2 for polls, with their files."""
_LEAVE = 15.0
"""Seconds after which all resources of closed viewers must be released."""


@dataclass
class Outcome:
    """The result of a trial."""

    problems: list[str] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    """Seconds from acknowledgement to receipt, for writes outside the fault."""
    during: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    """Seconds from the end of the fault until writes during it were received."""
    writes: int = 0
    rows: int = 0
    streams: int = 0
    resyncs: int = 0

    def count(self, all_watched: Sequence[Watched]) -> None:
        """Adds the results of viewers."""
        for viewer in (watched.viewer for watched in all_watched):
            self.problems += [f"{viewer.name}: {problem}" for problem in viewer.problems]
            self.streams += viewer.streams
            self.resyncs += viewer.resyncs
            self.rows += sum(map(len, viewer.seen.values()))

    def add(self, lags: Lags) -> None:
        """Adds the lags of one viewer."""
        self.usual += lags.usual
        self.during += lags.during
        self.after += lags.after

    def violations(self, within: float | None = None, slowness: float = 1.0) -> list[str]:
        """The errors and late writes. `within` is the guaranteed maximum lag in seconds during the fault, if
        any; `slowness` scales all limits for slow machines."""
        found, latest = list(self.problems), max(self.after, default=0.0)
        if latest > AFTER * slowness:
            found.append(f"something was seen {latest:.1f} s after the fault, {AFTER:.0f} s are promised")
        late = checks.percentile(self.during, 0.99) or 0.0
        if within is not None and late > within * slowness:
            found.append(f"1 % was seen more than {late:.1f} s late, {within:.0f} s are promised")
        return found


async def try_fault(stack: Stack, fault: Fault, seconds: float, seed: int) -> Outcome:
    """Injects a fault for this many seconds and checks the results."""
    outcome = Outcome()
    before = await usage(stack)
    runs = [RunIdentifier(f"{fault.name}, {seed}", "faults", f"run-{number}") for number in range(2)]
    own = ActionIdentifier(runs[0].project, runs[0].domain, runs[0].name, "own")
    wholes, others = _watchers(stack, runs)
    all_watched = [*(watched for of_run in wholes for watched in of_run), *others]
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        executors = [Executor(client, stack.urls, run, _LANES, seed) for run in runs]
        for executor in executors:
            await executor.begin(own.name)
        async with watching(all_watched):
            working = [asyncio.create_task(executor.work()) for executor in executors]
            await asyncio.sleep(_CALM)
            began = time.monotonic()
            await fault.act(stack, seconds, own)
            ended = time.monotonic()
            await asyncio.sleep(_CALM)
            await until(lambda: sum(len(each.journal.written) for each in executors) > MIN_WRITES)
            for executor in executors:
                executor.finish()
            async with asyncio.timeout(_SETTLE):
                await asyncio.gather(*working)
            await settle(stack, all_watched, outcome)
    for executor, of_run in zip(executors, wholes, strict=True):
        await _check_results(stack, outcome, executor.journal, of_run, (began, ended))
    outcome.count(all_watched)
    outcome.problems += await leaks(stack, before)
    return outcome


async def _check_results(
    stack: Stack, outcome: Outcome, journal: Journal, of_run: list[Watched], fault: tuple[float, float]
) -> None:
    """Compares the acknowledged writes of a run with the stored rows and with what its viewers received."""
    actions = await checks.stored_actions(stack, journal.run)
    events = await checks.stored_events(stack, journal.run)
    outcome.writes += len(journal.written)
    outcome.problems += checks.lost_writes(journal, actions, events)
    for watched in of_run:
        missed = checks.missed_ends(watched.viewer, actions)
        outcome.problems += [f"{watched.viewer.name} missed the end of {name}" for name in missed]
        outcome.add(checks.lags(watched.viewer, journal, *fault))


async def settle(stack: Stack, all_watched: Sequence[Watched], outcome: Outcome) -> None:
    """Waits for viewers to show the stored rows; records those that do not."""
    for watched in all_watched:
        viewer, should = watched.viewer, await watched.stored(stack)
        if not await checks.settled(viewer, should, _SETTLE):
            outcome.problems.append(f"{viewer.name} shows {checks.difference(checks.shown(viewer), should)}")


def _watchers(stack: Stack, runs: list[RunIdentifier]) -> tuple[list[list[Watched]], list[Watched]]:
    """Viewers of all actions of each run on each replica, and viewers of other data."""
    here, there = stack.urls, stack.urls[::-1]
    wholes = [
        [checks.watch_actions(f"{run.name} at {urls[0]}", urls, run) for urls in (here, there)]
        for run in runs
    ]
    others = [
        *(checks.watch_runs(f"runs at {urls[0]}", urls, runs) for urls in (here, there)),
        *(checks.watch_actions(f"running of {run.name}", there, run, "RUNNING") for run in runs),
        *(checks.watch_events(f"events of {run.name}", urls, run) for run in runs for urls in (here, there)),
    ]
    return wholes, others


@asynccontextmanager
async def watching(all_watched: Sequence[Watched]) -> AsyncIterator[None]:
    """Runs the viewers while the context is open; waits for their snapshots first."""
    viewers = [watched.viewer for watched in all_watched]
    tasks = [asyncio.create_task(viewer.watch()) for viewer in viewers]
    try:
        async with asyncio.timeout(_SETTLE):
            await asyncio.gather(*(viewer.synced.wait() for viewer in viewers))
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def usage(stack: Stack) -> list[dict[str, float]]:
    """The current resource usage of each replica."""
    return await asyncio.gather(*(replica.usage() for replica in stack.replicas))


async def leaks(stack: Stack, before: list[dict[str, float]]) -> list[str]:
    """Resources that replicas have not released in time."""
    deadline = time.monotonic() + _LEAVE
    while True:
        now = await usage(stack)
        found = [
            f"{replica.name} holds {has[what]:.0f} {what}, {had[what]:.0f} before"
            for replica, had, has in zip(stack.replicas, before, now, strict=True)
            for what in has
            if has[what] > had[what] + _MAY_GROW.get(what, 0)
        ]
        if not found or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.1)
