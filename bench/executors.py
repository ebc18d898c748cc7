"""Benchmark: executors that write through the API, beside pgbench with the same statements on the same
database, in turns. The database has to be durable: with fsync off there is nothing to share a commit for."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from bench.data import DOMAIN, PROJECT, action_id, make_actions
from bench.load import Load, connected, request
from bench.processes import Process, rungraph
from bench.report import Result
from repo.domain.identifiers import ActionIdentifier
from tests.support.postgres_data import find_binaries

_EXECUTORS = 16
_HUNDRED = 100
_TURNS = 2
_RUN = "executors"
_ACTIONS = 1_600
"""Actions that are updated; each executor has its own."""

_CREATE = "mutation ($input: CreateActionInput!) { createAction(input: $input) { created } }"
_CREATE_ALL = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
_UPDATE = "mutation ($input: UpdateActionPhaseInput!) { updateActionPhase(input: $input) { applied } }"
_UPDATE_ALL = """mutation ($input: [UpdateActionPhaseInput!]!) {
  updateActionPhases(input: $input) { applied }
}"""
_INSERT = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"

_REPORT = "mutation ($reports: [ReportInput!]!) { report(reports: $reports) { applied } }"

# What the server sends, with rows of the numbers from :n to :n + rows - 1.
_CREATING = """
\\set n random(1, 1000000000000)
BEGIN;
SELECT run_key, name FROM actions WHERE parent_key IS NULL AND run_key = decode(:run, 'hex') FOR KEY SHARE;
SELECT a.key, parent_key, depth, abort_state, created_at FROM actions a JOIN (
    SELECT substr(decode(:run, 'hex') || sha256(int8send(i)), 1, 32) AS key FROM {numbers} AS i
    UNION ALL SELECT decode(:root, 'hex')) AS listed ON a.key = listed.key;
INSERT INTO actions (key, run_key, parent_key, depth, name, parent_name, project, domain, run_name, type,
  phase, attempts, cache_status, labels, task_type, function_name, search_text, abort_attempt_count,
  created_at, updated_at, revision, transaction_id)
SELECT substr(decode(:run, 'hex') || sha256(int8send(i)), 1, 32), decode(:run, 'hex'),
  decode(:root, 'hex'), 1, 'a' || i, 'a0', 'bench', 'production', 'executors', 1, 10, 0, 0, '{{}}',
  'python', 'load', 'a' || i, 0, now(), now(), xact_id, xact_id
FROM {numbers} AS i,
  CAST(CAST(pg_current_xact_id() AS text) AS bigint) AS xact_id ORDER BY 1 ON CONFLICT (key) DO NOTHING;
COMMIT;
"""
_UPDATING = """
\\set n random(0, {last})
BEGIN;
SELECT a.key, phase, attempts, cache_status, created_at, started_at, ended_at, start_time, phase_time
  FROM actions a JOIN bench_keys b ON a.key = b.key WHERE b.n >= :n AND b.n < :n + {rows}
  ORDER BY a.key FOR NO KEY UPDATE OF a;
UPDATE actions a SET phase = 40, attempts = a.attempts + 1, cache_status = 0, created_at = a.created_at,
  started_at = now(), ended_at = NULL, start_time = NULL, phase_time = NULL, updated_at = now(),
  revision = greatest(revision + 1, CAST(CAST(pg_current_xact_id() AS text) AS bigint)),
  transaction_id = CAST(CAST(pg_current_xact_id() AS text) AS bigint)
  FROM bench_keys b WHERE a.key = b.key AND b.n >= :n AND b.n < :n + {rows};
COMMIT;
"""
_INSERTING = """
\\set n random(1, 2000000000)
\\set m random(1, {actions})
INSERT INTO action_events (action_key, attempt, phase, version, occurred_at, created_at, updated_at,
  transaction_id)
