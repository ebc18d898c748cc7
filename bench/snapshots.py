"""Benchmark: the snapshot of a subscription to a run with many actions, until SYNCED."""

import asyncio
import time

from bench import floor
from bench import stock as tuned
from bench.data import ACTIONS, DOMAIN, PROJECT, make_actions, run_id
from bench.load import Waits, connected, request
from bench.processes import Process, rungraph, running
from bench.report import Result
from bench.subscribers import Seen, subscribe
from repo import RunIdentifier

_RUN = "large"


async def snapshot(database_url: str, actions: int) -> list[Result]:
    """A run with many actions: compiled, by stock execution, and as one response of dicts and orjson."""
    async with (
        rungraph(database_url) as ours,
        running(tuned.__name__, RUNGRAPH_DATABASE_URL=database_url) as stock,
        running(floor.__name__, RUNGRAPH_DATABASE_URL=database_url) as bare,
    ):
        await make_actions(ours, _RUN, actions)
        before, cpu = ours.memory(), ours.cpu()
        async with Waits(ours) as waits:
            took, size = await _read(ours, actions)
        memory, cpu, stall = ours.memory() - before, ours.cpu() - cpu, waits.longest
        # Each twice, taking the faster: the first also compiles, connects and plans.
        took = min(took, (await _read(ours, actions))[0])
        slow = (await _read(stock, actions))[0]
        least = min([await _read_floor(bare) for _ in range(2)])
    name = f"snapshot of {actions:,} actions"
    note = f"{took:.2f} s, {cpu:.2f} s of CPU, {size / 1e6:.1f} MB"
    faster, share = slow / took, took / least
    return [
        Result(name, faster, "× as fast as stock", "≥ 15", faster >= 15, note),
        Result(name, share, "× dict and orjson", "≤ 0.8", share <= 0.8, f"dict and orjson: {least:.2f} s"),
        Result(f"{name}: memory", memory / 1e6, "MB", "≤ 10", memory <= 10e6),
        Result(f"{name}: longest wait of others", stall * 1000, "ms", "≤ 10", stall <= 0.01),
    ]


async def _read(process: Process, actions: int) -> tuple[float, int]:
    """The seconds and bytes until the snapshot is complete."""
    seen, began = Seen(), time.monotonic()
    one = await subscribe(process, ACTIONS, {"run": run_id(_RUN)}, seen)
    await asyncio.wait_for(one.synced, 120)
    took = time.monotonic() - began
    one.transport.abort()
    assert seen.rows == actions
    return took, one.bytes


async def _read_floor(process: Process) -> float:
    key = RunIdentifier(PROJECT, DOMAIN, _RUN).key.hex()
    async with connected(process) as connection:
        began = time.monotonic()
        await connection.post(request({"run": key}, "/actions"))
        return time.monotonic() - began
