"""A record as a year of use leaves it: runs of nine actions with their events, inserted by SQL, since the API
would take hours. Each run's actions follow each other, so that roots lie scattered in the table."""

import time
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from bench.data import DOMAIN, PROJECT
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.sql.urls import parse_url

MEMBERS = [f"a{number}" for number in range(9)]
"""The actions of a run; the first one is the root."""
RUNS = 300_000
RUN_SECONDS = 105
"""Seconds between two runs: these are a year."""
LARGE_RUN, BUSY_ACTION = "large", "a1"
"""A run with many actions, and one of its actions, which has many events."""
RARE_LABEL = "incident"
"""A label of one run in 30,000."""
_RUNS_PER_STATEMENT = 10_000


LARGE_RUN_ACTIONS = 50_000
BUSY_ACTION_EVENTS = 100_000
_RUNS_WITH_EVENTS = 5
"""Every so many runs have events."""


def run_name(number: int) -> str:
    """The name of a run, by its number: 1 is the newest run."""
    return f"run-{number:07d}"


def project(number: int) -> str:
    """The project of a run, by its number."""
    return f"project-{number % 8}"


_DIALECTS = {
    "postgresql": {
        "time": "to_timestamp",
        "char1": "chr(1)",
        "json": "json",
        "jsonb": "jsonb",
        "series": "generate_series(CAST(:first AS int), CAST(:last AS int)) AS series(n)",
        "bytes": "bytea",
    },
    "sqlite": {
        "time": "1000000 * ",
        "char1": "char(1)",
        "json": "text",
        "jsonb": "text",
        "series": "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) "
        "SELECT n FROM s)",
        "bytes": "blob",
    },
}

_ACTIONS = """
INSERT INTO actions (key, run_key, parent_key, depth, name, parent_name, project, domain, run_name, type,
  "group", phase, attempts, cache_status, source, labels, task_project, task_domain, task_name, task_version,
  task_type, function_name, environment_name, trigger_task_name, trigger_name, created_by,
  created_by_subject, search_text, run_search_text, spec, error, error_attempt, abort_attempt_count,
  created_at, triggered_at, started_at, ended_at, updated_at, revision, transaction_id)
SELECT CAST(run_key || digest AS {bytes}), run_key,
  CASE WHEN m > 0 THEN CAST(run_key || root_digest AS {bytes}) END,
  CASE WHEN m > 0 THEN 1 ELSE 0 END, name, CASE WHEN m > 0 THEN 'a0' END,
  project, 'production', run_name, 1, CASE WHEN m > 0 THEN 'stages' END,
  phase, 1, 0, CASE WHEN m = 0 THEN 1 + n % 5 END,
  CAST(CASE WHEN m > 0 THEN '{{}}'
    WHEN n % 30000 = 11 THEN '{{"team":"team-' || (n % 6) || '","incident":"INC-' || n || '"}}'
    ELSE '{{"team":"team-' || (n % 6) || '"}}' END AS {jsonb}),
  project, 'production', task, 'v' || (n % 20), 'python', function, 'python-3.12',
  CASE WHEN m = 0 THEN 'nightly' END, CASE WHEN m = 0 THEN 'trigger-' || (n % 13) END,
  CASE WHEN m = 0 THEN CAST('{{"kind":"USER","subject":"user-' || (n % 40) || '","name":"User ' || (n % 40)
    || '","email": null}}' AS {json}) END,
  CASE WHEN m = 0 THEN 'user-' || (n % 40) END, name || {char1} || task || {char1} || function,
  CASE WHEN m = 0 THEN run_name || {char1} || task || {char1} || function END,
  CAST('{{"image":"registry/worker:2024.' || (n % 20) || '","command":["python","-m","steps.' || task
    || '"],"resources":{{"cpu":"500m","memory":"2Gi"}},"environment":{{"STAGE":"production","INDEX":"' || m
    || '"}},"retries": 3,"timeout":"3600s"}}' AS {json}),
  CASE WHEN phase = 70 THEN CAST('{{"code":"Error' || (n % 30) || '","message":"step ' || name
    || ' ended with exit code 1","kind":"USER"}}' AS {json}) END,
  CASE WHEN phase = 70 THEN 1 END, 0,
  {time}(at + m), CASE WHEN m = 0 THEN {time}(at) END, {time}(at + m + 2),
  CASE WHEN phase >= 60 THEN {time}(at + m + 30 + n % 600) END,
  {time}(at + m + 30 + n % 600), 1, 1
FROM (
  SELECT r.n, r.digest AS run_key, m.n AS m, m.digest, m.name, root.digest AS root_digest, r.name AS run_name,
    'project-' || (r.n % 8) AS project, 'pipelines.task_' || ((r.n + m.n) % 100) AS task,
    'function_' || ((r.n + m.n) % 60) AS function,
    CASE WHEN r.n <= 50 AND m.n % 3 = 0 THEN 40 WHEN r.n % 1000 = 7 THEN 90
      WHEN r.n % 100 = 3 THEN 80 WHEN r.n % 12 = 5 AND m.n % 8 = 0 THEN 70 ELSE 60 END AS phase,
    :newest - r.n * :step AS at
  FROM bench_runs r CROSS JOIN bench_members m JOIN bench_members root ON root.n = 0
  WHERE r.n BETWEEN :first AND :last
) AS made
ORDER BY n DESC, m
"""
"""The runs with these numbers. A few of the newest run, most have succeeded."""

