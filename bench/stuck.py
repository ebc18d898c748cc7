"""Benchmark: what a client that does not read costs in memory and in the latency of others."""

import asyncio
import time

from bench.data import ACTIONS, make_actions, raise_attempts, run_id
from bench.load import Connection, connected
from bench.processes import rungraph
from bench.report import Result
from bench.subscribers import Seen, behind, subscribe, subscribed
from tests.faults.checks import percentile

_RUN = "stuck"
_EACH = 40
_WRITES_A_SECOND = 50
_OTHERS = 50
_RECEIVE_BUFFER = 4096
_TURNS = 5


async def stuck(database_url: str, seconds: float) -> list[Result]:
    """One subscriber alternates between reading and not reading while 50 others get updates."""
    seen, free, held = Seen(), list[float](), list[float]()
    costs: list[tuple[int, int]] = []
    subscription = (ACTIONS, {"run": run_id(_RUN)})
    async with rungraph(database_url) as process, connected(process) as writer:
        await make_actions(process, _RUN, _EACH + 1)
        async with subscribed(process, *subscription, seen, _OTHERS) as crowd:
            one = await subscribe(process, *subscription, Seen(), _RECEIVE_BUFFER)
            await one.synced
            port = one.transport.get_extra_info("sockname")[1]
            last = await _write(writer, 1, seconds / _TURNS, seen)
            seen.take_lags()
            for _ in range(_TURNS):
                last = await _write(writer, last, seconds / _TURNS, seen)
                assert await behind([*crowd, one], last) == 0
                free += seen.take_lags()
                one.transport.pause_reading()
                before = process.memory()
                last = await _write(writer, last, seconds / _TURNS, seen)
                assert await behind(crowd, last) == 0
                held += seen.take_lags()
                costs.append((max(0, process.memory() - before), process.unsent_to(port)))
                one.transport.resume_reading()
            missing = await behind([one], last)
            one.transport.abort()
    # The median ignores occasional growth of the process by hundreds of kilobytes.
    own, kernel = sorted(costs, key=sum)[_TURNS // 2]
    cost, most = (own + kernel) / 1024, sum(max(costs, key=sum)) / 1024
    ratio = (percentile(held, 0.99) or 0.0) / (percentile(free, 0.99) or 1.0)
    return [
        Result(
            "a client that does not read: memory",
            cost,
            "KiB",
            "≤ 256",
            cost <= 256,
            f"{kernel / 1024:.0f} of it the system's; {most:,.0f} at most in {_TURNS} turns",
        ),
        Result(
            "a client that does not read: p99 of the others", ratio, "× without it", "≤ 1.2", ratio <= 1.2
        ),
        Result("a client that reads again: without the last update", missing, "", "0", missing == 0),
    ]


async def _write(writer: Connection, last: int, seconds: float, seen: Seen) -> int:
    """Writes for this many seconds; returns the number of the last write."""
    began, turn = time.monotonic(), last
    while time.monotonic() < began + seconds:
        turn += 1
        seen.acknowledged[turn] = time.monotonic()
        await raise_attempts(writer, _RUN, _EACH, turn)
        await asyncio.sleep(max(0.0, began + (turn - last) / _WRITES_A_SECOND - time.monotonic()))
    return turn
