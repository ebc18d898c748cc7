"""Benchmark: what a record becomes by use. Executors run whole runs at full speed while old runs are pruned
and the log of changes expires, as in days of a busy installation; then all are pruned beside callers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

import asyncpg

from bench.data import DOMAIN, LIST, PROJECT, action_id, make_actions
from bench.load import connected, request
from bench.processes import Process, rungraph
from bench.record import record
from bench.report import Result
from repo import ActionRepo, open_repository
from repo.actions.pruning import KEEP_REMOVED

_EXECUTORS = 8
_MEMBERS = [f"a{number}" for number in range(9)]
_STEADY = "steady"
"""A run that is never pruned, whose actions the callers update."""
_STEADY_ACTIONS = 400
_SAMPLES = 200
_RATE = 20
"""Requests per second of each caller."""
_PAUSE = 1.0
"""Seconds between two prunings."""
_ALONE = 10.0
"""Seconds that callers are measured without pruning."""

_CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
_UPDATE = """mutation ($input: [UpdateActionPhaseInput!]!) {
  updateActionPhases(input: $input) { results { applied } }
}"""
_INSERT = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
_TABLES = """
SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead, n_tup_upd AS updated,
  n_tup_hot_upd AS hot, autovacuum_count AS vacuums, pg_table_size(relid) AS size,
  pg_indexes_size(relid) AS indexes
FROM pg_stat_user_tables WHERE schemaname = 'public'
"""
_POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'"

Body = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class _State:
    """The database at a moment."""

    tables: Mapping[str, Mapping[str, int]]
    wal: int
    """Bytes of log written so far."""


async def growth(database_url: str, runs: int, seconds: float) -> list[Result]:
    """Writes for this long, beside a record of this many runs, which are pruned at the end."""
    await record(database_url, 1, runs)
    async with rungraph(database_url) as process, open_repository(database_url, 2) as repository:
        await make_actions(process, _STEADY, _STEADY_ACTIONS + 1)
        attempts = count(1)
        first = await _latencies(process, next(attempts))
        before = await _state(database_url)
        rows, took = await _days(process, repository, seconds)
        after = await _state(database_url)
        last = await _latencies(process, next(attempts))
        results = _written(before, after, rows, took)
        for name in first:
            share = median(last[name]) / median(first[name])
            note = f"{median(first[name]) * 1000:.1f} ms, then {median(last[name]) * 1000:.1f} ms"
            results.append(
                Result(f"{name} after the writing", share, "× before", "≤ 1.2", share <= 1.2, note)
            )
        results += await _pruned(database_url, process, repository, attempts)
    return results


async def _state(url: str) -> _State:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(_TABLES)
        return _State({row["name"]: dict(row) for row in found}, int(await connection.fetchval(_POSITION)))
    finally:
        await connection.close()


async def _latencies(process: Process, attempt: int) -> dict[str, list[float]]:
    """The seconds of requests while nothing else is asked."""
    callers, found = _callers(attempt), {}
    async with connected(process) as connection:
        for name, body in callers.items():
            times = []
            for number in range(_SAMPLES):
                began = time.monotonic()
                await connection.post(request(body(number)))
                times.append(time.monotonic() - began)
            found[name] = times[_SAMPLES // 10 :]
    return found


def _callers(attempt: int) -> dict[str, Body]:
    def list_runs(_: int) -> dict[str, Any]:
        return {"query": LIST, "variables": {"first": 50}}

    def update(number: int) -> dict[str, Any]:
        updated = action_id(_STEADY, f"a{1 + number % _STEADY_ACTIONS}")
        turn = attempt * 1_000_000 + number // _STEADY_ACTIONS
        return _update([{"id": updated, "phase": "RUNNING", "attempts": turn}])

    return {"list": list_runs, "updateActionPhases": update}


def _update(updates: list[dict[str, Any]]) -> dict[str, Any]:
    return {"query": _UPDATE, "variables": {"input": updates}}


def _run(name: str) -> Iterator[tuple[dict[str, Any], int]]:
    """The requests of an executor of a run, and the rows that each writes."""
    ids = [action_id(name, member) for member in _MEMBERS]
    new = [{"id": each, "taskType": "python", "functionName": "load"} for each in ids]
    for child in new[1:]:
        child["parentName"] = _MEMBERS[0]
    yield {"query": _CREATE, "variables": {"input": new}}, len(ids)
    for version, phase in enumerate(("INITIALIZING", "RUNNING", "SUCCEEDED")):
        now = datetime.now(UTC).isoformat()
        events = [
            {"action": each, "attempt": 1, "phase": phase, "version": version, "occurredAt": now}
            for each in ids
        ]
        yield {"query": _INSERT, "variables": {"events": events}}, len(ids)
        yield _update([{"id": each, "phase": phase, "attempts": 1} for each in ids]), len(ids)


async def _days(process: Process, repository: ActionRepo, seconds: float) -> tuple[int, float]:
    """How many rows the executors wrote, and the seconds. What is older than a third of the time goes."""
    deadline, numbers, rows = time.monotonic() + seconds, count(), 0
    kept = timedelta(seconds=seconds / 3)

    async def execute() -> None:
        nonlocal rows
        async with connected(process) as connection:
            while time.monotonic() < deadline:
                for body, size in _run(f"soak-{next(numbers)}"):
                    await connection.post(request(body))
                    rows += size

    async def remove() -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            await repository.pruning.expire(datetime.now(UTC) + KEEP_REMOVED - kept)
            async for _ in repository.pruning.prune(kept, PROJECT, DOMAIN):
                pass

    began = time.monotonic()
    async with _beside(remove):
        await asyncio.gather(*(execute() for _ in range(_EXECUTORS)))
    return rows, time.monotonic() - began


@asynccontextmanager
async def _beside(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Does these works meanwhile. Raises the error of one that failed."""
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for each in ended:
        if isinstance(each, Exception):
            raise each


