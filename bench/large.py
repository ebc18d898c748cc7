"""Benchmark: every question of the API on a large record, beside the same on a tenth of it."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from websockets.asyncio.client import connect

from bench.load import Waits, connected, request
from bench.processes import Process, rungraph
from bench.questions import Question, questions
from bench.record import record
from bench.report import FOLDER, Result

WARM, FLAT, COLD, LOOP = 0.050, 1.2, 1.0, 0.050
"""The goals: seconds of a warm question, times what it takes at a tenth, seconds of a cold one, and seconds
for which the event loop is held."""
_UNNOTICED = 0.005
"""Seconds below which growth is noise."""
_NO_LIMIT = {"RUNGRAPH_OPERATION_TIMEOUT": "120", "RUNGRAPH_REQUEST_TIMEOUT": "120"}
_COLD_QUESTIONS = ("runs", "run", "action", "large run", "busy action", "tasks")
_CACHES = Path("/proc/sys/vm/drop_caches")
_SMALLEST = Question("smallest", "{ pendingAborts(first: 1) { nodes { name } } }")
Times = dict[str, float]


async def large(
    database_url: str, runs: int, rounds: int, restart: Callable[[], None] | None
) -> list[Result]:
    """Medians over some rounds. With `restart`, which restarts the database, also times without anything in
    memory, and a table of all questions."""
    await record(database_url, 1, runs // 10)
    small, _ = await _ask_all(database_url, rounds)
    await record(database_url, runs // 10 + 1, runs)
    warm, held = await _ask_all(database_url, rounds)
    cold: Times = {}
    if restart is not None:
        if os.access(_CACHES, os.W_OK):
            cold = await _ask_cold(database_url, restart)
        _write_table(small, warm, cold, held, runs)
    return _results(small, warm, cold, held, runs)


def _results(small: Times, warm: Times, cold: Times, held: Times, runs: int) -> list[Result]:
    grown = {name: warm[name] / small[name] for name in warm if warm[name] > _UNNOTICED}
    what = f"{len(warm)} questions of {runs:,} runs"
    results = []
    for name, times, goal in (("warm", warm, WARM), ("cold", cold, COLD), ("event loop held", held, LOOP)):
        if times:
            missed = [each for each in times if times[each] > goal]
            slowest = max(times, key=lambda each: times[each])
            note = f"slowest: {slowest}, {times[slowest] * 1000:,.0f} ms"
            row = f"{what}, {name}: over {goal * 1000:,.0f} ms"
            results.append(Result(row, len(missed), "", "0", not missed, note))
    missed = sorted((each for each in grown if grown[each] > FLAT), key=lambda each: -grown[each])
    note = ", ".join(f"{each} {grown[each]:.1f} ×" for each in missed[:3])
    row = f"{what}: over {FLAT} × of a tenth"
    results.append(Result(row, len(missed), "", "0", not missed, note))
    return results


async def _ask_all(database_url: str, rounds: int) -> tuple[Times, Times]:
    """The median seconds of each question, and the longest that the event loop was held."""
    times: Times = {}
    held: Times = {}
    async with rungraph(database_url, **_NO_LIMIT) as process:
        for question in questions():
            await _ask(process, question)
            taken = []
            async with Waits(process) as waits:
                for _ in range(rounds):
                    taken.append(await _ask(process, question))
            times[question.name], held[question.name] = median(taken), waits.longest
    return times, held


async def _ask_cold(database_url: str, restart: Callable[[], None]) -> Times:
    """The seconds of the questions about runs after the files of the database left the memory."""
    times: Times = {}
    async with rungraph(database_url, **_NO_LIMIT) as process:
        for question in questions():
            if question.name.startswith(_COLD_QUESTIONS):
                await asyncio.to_thread(restart)
                await asyncio.to_thread(_CACHES.write_text, "3")
                await _ask(process, _SMALLEST)  # reconnects
                times[question.name] = await _ask(process, question)
    return times


async def _ask(process: Process, question: Question) -> float:
    """The seconds until the answer, or until a subscription has sent its snapshot."""
    body = {"query": question.query, "variables": question.variables}
    if not question.is_subscription:
        async with connected(process) as connection:
            began = time.monotonic()
            await connection.post(request(body))
            return time.monotonic() - began
    address = f"ws://127.0.0.1:{process.port}/graphql"
    async with connect(address, subprotocols=["graphql-transport-ws"], max_size=None) as socket:  # type: ignore[list-item]
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        began = time.monotonic()
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": body}))
        while True:
            message = await socket.recv(decode=False)
            assert b'"errors"' not in message[:100], message[:500]
            if b'"kind":"' not in message[:100] or b'"kind":"SYNCED"' in message[:100]:
                return time.monotonic() - began


def _write_table(small: Times, warm: Times, cold: Times, held: Times, runs: int) -> None:
    """Every question by itself, the slowest first."""
    lines = [
        "# Every question of a large record",
        "",
        f"{runs:,} runs of 9 actions, milliseconds; `make bench TRIALS=large` writes it.",
        "",
        "| question | a tenth | all | cold | event loop held |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(warm, key=lambda each: -warm[each]):
        columns = [times.get(name) for times in (small, warm, cold, held)]
        cells = ["" if seconds is None else f"{seconds * 1000:,.1f}" for seconds in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    (FOLDER / "QUESTIONS.md").write_text("\n".join(lines) + "\n")
