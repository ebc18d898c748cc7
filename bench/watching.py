"""Benchmark: many subscribers, their latency and their cost."""

import asyncio
import time

from bench.data import ACTIONS, make_actions, raise_attempts, run_id
from bench.load import Waits, connected
from bench.processes import rungraph
from bench.report import Result
from bench.subscribers import Seen, Subscriber, behind, subscribe, subscribed
from tests.faults.checks import percentile

_WRITES_A_SECOND = 20
_FRAMES_A_SECOND = 60


async def fan_out(database_url: str, subscribers: int, rate: int, seconds: float) -> list[Result]:
    """Subscribers of one run with a given number of changes per second."""
    seen, each = Seen(), max(1, rate // _WRITES_A_SECOND)
    async with rungraph(database_url) as process:
        await make_actions(process, "fan-out", each + 1)
        before, began = process.memory(), time.monotonic()
        async with subscribed(process, ACTIONS, {"run": run_id("fan-out")}, seen, subscribers) as crowd:
            joined = time.monotonic() - began
            memory = (process.memory() - before) / subscribers
            await asyncio.sleep(1)
            seen.rows = seen.frames = 0
            cpu, client, began = process.cpu(), time.process_time(), time.monotonic()
            async with Waits(process) as waits, connected(process) as writer:
                turn = 1
                while time.monotonic() < began + seconds:
                    turn += 1
                    # Before the acknowledgement, since a subscriber may receive it earlier.
                    seen.acknowledged[turn] = time.monotonic()
                    await raise_attempts(writer, "fan-out", each, turn)
                    await asyncio.sleep(max(0.0, began + (turn - 1) / _WRITES_A_SECOND - time.monotonic()))
            took = time.monotonic() - began
            missing = await behind(crowd, turn)
            cpu, client = (process.cpu() - cpu) / took, (time.process_time() - client) / took
    p99, stall = percentile(seen.lags, 0.99) or 0.0, waits.longest
    name = f"{subscribers:,} subscribers × {(turn - 1) * each / took:,.0f} updates/s"
    return [
        Result(f"{subscribers:,} clients subscribe", joined, "s", "≤ 2", joined <= 2),
        Result(
            *(f"{name}: delivered", seen.rows / took, "updates/s", "", None),
            note=f"client at {client:.0%} of a core",
            client=client,
        ),
        Result(f"{name}: subscribers that miss the last", missing, "", "0", missing == 0),
        Result(f"{name}: p99", p99 * 1000, "ms", "≤ 150", p99 <= 0.15),
        Result(f"{name}: CPU", cpu * 100, "% of a core", "≤ 50", cpu <= 0.5),
        Result(f"{name}: longest wait of a small request", stall * 1000, "ms", "≤ 100", stall <= 0.1),
        Result("memory of a subscriber", memory / 1024, "KiB", "≤ 30", memory <= 30 * 1024),
    ]


async def frames(database_url: str, subscribers: int, seconds: float) -> list[Result]:
    """Frames per second of identical subscriptions, each update in its own frame."""
    seen = Seen()
    async with rungraph(database_url) as process:
        await make_actions(process, "frames", 2)
        async with subscribed(process, ACTIONS, {"run": run_id("frames")}, seen, subscribers) as crowd:
            await asyncio.sleep(1)
            seen.frames, turn, began = 0, 1, time.monotonic()
            cpu, client = process.cpu(), time.process_time()
            async with connected(process) as writer:
                while time.monotonic() < began + seconds:
                    turn += 1
                    await raise_attempts(writer, "frames", 1, turn)
                    await asyncio.sleep(max(0.0, began + turn / _FRAMES_A_SECOND - time.monotonic()))
            missing = await behind(crowd, turn)
            took = time.monotonic() - began
            cpu, client = process.cpu() - cpu, (time.process_time() - client) / took
    rate = seen.frames / took
    note = f"{cpu / max(1, seen.frames) * 1e6:,.1f} µs of CPU each; without the last one: {missing}"
    name = f"frames to {subscribers:,} subscribers, one update each"
    return [Result(name, rate, "frames/s", "≥ 50,000", rate >= 50_000 and not missing, note, client)]


async def distinct(database_url: str, subscribers: int, seconds: float) -> list[Result]:
    """Frames per second of different subscriptions, of which none can be shared."""
    seen = Seen()
    async with rungraph(database_url) as process:
        await make_actions(process, "distinct", 2)
        crowd: list[Subscriber] = []
        for number in range(subscribers):
            query = ACTIONS.replace("updatedAt", f"field{number}: updatedAt")
            crowd.append(await subscribe(process, query, {"run": run_id("distinct")}, seen))
        await asyncio.wait_for(asyncio.gather(*(one.synced for one in crowd)), 120)
        await asyncio.sleep(1)
        seen.frames, turn, began = 0, 1, time.monotonic()
        cpu, client = process.cpu(), time.process_time()
        async with connected(process) as writer:
            while time.monotonic() < began + seconds:
                turn += 1
                await raise_attempts(writer, "distinct", 1, turn)
        await behind(crowd, turn)
        took = time.monotonic() - began
        cpu, client = process.cpu() - cpu, (time.process_time() - client) / took
        for one in crowd:
            one.transport.abort()
    rate = seen.frames / took
    note = f"{cpu / max(1, seen.frames) * 1e6:,.0f} µs of CPU each, executed and encoded for each"
    name = f"frames to {subscribers:,} subscribers with different subscriptions"
    return [Result(name, rate, "frames/s", "", None, note, client)]
