"""Owns a trial: executors write, viewers watch, a fault happens, and then everything has to be right."""

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
"""Seconds after a fault within which everybody has to have seen everything: the promise in the README."""
_LANES = 3
_TIMEOUT = 10.0
_SETTLE = 20.0
"""Seconds after which whoever is not right never will be."""
_CALM = 0.5
"""Seconds of writing before the fault, and after it."""
LEAST_WRITES = 20
"""Writes without which a trial shows nothing: executors go on until there are more."""
_MAY_GROW = {"descriptors": 22}
"""The pools: 10 connections for requests, 2 for looks, with what they bring."""
_LEAVE = 15.0
"""Seconds after which nothing of those who left may be held any more."""


@dataclass
class Outcome:
    """What a trial showed."""

    problems: list[str] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    """Seconds from acknowledgement to sight, of writes outside the fault."""
    during: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    """Seconds from the end of the fault until what was written during it was seen."""
    writes: int = 0
    rows: int = 0
    streams: int = 0
    resyncs: int = 0

    def count(self, everybody: Sequence[Watched]) -> None:
        """Count in what viewers went through."""
        for viewer in (watched.viewer for watched in everybody):
            self.problems += [f"{viewer.name}: {problem}" for problem in viewer.problems]
            self.streams += viewer.streams
            self.resyncs += viewer.resyncs
            self.rows += sum(map(len, viewer.seen.values()))

    def add(self, lags: Lags) -> None:
        """Count the lags of one viewer in."""
        self.usual += lags.usual
        self.during += lags.during
        self.after += lags.after

    def broken_promises(self, within: float | None = None, patience: float = 1.0) -> list[str]:
        """What went wrong, and what came too late, on a machine that is so many times slower. `within` is
        after how many seconds at most everything has to come during the fault, where that is promised."""
        found, latest = list(self.problems), max(self.after, default=0.0)
        if latest > AFTER * patience:
            found.append(f"something was seen {latest:.1f} s after the fault, {AFTER:.0f} s are promised")
        late = checks.percentile(self.during, 0.99) or 0.0
        if within is not None and late > within * patience:
            found.append(f"1 % was seen more than {late:.1f} s late, {within:.0f} s are promised")
        return found


async def try_fault(stack: Stack, fault: Fault, seconds: float, seed: int) -> Outcome:
    """Let the fault happen for so long, and see what comes of it."""
    outcome = Outcome()
    before = await usage(stack)
    runs = [RunIdentifier(f"{fault.name}, {seed}", "faults", f"run-{number}") for number in range(2)]
    own = ActionIdentifier(runs[0].project, runs[0].domain, runs[0].name, "own")
    wholes, others = _watchers(stack, runs)
    everybody = [*(watched for of_run in wholes for watched in of_run), *others]
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        executors = [Executor(client, stack.urls, run, _LANES, seed) for run in runs]
        for executor in executors:
            await executor.begin(own.name)
        async with watching(everybody):
            working = [asyncio.create_task(executor.work()) for executor in executors]
            await asyncio.sleep(_CALM)
            began = time.monotonic()
            await fault.act(stack, seconds, own)
            ended = time.monotonic()
            await asyncio.sleep(_CALM)
            await until(lambda: sum(len(each.journal.written) for each in executors) > LEAST_WRITES)
            for executor in executors:
                executor.finish()
            async with asyncio.timeout(_SETTLE):
                await asyncio.gather(*working)
            await settle(stack, everybody, outcome)
    for executor, of_run in zip(executors, wholes, strict=True):
        await _judge(stack, outcome, executor.journal, of_run, (began, ended))
    outcome.count(everybody)
    outcome.problems += await leaks(stack, before)
    return outcome


async def _judge(
    stack: Stack, outcome: Outcome, journal: Journal, of_run: list[Watched], fault: tuple[float, float]
) -> None:
    """Compare what was acknowledged of a run with what is stored, and with what its viewers saw."""
    actions = await checks.stored_actions(stack, journal.run)
    events = await checks.stored_events(stack, journal.run)
    outcome.writes += len(journal.written)
    outcome.problems += checks.lost_writes(journal, actions, events)
    for watched in of_run:
        missed = checks.missed_ends(watched.viewer, actions)
        outcome.problems += [f"{watched.viewer.name} missed the end of {name}" for name in missed]
        outcome.add(checks.lags(watched.viewer, journal, *fault))


async def settle(stack: Stack, everybody: Sequence[Watched], outcome: Outcome) -> None:
    """Note what is wrong with what viewers show, when they have had the time to become right."""
    for watched in everybody:
        viewer, should = watched.viewer, await watched.stored(stack)
        if not await checks.settled(viewer, should, _SETTLE):
            outcome.problems.append(f"{viewer.name} shows {checks.difference(checks.shown(viewer), should)}")


def _watchers(stack: Stack, runs: list[RunIdentifier]) -> tuple[list[list[Watched]], list[Watched]]:
    """Those who watch all actions of each run, on each replica; and those who watch something else."""
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
async def watching(everybody: Sequence[Watched]) -> AsyncIterator[None]:
    """All of them watch for as long as the context lasts, which begins when they have what is there."""
    viewers = [watched.viewer for watched in everybody]
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
    """What each replica holds on to at the moment."""
    return await asyncio.gather(*(replica.usage() for replica in stack.replicas))


async def leaks(stack: Stack, before: list[dict[str, float]]) -> list[str]:
    """What replicas hold on to that they did not before, when they have had the time to let it go."""
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