def _written(before: _State, after: _State, rows: int, seconds: float) -> list[Result]:
    def grown(name: str, what: str) -> int:
        return after.tables[name][what] - before.tables[name][what]

    updated = grown("actions", "updated")
    hot = 100 * grown("actions", "hot") / updated
    results = [
        Result(
            "rows written beside prune", rows / seconds, "rows/s", "", None, f"{rows:,} in {seconds:.0f} s"
        ),
        Result("log of PostgreSQL (WAL)", (after.wal - before.wal) / rows, "bytes a row", "", None),
        Result("phase updates of them that are HOT", hot, "%", "≥ 80", hot >= 80),
    ]
    for name in ("actions", "action_events", "runs", "run_terms", "action_changes", "removed_runs"):
        table, old = after.tables[name], before.tables[name]
        dead = 100 * table["dead"] / max(1, table["live"] + table["dead"])
        note = (
            f"from {old['size'] / 2**20:.0f} + {old['indexes'] / 2**20:.0f} MB with indexes to"
            f" {table['size'] / 2**20:.0f} + {table['indexes'] / 2**20:.0f}; {table['live']:,} live;"
            f" {grown(name, 'vacuums')} autovacuums"
        )
        results.append(Result(f"dead rows of {name}", dead, "%", "", None, note))
    return results


async def _pruned(
    url: str, process: Process, repository: ActionRepo, attempts: Iterator[int]
) -> list[Result]:
    """Prunes every run that ended, beside callers."""
    async with _calling(process, next(attempts)) as alone:
        await asyncio.sleep(_ALONE)
    before = await _state(url)
    async with _calling(process, next(attempts)) as beside:
        began, runs = time.monotonic(), 0
        async for done in repository.pruning.prune(timedelta(0)):
            runs = done.runs
        took = time.monotonic() - began
    wal = (await _state(url)).wal - before.wal
    rate = runs / took
    note = (
        f"{runs:,} runs; WAL {wal / runs / 1000:.1f} kB a run; a million in {1_000_000 / rate / 60:.0f} min"
    )
    results = [Result("prune", rate, "runs/s", "≥ 500", rate >= 500, note)]
    for name, times in beside.items():
        p99, longest, before_it = _p99(times), max(times) * 1000, _p99(alone[name])
        note = f"{before_it:.0f} ms without; median {median(times) * 1000:.1f}, longest {longest:.0f} ms"
        results.append(Result(f"{name} beside prune, p99", p99, "ms", "≤ 100", p99 <= 100, note))
    return results


def _p99(times: list[float]) -> float:
    """In milliseconds."""
    return sorted(times)[len(times) * 99 // 100] * 1000


@asynccontextmanager
async def _calling(process: Process, attempt: int) -> AsyncIterator[dict[str, list[float]]]:
    """Callers at a steady rate, and the seconds of their requests so far."""
    waits: dict[str, list[float]] = {}

    def calling(name: str, body: Body) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            times = waits.setdefault(name, [])
            async with connected(process) as connection:
                for number in count():
                    began = time.monotonic()
                    await connection.post(request(body(number)))
                    times.append(time.monotonic() - began)
                    await asyncio.sleep(max(0.0, began + 1 / _RATE - time.monotonic()))

        return call

    async with _beside(*(calling(name, body) for name, body in _callers(attempt).items())):
        yield waits