SELECT key, i, 40, :n, now(), now(), now(), CAST(CAST(pg_current_xact_id() AS text) AS bigint)
FROM bench_keys, generate_series(1, {rows}) AS i WHERE n = :m ON CONFLICT DO NOTHING;
"""

_UPDATES = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'actions'"


@dataclass(frozen=True)
class _Kind:
    """A kind of write."""

    name: str
    script: str
    single: Callable[[int, int], dict[str, Any]]
    """The body of a write of one row, by the number of the executor and of its write."""
    hundred: Callable[[int, int], dict[str, Any]]


def _creation(executor: int, number: int) -> dict[str, Any]:
    made = action_id(_RUN, f"e{executor}-{number}-{os.getpid()}")
    return {"id": made, "parentName": "a0", "taskType": "python", "functionName": "load"}


def _update(executor: int, number: int) -> dict[str, Any]:
    mine = _ACTIONS // _EXECUTORS
    updated = action_id(_RUN, f"a{1 + executor * mine + number % mine}")
    return {"id": updated, "phase": "RUNNING", "attempts": number // mine + 1}


def _event(executor: int, number: int) -> dict[str, Any]:
    return {
        "action": action_id(_RUN, f"a{1 + executor}"),
        "attempt": 1,
        "phase": "RUNNING",
        "version": number,
        "occurredAt": datetime.now(UTC).isoformat(),
    }


def _one(query: str, name: str, make: Callable[[int, int], Any]) -> Callable[[int, int], dict[str, Any]]:
    return lambda executor, number: {"query": query, "variables": {name: make(executor, number)}}


def _many(
    query: str, name: str, make: Callable[[int, int], Any], size: int
) -> Callable[[int, int], dict[str, Any]]:
    def body(executor: int, number: int) -> dict[str, Any]:
        items = [make(executor, number * size + each) for each in range(size)]
        return {"query": query, "variables": {name: items}}

    return body


_KINDS = (
    _Kind(
        "createAction",
        _CREATING,
        _one(_CREATE, "input", _creation),
        _many(_CREATE_ALL, "input", lambda executor, n: _creation(executor + _EXECUTORS, n), _HUNDRED),
    ),
    _Kind(
        "updateActionPhase",
        _UPDATING,
        _one(_UPDATE, "input", _update),
        _many(_UPDATE_ALL, "input", lambda executor, n: _update(executor, n + 100_000_000), _HUNDRED),
    ),
    _Kind(
        "insertEvents",
        _INSERTING,
        _many(_INSERT, "events", _event, 1),
        _many(_INSERT, "events", lambda executor, n: _event(executor, n + 100_000_000), _HUNDRED),
    ),
)


def _report(executor: int, number: int) -> dict[str, Any]:
    """A new action that runs."""
    creation = _creation(executor + 3 * _EXECUTORS, number)
    details = {name: value for name, value in creation.items() if name != "id"}
    now = datetime.now(UTC).isoformat()
    return {"id": creation["id"], "details": details, "phase": "RUNNING", "occurredAt": now}


def _three_calls(executor: int, number: int, size: int) -> list[dict[str, Any]]:
    """The same as `_report`, for this many actions, without it."""
    created = [_creation(executor + 4 * _EXECUTORS, number * size + each) for each in range(size)]
    now = datetime.now(UTC).isoformat()
    events = [{"action": each["id"], "attempt": 1, "phase": "RUNNING", "occurredAt": now} for each in created]
    updates = [{"id": each["id"], "attempts": 1, "phase": "RUNNING", "occurredAt": now} for each in created]
    return [
        {"query": _CREATE_ALL, "variables": {"input": created}},
        {"query": _INSERT, "variables": {"events": events}},
        {"query": _UPDATE_ALL, "variables": {"input": updates}},
    ]


async def executors(database_url: str, seconds: float) -> list[Result]:
    """Single writes and writes of 100 by 16 executors."""
    results = []
    async with rungraph(database_url) as process:
        await make_actions(process, _RUN, _ACTIONS + 1)
        await _list_keys(database_url)
        for kind in _KINDS:
            results += await _beside_pgbench(process, database_url, kind, kind.single, 1, seconds)
        results.append(await _hot_share(process, database_url))
        for kind in _KINDS:
            results += await _beside_pgbench(process, database_url, kind, kind.hundred, _HUNDRED, seconds)
        for size in (1, _HUNDRED):
            results += await _beside_three_calls(process, size, seconds)
    return results


async def _beside_three_calls(process: Process, size: int, seconds: float) -> list[Result]:
    """New actions that run, reported in one call and in three, in turns."""
    one, three = Load(0, 0, 0, 0), Load(0, 0, 0, 0)
    report = _many(_REPORT, "reports", _report, size)
    numbers = [iter(range(size * 10**9, 10**12)) for _ in range(_EXECUTORS)]
    await _write(process, report, numbers, seconds / 5)
    for _ in range(_TURNS):
        one += await _write(process, report, numbers, seconds)
        calls = [_calls_in_turn(executor, size, next(numbers[executor])) for executor in range(_EXECUTORS)]
        three += await _write(process, lambda executor, _: next(calls[executor]), numbers, seconds)  # noqa: B023
    ratio, cpu = one.rate / (three.rate / 3), one.cpu_each / (three.cpu_each * 3)
    what = f"report by {size}, {_EXECUTORS} executors" if size > 1 else f"report, {_EXECUTORS} executors"
    note = f"{one.rate * size:,.0f} actions/s, three calls {three.rate / 3 * size:,.0f}"
    return [
        Result(what, ratio, "× three calls", "≥ 1", ratio >= 1, note, one.client),
        Result(f"{what}, CPU", cpu, "× three calls", "≤ 1", cpu <= 1),
    ]


def _calls_in_turn(executor: int, size: int, first: int) -> Iterator[dict[str, Any]]:
    for number in count(first):
        yield from _three_calls(executor, number, size)


async def _list_keys(url: str) -> None:
    """A table of the actions that pgbench updates."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "CREATE TABLE bench_keys AS SELECT key, row_number() OVER (ORDER BY key) AS n FROM actions"
            " WHERE parent_key IS NOT NULL"
        )
        await connection.execute("ALTER TABLE bench_keys ADD PRIMARY KEY (n)")
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _hot_share(process: Process, url: str) -> Result:
    """Of the updates of new actions that run and succeed."""
    phases = ("WAITING_FOR_RESOURCES", "RUNNING", "SUCCEEDED")

    async def run(executor: int) -> None:
        async with connected(process) as connection:
            for number in range(_ACTIONS // _EXECUTORS):
                new = _creation(executor + 2 * _EXECUTORS, number)
                await connection.post(request({"query": _CREATE, "variables": {"input": new}}))
                for phase in phases:
                    update = {"id": new["id"], "phase": phase, "attempts": 1}
                    await connection.post(request({"query": _UPDATE, "variables": {"input": update}}))

    connection = await asyncpg.connect(url)
    try:
        before = await connection.fetchrow(_UPDATES)
        await asyncio.gather(*map(run, range(_EXECUTORS)))
        # Connections report what they have counted once a second, at the end of a transaction.
        async with asyncio.timeout(60):
            while (after := await connection.fetchrow(_UPDATES))[0] - before[0] < len(phases) * _ACTIONS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
    share = 100 * (after[1] - before[1]) / (after[0] - before[0])
    return Result("phase updates that are HOT", share, "%", "≥ 80", share >= 80)


async def _beside_pgbench(
    process: Process,
    url: str,
    kind: _Kind,
    body: Callable[[int, int], dict[str, Any]],
    rows: int,
    seconds: float,
) -> list[Result]:
    numbers = [iter(range(10**9)) for _ in range(_EXECUTORS)]
    load, reference = Load(0, 0, 0, 0), 0.0
    await _write(process, body, numbers, seconds / 5)
    for _ in range(_TURNS):
        load += await _write(process, body, numbers, seconds)
        reference += await _pgbench(url, kind.script, rows, seconds) / _TURNS
    what = kind.name if rows == 1 else f"{kind.name} by {rows}"
    name, share, cpu = f"{what}, {_EXECUTORS} executors", 100 * load.rate / reference, load.cpu_each * 1000
    note = f"{load.rate * rows:,.0f} rows/s, pgbench {reference * rows:,.0f}"
    found = [Result(name, share, "% of pgbench", "≥ 50", share >= 50, note, load.client)]
    if rows == 1:
        found.append(Result(f"{name}, CPU", cpu, "ms of the server a write", "≤ 0.7", cpu <= 0.7))
    return found


async def _write(
    process: Process,
    body: Callable[[int, int], dict[str, Any]],
    numbers: list[Iterator[int]],
    seconds: float,
) -> Load:
    """Each executor sends its next write when it has the answer to the last one."""
    deadline, counts = time.monotonic() + seconds, [0] * len(numbers)

    async def send(executor: int) -> None:
        async with connected(process) as connection:
            while time.monotonic() < deadline:
                await connection.post(request(body(executor, next(numbers[executor]))))
                counts[executor] += 1

    cpu, client_cpu, began = process.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*map(send, range(len(numbers))))
    took = time.monotonic() - began
    return Load(sum(counts), took, process.cpu() - cpu, time.process_time() - client_cpu)


async def _pgbench(url: str, script: str, rows: int, seconds: float) -> float:
    """Transactions per second."""
    folder = find_binaries()
    assert folder is not None
    root = ActionIdentifier(PROJECT, DOMAIN, _RUN, "a0")
    numbers = f"generate_series(CAST(:n AS bigint), CAST(:n AS bigint) + {rows - 1})"
    filled = script.format(rows=rows, numbers=numbers, last=_ACTIONS - rows, actions=_ACTIONS)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(filled)
        file.flush()
        command = (
            str(Path(folder) / "pgbench"),
            *("-n", "-M", "prepared", "-c", str(_EXECUTORS), "-T", f"{max(1, round(seconds))}"),
            *("-D", f"run={root.run.key.hex()}", "-D", f"root={root.key.hex()}", "-f", file.name, url),
        )
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await process.communicate()
    found = re.search(rb"tps = ([\d.]+)", out)
    assert found is not None, errors.decode()
    return float(found[1])
