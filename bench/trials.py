"""Owns what is measured: each trial gives figures, with its floor in the same run."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from bench import floor, load
from bench.data import action_id, execute, make_actions, make_runs, run_id
from bench.processes import Process, rungraph, running
from bench.report import Figure
from bench.subscribers import Seen, Subscriber, subscribe
from tests.faults.checks import percentile

LIST = """query ($first: Int) { runs(first: $first) { nodes {
  project domain name phase attempts cacheStatus source task { name version } taskType functionName
  environmentName trigger { name } revision durationMs createdAt updatedAt startedAt endedAt triggeredAt
} } }"""
ACTIONS = """subscription ($run: RunIdentifierInput!) {
  actions(run: $run) { kind cursor actions { id name phase attempts updatedAt } }
}"""
_UPDATE = """mutation ($input: [UpdateActionPhaseInput!]!) {
  updateActionPhases(input: $input) { results { applied } }
}"""
_EVENTS = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"


async def lists(database_url: str, seconds: float) -> list[Figure]:
    """A list of 50 runs with 20 fields over HTTP, and the floor of it."""
    body = {"query": LIST, "variables": {"first": 50}}
    async with rungraph(database_url) as ours:
        await make_runs(ours, 2000)
        async with running(floor.__name__, RUNGRAPH_DATABASE_URL=database_url) as bare:
            for process in (ours, bare):
                await load.ask_for(process, body, seconds / 4)
            # In turns, so that what else the machine does hits both.
            mine, least = [], []
            for _ in range(2):
                mine.append(await load.ask_for(ours, body, seconds / 2))
                least.append(await load.ask_for(bare, body, seconds / 2))
    cpu = sum(each.cpu for each in mine) / sum(each.requests for each in mine)
    cpu_floor = sum(each.cpu for each in least) / sum(each.requests for each in least)
    rate = sum(each.rate for each in mine) / 2
    rate_floor = sum(each.rate for each in least) / 2
    idle = 1 - max(each.client_cpu / each.seconds for each in [*mine, *least])
    note = f"the client was idle for {idle:.0%} at least"
    return [
        Figure("list 50 × 20: CPU", cpu / cpu_floor, "× floor", "≤ 1.15", cpu / cpu_floor <= 1.15),
        Figure(
            "list 50 × 20: requests/s", rate / rate_floor, "× floor", "≥ 0.90", rate / rate_floor >= 0.9, note
        ),
        Figure("the floor: CPU for a request", cpu_floor * 1e6, "µs", "", None),
    ]


async def fan_out(database_url: str, subscribers: int, rate: int, seconds: float) -> list[Figure]:
    """So many subscribers of one run in which so many actions a second change."""
    seen, each = Seen(), max(1, rate // 20)
    async with rungraph(database_url) as process:
        await make_actions(process, "fan-out", each + 1)
        before, began = process.memory(), time.monotonic()
        crowd = await asyncio.gather(
            *(subscribe(process, ACTIONS, {"run": run_id("fan-out")}, seen) for _ in range(subscribers))
        )
        await asyncio.wait_for(asyncio.gather(*(one.synced for one in crowd)), 120)
        joined = time.monotonic() - began
        memory = (process.memory() - before) / subscribers
        await asyncio.sleep(1)
        seen.rows = seen.frames = 0
        cpu, client, began = process.cpu(), time.process_time(), time.monotonic()
        turn = 1
        while time.monotonic() < began + seconds:
            turn += 1
            await _raise_attempts(process, each, turn, seen)
            await asyncio.sleep(max(0.0, began + (turn - 1) / 20 - time.monotonic()))
        took = time.monotonic() - began
        missing = await _behind(crowd, turn)
        cpu, client = (process.cpu() - cpu) / took, (time.process_time() - client) / took
        for one in crowd:
            one.transport.abort()
    p99 = percentile(seen.lags, 0.99) or 0.0
    name = f"{subscribers:,} subscribers × {(turn - 1) * each / took:,.0f} updates/s"
    return [
        Figure(f"{subscribers:,} clients subscribe", joined, "s", "≤ 2", joined <= 2),
        Figure(
            f"{name}: delivered", seen.rows / took, "updates/s", "", None, f"client at {client:.0%} of a core"
        ),
        Figure(f"{name}: subscribers that miss the last", missing, "", "0", missing == 0),
        Figure(f"{name}: p99", p99 * 1000, "ms", "≤ 150", p99 <= 0.15),
        Figure(f"{name}: CPU", cpu * 100, "% of a core", "≤ 50", cpu <= 0.5),
        Figure("memory of a subscriber", memory / 1024, "KiB", "≤ 30", memory <= 30 * 1024),
    ]


async def distinct(database_url: str, subscribers: int, seconds: float) -> list[Figure]:
    """Frames a second of subscribers who all ask something else, so that none can be shared."""
    seen = Seen()
    async with rungraph(database_url) as process:
        await make_actions(process, "distinct", 2)
        crowd = []
        for number in range(subscribers):
            query = ACTIONS.replace("updatedAt", f"field{number}: updatedAt")
            crowd.append(await subscribe(process, query, {"run": run_id("distinct")}, seen))
        await asyncio.wait_for(asyncio.gather(*(one.synced for one in crowd)), 120)
        seen.frames, turn, began = 0, 1, time.monotonic()
        cpu = process.cpu()
        while time.monotonic() < began + seconds:
            turn += 1
            await _raise_attempts(process, 1, turn, seen)
            await _behind(crowd, turn)
        took, cpu = time.monotonic() - began, process.cpu() - cpu
        for one in crowd:
            one.transport.abort()
    rate = seen.frames / took
    note = f"{cpu / max(1, seen.frames) * 1e6:,.0f} µs of CPU each"
    return [Figure("distinct frames", rate, "frames/s", "≥ 50,000", rate >= 50_000, note)]


async def snapshot(database_url: str, actions: int) -> list[Figure]:
    """A run with many actions, from the subscription to SYNCED."""
    seen = Seen()
    async with rungraph(database_url) as process:
        await make_actions(process, "large", actions)
        before, began, cpu = process.memory(), time.monotonic(), process.cpu()
        stalls = asyncio.create_task(_longest_wait(process))
        one = await subscribe(process, ACTIONS, {"run": run_id("large")}, seen)
        await asyncio.wait_for(one.synced, 120)
        took, memory, cpu = time.monotonic() - began, process.memory() - before, process.cpu() - cpu
        stalls.cancel()
        stall = await stalls
        one.transport.abort()
    assert seen.rows == actions
    name = f"snapshot of {actions:,} actions"
    return [
        Figure(name, took, "s", "", None, f"{cpu:.2f} s of CPU, {one.bytes / 1e6:.1f} MB"),
        Figure(f"{name}: memory", memory / 1e6, "MB", "≤ 10", memory <= 10e6),
        Figure(f"{name}: longest wait of others", stall * 1000, "ms", "≤ 100", stall <= 0.1),
    ]


async def writes(database_url: str, rounds: int) -> list[Figure]:
    """Events in batches of 1,000 and of 5,000, the fastest of some rounds."""
    async with rungraph(database_url) as process:
        await make_actions(process, "writes", 2)
        times = {}
        for batch in (1000, 5000):
            tries = [await _insert(process, batch, turn) for turn in range(rounds)]
            times[batch] = min(tries)
    rate, growth = 1000 / times[1000], times[5000] / times[1000]
    return [
        Figure("insertEvents of 1,000", rate, "rows/s", "≥ 25,000", rate >= 25_000),
        Figure("insertEvents of 5,000", growth, "× the time of 1,000", "≤ 6", growth <= 6),
    ]


async def _insert(process: Process, batch: int, turn: int) -> float:
    now = datetime.now(UTC).isoformat()
    identifier = action_id("writes", "a1")
    events = [
        {
            "action": identifier,
            "attempt": 1,
            "phase": "RUNNING",
            "version": (turn * 10 + batch // 1000) * 10_000 + number,
            "occurredAt": now,
        }
        for number in range(batch)
    ]
    began = time.monotonic()
    made = await execute(process, _EVENTS, {"events": events})
    took = time.monotonic() - began
    assert made["insertEvents"]["inserted"] == batch
    return took


async def _raise_attempts(process: Process, count: int, turn: int, seen: Seen) -> None:
    """So many actions begin an attempt with this number."""
    run = "fan-out" if count > 1 else "distinct"
    updates: list[dict[str, Any]] = [
        {"id": action_id(run, f"a{number}"), "phase": "RUNNING", "attempts": turn}
        for number in range(1, count + 1)
    ]
    # Before it is acknowledged, and so a little too early: a subscriber may have it before that.
    seen.acknowledged[turn] = time.monotonic()
    await execute(process, _UPDATE, {"input": updates})


async def _behind(crowd: list[Subscriber], turn: int) -> int:
    """How many have not got the last update, when they have had 10 seconds."""
    deadline = time.monotonic() + 10
    while True:
        missing = sum(one.latest < turn for one in crowd)
        if not missing or time.monotonic() > deadline:
            return missing
        await asyncio.sleep(0.002)


async def _longest_wait(process: Process) -> float:
    """How long the slowest of many small requests took, when this is cancelled."""
    longest = 0.0
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    try:
        while True:
            began = time.monotonic()
            writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await reader.readuntil(b"alive\n")
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.005)
    except asyncio.CancelledError:
        writer.close()
        return longest