_LARGE_ROOT = """
INSERT INTO actions (key, run_key, depth, name, project, domain, run_name, type, phase, attempts,
  cache_status, labels, task_name, function_name, search_text, run_search_text, abort_attempt_count,
  created_at, started_at, updated_at, revision, transaction_id)
SELECT CAST(:large_root AS {bytes}), CAST(:large_key AS {bytes}), 0, 'a0', 'bench', 'production', 'large', 1,
  40, 1, 0, CAST('{{}}' AS {jsonb}), 'pipelines.sweep', 'sweep', 'a0' || {char1} || 'pipelines.sweep',
  'large' || {char1} || 'pipelines.sweep', 0, {time}(:newest), {time}(:newest + 1), {time}(:newest + 1), 1, 1
"""

_LARGE = """
INSERT INTO actions (key, run_key, parent_key, depth, name, parent_name, project, domain, run_name, type,
  "group", phase, attempts, cache_status, labels, task_name, function_name, search_text, abort_attempt_count,
  created_at, started_at, ended_at, updated_at, revision, transaction_id)
SELECT CAST(root.run_key || m.digest AS {bytes}), root.run_key, root.key, 1, m.name, root.name,
  root.project, root.domain, root.run_name, 1, 'trials', CASE WHEN m.n % 50 = 7 THEN 70 ELSE 60 END, 1, 0,
  CAST('{{}}' AS {jsonb}), 'pipelines.trial', 'trial',
  m.name || {char1} || 'pipelines.trial' || {char1} || 'trial', 0,
  {time}(:newest + m.n / 100), {time}(:newest + m.n / 100 + 1), {time}(:newest + m.n / 100 + 60),
  {time}(:newest + m.n / 100 + 60), 1, 1
FROM bench_large m CROSS JOIN actions root WHERE root.key = CAST(:large_root AS {bytes}) ORDER BY m.n
"""

_EVENTS = """
INSERT INTO action_events (action_key, attempt, phase, version, occurred_at, cluster, error, created_at,
  updated_at, transaction_id)
SELECT a.key, 1, CASE WHEN p.n = 0 THEN 40 ELSE 60 END, 0, {time}(:newest - r.n * :step + p.n * 30),
  'cluster-west', CAST(NULL AS {json}), {time}(:newest), {time}(:newest), 1
FROM bench_runs r JOIN actions a ON a.run_key = r.digest CROSS JOIN bench_members p
WHERE r.n BETWEEN :first AND :last AND r.n % :every = 0 AND p.n < 2
"""

_BUSY = """
INSERT INTO action_events (action_key, attempt, phase, version, occurred_at, cluster_events, created_at,
  updated_at, transaction_id)
SELECT CAST(:busy AS {bytes}), 1 + n / 1000, 40, n % 1000, {time}(:newest + n), CAST('[{{'
  || '"occurred_at":"2026-01-01T00:00:00+00:00","reason":"Pulled",'
  || '"message":"image ' || n || '","warning": false}}]'
  AS {json}),
  {time}(:newest), {time}(:newest), 1
FROM {series}
"""


async def record(database_url: str, first: int, last: int) -> None:
    """Adds the runs with these numbers to a migrated database, and with the first one the large run. The
    newest run began an hour ago."""
    engine = create_async_engine(parse_url(database_url))
    async with engine.begin() as connection:
        await _record(connection, first, last)
    # As autovacuum leaves it. SQLite has no statistics: nothing calculates them in production.
    if engine.dialect.name == "postgresql":
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM (ANALYZE)"))
    await engine.dispose()


async def _record(connection: AsyncConnection, first: int, last: int) -> None:
    words = _DIALECTS[connection.dialect.name]
    root = ActionIdentifier(PROJECT, DOMAIN, LARGE_RUN, MEMBERS[0])
    values = {
        "step": RUN_SECONDS,
        "newest": int(time.time()) - 3600,
        "every": _RUNS_WITH_EVENTS,
        "large_key": root.run.key,
        "large_root": root.key,
        "busy": replace(root, name=BUSY_ACTION).key,
    }

    async def execute(template: str, first: int, last: int) -> None:
        statement = text(template.format(**words))
        parameters = values | {"first": first, "last": last}
        await connection.execute(statement, {name: parameters[name] for name in statement.compile().params})

    async def store(table: str, rows: Iterable[tuple[int, str, bytes]]) -> None:
        column = words["bytes"]
        await connection.execute(text(f"CREATE TEMPORARY TABLE {table} (n int, name text, digest {column})"))
        named = [{"n": n, "name": name, "digest": digest} for n, name, digest in rows]
        await connection.execute(text(f"INSERT INTO {table} VALUES (:n, :name, :digest)"), named)

    def digest(name: str) -> bytes:
        return replace(root, name=name).key[16:]

    numbers = range(first, last + 1)
    await store(
        "bench_runs",
        ((n, run_name(n), RunIdentifier(project(n), DOMAIN, run_name(n)).key) for n in numbers),
    )
    await store("bench_members", ((n, name, digest(name)) for n, name in enumerate(MEMBERS)))
    for start in reversed(range(first, last + 1, _RUNS_PER_STATEMENT)):
        await execute(_ACTIONS, start, min(start + _RUNS_PER_STATEMENT - 1, last))
    await execute(_EVENTS, first, last)
    if first == 1:
        large = range(1, LARGE_RUN_ACTIONS)
        await store("bench_large", ((n, f"a{n}", digest(f"a{n}")) for n in large))
        await execute(_LARGE_ROOT, 0, 0)
        await execute(_LARGE, 0, 0)
        await execute(_BUSY, 0, BUSY_ACTION_EVENTS - 1)
