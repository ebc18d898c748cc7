"""Benchmark: the cost of a page with ten times as many runs."""

from statistics import median

import asyncpg

from bench.data import LIST, execute
from bench.load import times_of
from bench.processes import Process, rungraph
from bench.report import Result

_REQUESTS = 300
_LAST = "{ runs(last: 1000) { pageInfo { startCursor } } }"
_KEY = "decode(md5(CAST(n AS text)), 'hex')"
_INSERT = f"""
    INSERT INTO actions (key, run_key, depth, name, project, domain, run_name, type, phase, attempts,
      cache_status, labels, search_text, run_search_text, abort_attempt_count, created_at, updated_at,
      revision, transaction_id)
    SELECT {_KEY} || {_KEY}, {_KEY}, 0, 'a0', 'bench', 'production', 'run-' || n, 1, 60, 1, 0, '{{}}', 'a0',
      'run-' || n, 0, timestamptz '2026-01-01' + n * interval '1 second', now(), 1, 1
    FROM generate_series($1::int, $2::int) n
"""


async def growth(database_url: str, few: int, many: int) -> list[Result]:
    """Measures the first page and a deep one, with one client."""
    found = {}
    async with rungraph(database_url) as process:
        made = 0
        for runs in (few, many):
            await insert_runs(database_url, made + 1, runs)
            made = runs
            found[runs] = await _pages(process)
    results = []
    for number, page in enumerate(("first page", "page before the last thousand")):
        small, large = found[few][number], found[many][number]
        note = f"{small * 1000:.2f} ms, then {large * 1000:.2f} ms"
        name = f"{page}: from {few:,} to {many:,} runs"
        results.append(Result(name, large / small, "×", "≤ 1.2", large / small <= 1.2, note))
    return results


async def insert_runs(database_url: str, first: int, last: int) -> None:
    """Inserts runs directly, since the API would take hours."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_INSERT, first, last)
        await connection.execute("VACUUM (ANALYZE) actions")
    finally:
        await connection.close()


async def _pages(process: Process) -> tuple[float, float]:
    """The median seconds of the first page and of a deep one."""
    cursor = (await execute(process, _LAST, {}))["runs"]["pageInfo"]["startCursor"]
    medians = []
    for after in (None, cursor):
        body = {"query": LIST, "variables": {"first": 50, "after": after}}
        await times_of(process, body, _REQUESTS // 10)
        medians.append(median(await times_of(process, body, _REQUESTS)))
    first, deep = medians
    return first, deep
