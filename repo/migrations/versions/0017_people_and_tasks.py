"""Adds indexes of runs by creator, by task and by function, and stores the code of a skipped run's reason, so
that a search finds it.

`prepare` runs first, in transactions of its own: writers wait for none of them for long. A server of the
previous version searches by the codes that are stored."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

leases = import_module("repo.migrations.versions.0016_leases")

PART = 20_000
"""Numbers of runs that are filled in a transaction."""

_EXPRESSIONS = leases.COLUMNS.expressions
COLUMNS = replace(
    leases.COLUMNS,
    expressions=_EXPRESSIONS
    | {"error_code": _EXPRESSIONS["error_code"].replace("(70, 80, 90)", "(70, 80, 90, 110)")},
)
"""The columns of `runs` that triggers write, with the code of a skipped run."""

INDEXES = {
    "ix_runs_by_creator": "(created_by_subject, project, domain) WHERE length(created_by_subject) <= 150",
    "ix_runs_by_task": "(project, domain, task_name, created_at) WHERE length(task_name) <= 150",
    "ix_runs_by_function": "(project, domain, function_name, created_at) "
    "WHERE task_name IS NULL AND length(function_name) <= 150",
}


def upgrade() -> None:
    connection = op.get_bind()
    for name, definition in INDEXES.items():
        connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {name} ON runs {definition}")
    leases.replace_triggers(connection, COLUMNS)
    fill(connection, "true")


def prepare(connection: sa.Connection, after: Any) -> Any:
    """The triggers if `after` is None, else the codes of skipped runs with numbers after it."""
    if after is None:
        leases.replace_triggers(connection, COLUMNS)
        return 0
    fill(connection, f"number > {after} AND number <= {after + PART}")
    newest = connection.exec_driver_sql("SELECT coalesce(max(number), 0) FROM runs").scalar_one()
    return after + PART if after + PART < newest else None


def fill(connection: sa.Connection, which: str) -> None:
    """Store the codes of skipped runs that have none yet. Locked in the order in which writers change rows,
    so that they do not deadlock."""
    is_sqlite = connection.dialect.name == "sqlite"
    code = "json_extract(a.error, '$.code')" if is_sqlite else "a.error ->> 'code'"
    lock = "" if is_sqlite else " ORDER BY key FOR UPDATE"
    connection.exec_driver_sql(
        f"UPDATE runs SET error_code = (SELECT {code} FROM actions a "
        "WHERE a.key = runs.key AND a.error_attempt = a.attempts) "
        "WHERE number IN (SELECT number FROM runs "
        f"WHERE phase = 110 AND error_code IS NULL AND {which}{lock})"
    )
