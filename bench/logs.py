"""Benchmark: a log of 100 MB is appended, opened, searched, and followed by many, beside a floor: a row for
each line in a table of the same database, written and read by asyncpg."""

import asyncio
import random
import time
from statistics import median
from typing import Any

import asyncpg

from bench.data import action_id, make_actions
from bench.load import Connection, Waits, connected, request
from bench.processes import Process, rungraph
from bench.report import Result
from bench.subscribers import Seen, behind, subscribed
from tests.faults.checks import percentile

_BATCH = 5_000
_CALLS_A_SECOND = 20
_APPEND = "mutation ($input: AppendLogInput!) { appendLog(input: $input) { appended } }"
_FIELDS = "lines { number stream at level text } hasMore lineCount"
_PAGE = f"""query ($action: ActionIdentifierInput!, $first: Int, $last: Int, $search: String) {{
  logLines(action: $action, attempt: 1, first: $first, last: $last, search: $search) {{ {_FIELDS} }} }}"""
_FOLLOW = """subscription ($action: ActionIdentifierInput!) {
  logLines(action: $action, attempt: 2, last: 1) { kind end lines { number at level text } } }"""


async def logs(
    database_url: str, megabytes: int, subscribers: int, rate: int, seconds: float
) -> list[Result]:
    """A log of so many MB, and another one of `rate` lines a second with subscribers."""
    texts, calls = _lines(), megabytes * 1_000_000 // (100 * _BATCH)
    floor = await _floor(database_url, texts, calls)
    async with rungraph(database_url, RUNGRAPH_LOG_QUOTA=str(2**30)) as process:
        await make_actions(process, "logs", 1)
        async with connected(process) as connection:
            took, waits = await _fill(process, connection, texts, calls)
            appended = calls * _BATCH / took
            before = process.memory()
            last = await _times(connection, 20, last=1000)
            first = await _times(connection, 20, first=1000)
            searched = await _times(connection, 3, search="no such text", first=100)
            grown = (process.memory() - before) / 2**20
        results = [
            Result(
                *(
                    "appendLog of 5,000 lines of 100 bytes",
                    appended,
                    "lines/s",
                    "≥ 25,000",
                    appended >= 25_000,
                ),
                note=f"{appended / floor.rate:.2f} × floor, which has a row for each line",
            ),
            Result("appendLog: longest wait of a small request", waits * 1000, "ms", "≤ 100", waits <= 0.1),
            Result(
                *(f"the last 1,000 lines of {megabytes} MB", last[-1], "s", "≤ 1", last[-1] <= 1),
                note=f"median {median(last) * 1000:.1f} ms, floor {floor.last * 1000:.1f} ms without the API",
            ),
            Result(f"the first 1,000 lines of {megabytes} MB", first[-1], "s", "≤ 1", first[-1] <= 1),
            Result("search of 32 MiB of a log", median(searched), "s", "≤ 1", median(searched) <= 1),
            Result("pages of a log: memory", grown, "MiB", "≤ 64", grown <= 64),
        ]
        return results + await _follow(process, texts, subscribers, rate, seconds)


def _lines() -> list[str]:
    """Texts of about 100 bytes with the line end, as of a program that logs."""
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(3, 9))) for _ in range(3000)]
    return [f"worker-{dice.randint(1, 8)} {' '.join(dice.choices(words, k=14))}"[:99] for _ in range(_BATCH)]


class _Floor:
    rate = 0.0
    """Lines per second."""
    last = 0.0
    """Seconds for the last 1,000 lines."""


async def _floor(database_url: str, texts: list[str], calls: int) -> _Floor:
    """Inserts of 5,000 rows in a transaction, and the newest rows by the primary key."""
    floor, connection = _Floor(), await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "CREATE TABLE floor_lines (log bytea, number bigint, at timestamptz, level smallint, text text,"
            " PRIMARY KEY (log, number))"
        )
        insert = """INSERT INTO floor_lines SELECT $1, n, now(), 20, text
                    FROM unnest($2::bigint[], $3::text[]) AS line (n, text)"""
        began, log = time.monotonic(), bytes(32)
        for call in range(calls):
            numbers = list(range(call * _BATCH, (call + 1) * _BATCH))
            await connection.execute(insert, log, numbers, texts)
        floor.rate = calls * _BATCH / (time.monotonic() - began)
        newest = "SELECT * FROM floor_lines WHERE log = $1 ORDER BY number DESC LIMIT 1000"
        times = []
        for _ in range(20):
            began = time.monotonic()
            await connection.fetch(newest, log)
            times.append(time.monotonic() - began)
        floor.last = median(times)
        await connection.execute("DROP TABLE floor_lines")
    finally:
        await connection.close()
    return floor


async def _fill(
    process: Process, connection: Connection, texts: list[str], calls: int
) -> tuple[float, float]:
    """Appends the lines in calls; the seconds that they took, and the longest wait of a small request."""
    took = 0.0
    async with Waits(process) as waits:
        for call in range(calls):
            sent = _append(1, texts, call * _BATCH)
            began = time.monotonic()
            answer = await connection.post(sent)
            took += time.monotonic() - began
            assert b'"appended":5000' in answer, answer
    return took, waits.longest


def _append(attempt: int, texts: list[str], offset: int) -> bytes:
    lines = [{"text": text, "level": "INFO"} for text in texts]
    about = {"action": action_id("logs", "a0"), "attempt": attempt, "offset": offset, "lines": lines}
    return request({"query": _APPEND, "variables": {"input": about}})


async def _times(connection: Connection, rounds: int, **arguments: Any) -> list[float]:
    """The seconds of a page, sorted."""
    sent = request({"query": _PAGE, "variables": {"action": action_id("logs", "a0"), **arguments}})
    times = []
    for _ in range(rounds):
        began = time.monotonic()
        await connection.post(sent)
        times.append(time.monotonic() - began)
    return sorted(times)


async def _follow(
    process: Process, texts: list[str], subscribers: int, rate: int, seconds: float
) -> list[Result]:
    """Subscribers of a log that grows."""
    seen, each, offset = Seen(), rate // _CALLS_A_SECOND, 0
    variables = {"action": action_id("logs", "a0")}
    async with (
        subscribed(process, _FOLLOW, variables, seen, subscribers) as crowd,
        connected(process) as writer,
    ):
        await asyncio.sleep(1)
        seen.rows = 0
        cpu, client, began = process.cpu(), time.process_time(), time.monotonic()
        while time.monotonic() < began + seconds:
            # Before the acknowledgement, since a subscriber may receive it earlier.
            seen.acknowledged[offset + each] = time.monotonic()
            await writer.post(_append(2, texts[:each], offset))
            offset += each
            await asyncio.sleep(max(0.0, began + offset / rate - time.monotonic()))
        took = time.monotonic() - began
        missing = await behind(crowd, offset)
        cpu, client = (process.cpu() - cpu) / took, (time.process_time() - client) / took
    lost = offset * subscribers - seen.rows
    p99 = percentile(seen.lags, 0.99) or 0.0
    name = f"a log of {offset / took:,.0f} lines/s to {subscribers:,} subscribers"
    return [
        Result(f"{name}: lines that one of them misses", missing + abs(lost), "", "0", missing == lost == 0),
        Result(*(f"{name}: p99", p99 * 1000, "ms", "≤ 150", p99 <= 0.15), client=client),
        Result(f"{name}: CPU", cpu * 100, "% of a core", "≤ 50", cpu <= 0.5),
    ]
