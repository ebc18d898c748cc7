"""Adds leases of executors: the table `run_leases`, the executor of a run, and the phase in which an action
was lost. Adds to `runs` its executor, and when anything of it was last reported; triggers keep the former.

A later migration that adds a column to `runs` calls `replace_triggers` with all of them.

`prepare` runs first, in transactions of its own: writers wait for none of them for long. Servers of the
previous version neither expire leases nor note reports; their runs count as reported at their creation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

PART = 5_000
"""Numbers of runs that are filled in a transaction."""

time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


@dataclass(frozen=True)
class RunColumns:
    """The columns of `runs` that triggers write."""

    fixed: Sequence[str]
    """Set when the run is created, and again when its root is another or was a placeholder."""
    changing: Sequence[str]
    """Those that follow the action."""
    compared: Sequence[str]
    """The columns of the action on whose change these are written again; `error` always is."""
    expressions: Mapping[str, str] = field(default_factory=dict)
    """The values of columns that the action has by no such name; `{row}` is the action."""

    def values(self, names: Sequence[str], row: str) -> str:
        """The values of these columns in a row of actions."""
        return ", ".join(self.expressions.get(each, f"{{row}}.{each}").format(row=row) for each in names)

    @property
    def all(self) -> list[str]:
        """The columns in the order in which they are inserted."""
        return [*self.fixed, *self.changing]

    @property
    def assigned(self) -> str:
        """The assignments of an update."""
        return self._assigned(self.changing)

    @property
    def all_assigned(self) -> str:
        """The assignments of an update of a run whose root is another, or was a placeholder."""
        return self._assigned(self.all)

    def _assigned(self, names: Sequence[str]) -> str:
        return ", ".join(f"{each} = {self.values([each], 'NEW')}" for each in names)

    def differs(self, is_not: str, error: str) -> str:
        """Whether a column that is compared differs in the new and the old action."""
        return " OR ".join(f"NEW.{each} {is_not} OLD.{each}" for each in [*self.compared, error])


COLUMNS = RunColumns(
    fixed="""run_key key project domain run_name source labels task_name task_version function_name
        trigger_task_name trigger_name created_by_subject created_by_name search_text
        last_reported_at""".split(),
    changing="""phase error_code abort_state created_at run_time ended_at updated_at duration_ms
        executor""".split(),
    compared="""phase error_attempt attempts abort_state created_at triggered_at ended_at updated_at
        executor""".split(),
    expressions={
        "created_by_name": "{row}.created_by ->> 'name'",
        "search_text": "coalesce({row}.run_search_text, '')",
        "error_code": "CASE WHEN {row}.phase IN (70, 80, 90) AND {row}.error_attempt = {row}.attempts "
        "THEN {row}.error ->> 'code' END",
        "run_time": "coalesce({row}.triggered_at, {row}.created_at)",
        "last_reported_at": "{row}.updated_at",
    },
)


def upgrade() -> None:
    connection = op.get_bind()
    create(connection)
    fill(connection, "true")


def prepare(connection: sa.Connection, after: Any) -> Any:
    """The columns and tables if `after` is None, else the runs with numbers after it."""
    if after is None:
        create(connection)
        return 0
    fill(connection, f"number > {after} AND number <= {after + PART}")
    newest = connection.exec_driver_sql("SELECT coalesce(max(number), 0) FROM runs").scalar_one()
    return after + PART if after + PART < newest else None


def create(connection: sa.Connection) -> None:
    """All but the values of existing runs, if it does not exist."""
    if sa.inspect(connection).has_table("run_leases"):
        return
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        # First of all: no writer may wait for one table while it holds the other.
        connection.exec_driver_sql("LOCK TABLE actions, runs IN ACCESS EXCLUSIVE MODE")
    known = {column["name"] for column in sa.inspect(connection).get_columns("actions")}
    for name, kind in {"lost_phase": "SMALLINT", "executor": "TEXT"}.items():
        if name not in known:
            connection.exec_driver_sql(f"ALTER TABLE actions ADD COLUMN {name} {kind}")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN executor TEXT")
    kind = "BIGINT" if is_sqlite else "TIMESTAMP WITH TIME ZONE"
    connection.exec_driver_sql(f"ALTER TABLE runs ADD COLUMN last_reported_at {kind}")
    connection.exec_driver_sql(
        "CREATE INDEX ix_runs_by_executor ON runs (executor, key) WHERE (executor IS NOT NULL)"
    )
    connection.exec_driver_sql(
        "CREATE INDEX ix_runs_by_reported ON runs (last_reported_at, key) WHERE (ended_at IS NULL)"
    )
    replace_triggers(connection, COLUMNS)
    metadata = sa.MetaData()
    sa.Table("runs", metadata, sa.Column("run_key", sa.LargeBinary(16)))
    leases = sa.Table(
        "run_leases",
        metadata,
        sa.Column("run_key", sa.LargeBinary(16), nullable=False),
        sa.Column("executor", sa.Text, nullable=False),
        sa.Column("ttl_seconds", sa.Integer, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_key", name="pk_run_leases"),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"], name="fk_run_leases_runs", ondelete="CASCADE"),
    )
    leases.create(connection)
    connection.exec_driver_sql(
        "CREATE INDEX ix_run_leases_expires_at ON run_leases (expires_at) WHERE (state < 3)"
    )


def fill(connection: sa.Connection, which: str) -> None:
    """Sets when unfinished runs were last reported to when they last changed. Locked in the order in which
    writers change rows, so that they do not deadlock."""
    lock = "" if connection.dialect.name == "sqlite" else " ORDER BY key FOR UPDATE"
    connection.exec_driver_sql(
        "UPDATE runs SET last_reported_at = updated_at WHERE number IN (SELECT number FROM runs "
        f"WHERE ended_at IS NULL AND last_reported_at IS NULL AND {which}{lock})"
    )


_IS_ANOTHER = """NEW.parent_key IS NULL AND (OLD.parent_key IS NOT NULL
    OR (OLD.placeholder_since IS NOT NULL AND NEW.placeholder_since IS NULL))"""
"""A row of actions is the root now and was not, or was a placeholder."""


def replace_triggers(connection: sa.Connection, columns: RunColumns) -> None:
    """Replace the triggers by those for these columns of `runs`, which exist."""
    statements = _sqlite(columns) if connection.dialect.name == "sqlite" else _postgresql(columns)
    for statement in statements:
        connection.exec_driver_sql(statement)


def _postgresql(columns: RunColumns) -> list[str]:
    names = ", ".join(columns.all)
    return [
        f"""CREATE OR REPLACE FUNCTION rungraph_keep_run() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP = 'DELETE' THEN
          DELETE FROM runs WHERE run_key = OLD.run_key;
          RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
          UPDATE runs SET {columns.assigned} WHERE run_key = NEW.run_key;
          IF FOUND THEN RETURN NULL; END IF;
        END IF;
        INSERT INTO runs ({names}) VALUES ({columns.values(columns.all, "NEW")})
          ON CONFLICT (run_key) DO UPDATE SET {columns.assigned};
        RETURN NULL;
      END $$""",
        f"""CREATE OR REPLACE FUNCTION rungraph_replace_run() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO runs ({names}) VALUES ({columns.values(columns.all, "NEW")})
          ON CONFLICT (run_key) DO UPDATE SET {columns.all_assigned};
        RETURN NULL;
      END $$""",
        f"""CREATE OR REPLACE TRIGGER rungraph_change_run AFTER UPDATE ON actions
      FOR EACH ROW WHEN (NEW.parent_key IS NULL AND ({columns.differs("IS DISTINCT FROM", "error::text")}))
      EXECUTE FUNCTION rungraph_keep_run()""",
    ]


def _sqlite(columns: RunColumns) -> list[str]:
    """SQLite has the operator `->>` since version 3.38; the rest needs 3.35."""
    statements = [
        "DROP TRIGGER rungraph_add_run",
        "DROP TRIGGER rungraph_change_run",
        "DROP TRIGGER rungraph_replace_run",
        f"""CREATE TRIGGER rungraph_add_run AFTER INSERT ON actions WHEN NEW.parent_key IS NULL BEGIN
      INSERT INTO runs ({", ".join(columns.all)}, paused_actions)
        VALUES ({columns.values(columns.all, "NEW")},
        (SELECT count(*) FROM actions WHERE run_key = NEW.run_key AND phase = 50))
        ON CONFLICT (run_key) DO UPDATE SET {columns.all_assigned},
          paused_actions = EXCLUDED.paused_actions; END""",
        f"""CREATE TRIGGER rungraph_replace_run AFTER UPDATE ON actions WHEN {_IS_ANOTHER} BEGIN
      UPDATE runs SET {columns.all_assigned} WHERE run_key = NEW.run_key; END""",
        f"""CREATE TRIGGER rungraph_change_run AFTER UPDATE ON actions
      WHEN NEW.parent_key IS NULL AND ({columns.differs("IS NOT", "error")}) BEGIN
      UPDATE runs SET {columns.assigned} WHERE run_key = NEW.run_key; END""",
    ]
    return [re.sub(r"(\S+) ->> '(\w+)'", r"json_extract(\1, '$.\2')", each) for each in statements]
