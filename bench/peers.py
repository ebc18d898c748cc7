"""Benchmark: a list of runs beside GraphQL servers that others wrote, on the same database."""

import asyncio
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg

from bench import floor, stock
from bench.data import LIST, make_runs
from bench.load import Load, connected, request, run_load
from bench.processes import Process, rungraph, running
from bench.report import Result

_FOLDER = Path(__file__).parent / "peers"
_SCRIPTS = {"mercurius": "mercurius.js", "yoga": "yoga.js", "postgraphile": "postgraphile/server.js"}
_CONNECTIONS = (1, 8, 32)
_TURNS = 5
_ROWS = 50
_VIEW = """
CREATE SCHEMA peers;
CREATE VIEW peers.runs AS
SELECT key, project, domain, run_name AS name, phase, attempts, cache_status, source, task_name, task_version,
  task_type, function_name, environment_name, trigger_name, revision, duration_ms, created_at, updated_at,
  started_at, ended_at, triggered_at
FROM actions WHERE parent_key IS NULL;
COMMENT ON VIEW peers.runs IS '@primaryKey key';
"""
_OF_POSTGRAPHILE = """query ($first: Int) {
  allRuns(first: $first, orderBy: [CREATED_AT_DESC, NAME_DESC]) { nodes {
    project domain name phase attempts cacheStatus source taskName taskVersion taskType functionName
    environmentName triggerName revision durationMs createdAt updatedAt startedAt endedAt triggeredAt
} } }"""
"""The same list by the names that PostGraphile derives."""


async def peers(database_url: str, seconds: float) -> list[Result]:
    """Requests per second for 50 runs of 20 fields, all servers in turns."""
    await asyncio.to_thread(_install)
    connection = await asyncpg.connect(database_url)
    await connection.execute(_VIEW)
    await connection.close()
    async with AsyncExitStack() as stack:
        settings = {"RUNGRAPH_DATABASE_URL": database_url, "NODE_ENV": "production"}
        servers = {"Rungraph": await stack.enter_async_context(rungraph(database_url))}
        await make_runs(servers["Rungraph"], 2000)
        for name, module in (("floor", floor), ("stock Strawberry", stock)):
            servers[name] = await stack.enter_async_context(running(module.__name__, **settings))
        for name, script in _SCRIPTS.items():
            program = running(str(_FOLDER / script), program="node", **settings)
            servers[name] = await stack.enter_async_context(program)
        bodies = {name: _body(_OF_POSTGRAPHILE if name == "postgraphile" else LIST) for name in servers}
        for name, process in servers.items():
            await _check(process, bodies[name])
            await run_load(process, bodies[name], seconds / 5)
        results = []
        for connections in _CONNECTIONS:
            results += await _compare(servers, bodies, connections, seconds)
    return results


async def _compare(
    servers: dict[str, Process], bodies: dict[str, dict[str, Any]], connections: int, seconds: float
) -> list[Result]:
    loads = dict.fromkeys(servers, Load(0, 0, 0, 0))
    for _ in range(_TURNS):
        for name, process in servers.items():
            loads[name] += await run_load(process, bodies[name], seconds / _TURNS, connections)
    least = loads["floor"].rate
    results = []
    for name, load in loads.items():
        goal = "> mercurius" if name == "Rungraph" and connections > 1 else ""
        results.append(
            Result(
                f"peers, list 50 × 20, {connections} connections: {name}",
                load.rate / least,
                "× floor",
                goal,
                load.rate > loads["mercurius"].rate if goal else None,
                f"{load.rate:,.0f} requests/s, {load.cpu_each * 1e6:,.0f} µs of CPU each",
                load.client,
            )
        )
    return results


def _body(query: str) -> dict[str, Any]:
    return {"query": query, "variables": {"first": _ROWS}}


async def _check(process: Process, body: dict[str, Any]) -> None:
    async with connected(process) as connection:
        answer = await connection.post(request(body))
    assert answer.count(b'"environmentName"') + answer.count(b'"environment_name"') == _ROWS, answer[:500]


def _install() -> None:
    for folder in (_FOLDER, _FOLDER / "postgraphile"):
        if not (folder / "node_modules").exists():
            command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=folder, check=True)
