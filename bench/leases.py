"""Benchmark: leases of many runs are renewed, expire all at once, and return, beside floors: the same rows in
a plain table of the same database, by asyncpg."""

import asyncio
import json
import time
from typing import Any

import asyncpg

from bench.data import PROJECT, action_id, execute, run_id
from bench.load import connected, request
from bench.processes import Process, rungraph
from bench.report import Result

_EXECUTORS = 10
_ACTIONS = 3
_TTL = 3
_CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
_RENEW = """mutation ($runs: [RunIdentifierInput!]!, $executor: String!, $ttl: Int!) {
  renewLease(runs: $runs, executor: $executor, ttlSeconds: $ttl) {
    results { expiresAt aborts { name } error { code } } } }"""
_LOST = """query ($project: String!) {
  runs(filter: {project: $project, phases: [FAILED]}, first: 1) { totalCount } }"""


async def leases(database_url: str, runs: int, seconds: float) -> list[Result]:
    """Leases of so many runs, by 10 executors."""
    names = [f"leased-{number}" for number in range(runs)]
    floor = await _Floor.measure(database_url, runs, min(seconds, 5.0))
    async with rungraph(database_url) as process:
        await _make(process, names)
        groups = [names[number::_EXECUTORS] for number in range(_EXECUTORS)]
        rate, cpu, client = await _renew_for(process, groups, seconds)
        lost_after = await _expire(process, groups, runs)
        returned_after = await _return(process, groups)
    return [
        Result(
            *(f"renewLease of {runs:,} runs by {_EXECUTORS} executors", rate, "leases/s"),
            # 1,000 runs with leases of a minute need 50.
            *("≥ 2,000", rate >= 2_000),
            note=f"{cpu * 1e6 / rate:.0f} µs of CPU each; {rate / floor.rate:.2f} × floor: asyncpg",
            client=client,
        ),
        Result(
            *(f"{runs:,} executors are lost: after their leases expired", lost_after, "s", "≤ 3"),
            lost_after <= 3,
            note=f"polled every second; floor {floor.written:.2f} s for these rows",
        ),
        Result(
            *(f"{runs:,} lost runs return by renewal", returned_after, "s", "≤ 2", returned_after <= 2),
            note=f"floor {floor.written:.2f} s",
        ),
    ]


class _Floor:
    rate = 0.0
    """Renewals per second."""
    written = 0.0
    """Seconds to update a row for each action and to insert another one."""

    @classmethod
    async def measure(cls, database_url: str, runs: int, seconds: float) -> "_Floor":
        """Each executor with a connection of its own, which updates its rows in one statement."""
        floor, pool = cls(), await asyncpg.create_pool(database_url, min_size=_EXECUTORS, max_size=_EXECUTORS)
        try:
            await pool.execute(
                "CREATE TABLE floor_leases (run bytea PRIMARY KEY, executor text, expires_at timestamptz)"
            )
            keys = [number.to_bytes(16, "big") for number in range(runs * _ACTIONS)]
            insert = "INSERT INTO floor_leases SELECT run, 'e', now() FROM unnest($1::bytea[]) AS t (run)"
            await pool.execute(insert, keys[:runs])
            update = """UPDATE floor_leases AS l SET expires_at = now() + interval '1 minute'
                        FROM unnest($1::bytea[]) AS t (run) WHERE l.run = t.run"""
            began, counts = time.monotonic(), [0] * _EXECUTORS

            async def work(number: int) -> None:
                mine = keys[:runs][number::_EXECUTORS]
                while time.monotonic() < began + seconds:
                    await pool.execute(update, mine)
                    counts[number] += len(mine)

            await asyncio.gather(*(work(number) for number in range(_EXECUTORS)))
            floor.rate = sum(counts) / (time.monotonic() - began)
            await pool.execute("TRUNCATE floor_leases")
            began = time.monotonic()
            for at in range(0, len(keys), 300):
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute(insert, keys[at : at + 300])
                    await connection.execute(update, keys[at : at + 300])
            floor.written = time.monotonic() - began
            await pool.execute("DROP TABLE floor_leases")
        finally:
            await pool.close()
        return floor


async def _make(process: Process, names: list[str]) -> None:
    """Runs with a root and steps that are running."""
    steps = [
        {"id": action_id(name, f"a{n}"), "parentName": "a0" if n else None, "phase": "RUNNING"}
        for name in names
        for n in range(_ACTIONS)
    ]
    for at in range(0, len(steps), _ACTIONS * 1000):
        await execute(process, _CREATE, {"input": steps[at : at + _ACTIONS * 1000]})


def _renewal(number: int, names: list[str], ttl: int) -> bytes:
    variables: dict[str, Any] = {"runs": [run_id(name) for name in names], "ttl": ttl}
    return request({"query": _RENEW, "variables": variables | {"executor": f"executor-{number}"}})


async def _renew_for(process: Process, groups: list[list[str]], seconds: float) -> tuple[float, float, float]:
    """Renewed leases per second, the server's CPU per second, and the client's."""
    counts = [0] * len(groups)
    deadline = time.monotonic() + seconds

    async def work(number: int) -> None:
        sent = _renewal(number, groups[number], 60)
        async with connected(process) as connection:
            while time.monotonic() < deadline:
                await connection.post(sent)
                counts[number] += len(groups[number])

    cpu, client, began = process.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*(work(number) for number in range(len(groups))))
    took = time.monotonic() - began
    return sum(counts) / took, (process.cpu() - cpu) / took, (time.process_time() - client) / took


async def _renew_once(process: Process, groups: list[list[str]], ttl: int) -> None:
    async def renew(number: int) -> None:
        async with connected(process) as connection:
            answer = json.loads(await connection.post(_renewal(number, groups[number], ttl)))
        assert all(each["expiresAt"] for each in answer["data"]["renewLease"]["results"])

    await asyncio.gather(*(renew(number) for number in range(len(groups))))


async def _count_lost(process: Process) -> int:
    data = await execute(process, _LOST, {"project": PROJECT})
    return int(data["runs"]["totalCount"])


async def _expire(process: Process, groups: list[list[str]], runs: int) -> float:
    """Seconds from the expiry of all leases until every run is lost."""
    await asyncio.sleep(_TTL)  # the server has to have watched for as long as the leases last
    await _renew_once(process, groups, _TTL)
    expired = time.monotonic() + _TTL
    while await _count_lost(process) < runs:
        assert time.monotonic() < expired + 120, "the runs are not lost"
        await asyncio.sleep(0.05)
    return max(0.0, time.monotonic() - expired)


async def _return(process: Process, groups: list[list[str]]) -> float:
    """Seconds until the executors have renewed the leases of their lost runs."""
    began = time.monotonic()
    await _renew_once(process, groups, 60)
    took = time.monotonic() - began
    assert await _count_lost(process) == 0
    return took
