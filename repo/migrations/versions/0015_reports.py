"""Adds what executors report in one call: placeholders of actions that are only named, progress, and
metrics. The triggers that keep the table of runs also follow a root that is described later, or replaced.

Servers of the previous version read and write beside it: they make no placeholders."""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

runs = import_module("repo.migrations.versions.0011_runs")

time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
document = sa.JSON().with_variant(sa.Text(), "sqlite")
name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")

_COLUMNS = runs.FIXED + runs.CHANGING
_ALL = ", ".join(f"{each} = {runs.selected([each], 'NEW')}" for each in _COLUMNS)
_IS_ANOTHER = """NEW.parent_key IS NULL AND (OLD.parent_key IS NOT NULL
    OR (OLD.placeholder_since IS NOT NULL AND NEW.placeholder_since IS NULL))"""
"""A row of actions is the root now and was not, or was a placeholder."""

_POSTGRESQL = [
    runs.POSTGRESQL[2]
    .replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    .replace(
        "found WHERE term IS NOT NULL;",
        "found WHERE term IS NOT NULL ON CONFLICT (number) DO UPDATE SET terms = EXCLUDED.terms;",
    ),
    f"""CREATE FUNCTION rungraph_replace_run() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO runs ({", ".join(_COLUMNS)}) VALUES ({runs.selected(_COLUMNS, "NEW")})
          ON CONFLICT (run_key) DO UPDATE SET {_ALL};
        RETURN NULL;
      END $$""",
    "DROP TRIGGER rungraph_add_run ON actions",
    """CREATE TRIGGER rungraph_add_run AFTER INSERT ON actions
      FOR EACH ROW WHEN (NEW.parent_key IS NULL) EXECUTE FUNCTION rungraph_replace_run()""",
    f"""CREATE TRIGGER rungraph_replace_run AFTER UPDATE ON actions
      FOR EACH ROW WHEN ({_IS_ANOTHER}) EXECUTE FUNCTION rungraph_replace_run()""",
    f"""CREATE TRIGGER rungraph_change_terms AFTER UPDATE OF {", ".join(runs.FIXED)} ON runs
      FOR EACH ROW EXECUTE FUNCTION rungraph_add_terms()""",
]
_SQLITE = [
    "DROP TRIGGER rungraph_add_run",
    f"""CREATE TRIGGER rungraph_add_run AFTER INSERT ON actions WHEN NEW.parent_key IS NULL BEGIN
      INSERT INTO runs ({", ".join(_COLUMNS)}, paused_actions) VALUES ({runs.selected(_COLUMNS, "NEW")},
        (SELECT count(*) FROM actions WHERE run_key = NEW.run_key AND phase = 50))
        ON CONFLICT (run_key) DO UPDATE SET {_ALL}, paused_actions = EXCLUDED.paused_actions; END""",
    f"""CREATE TRIGGER rungraph_replace_run AFTER UPDATE ON actions WHEN {_IS_ANOTHER} BEGIN
      UPDATE runs SET {_ALL} WHERE run_key = NEW.run_key; END""",
    f"""CREATE TRIGGER rungraph_change_terms AFTER UPDATE OF {", ".join(runs.FIXED)} ON runs BEGIN
      INSERT INTO run_terms (run_terms, rowid, terms)
        VALUES ('delete', OLD.number, {runs.sqlite_terms("OLD")});
      INSERT INTO run_terms (rowid, terms) VALUES (NEW.number, {runs.sqlite_terms("NEW")}); END""",
]


def upgrade() -> None:
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    known = {column["name"] for column in sa.inspect(connection).get_columns("actions")}
    for column in (sa.Column("placeholder_since", time), sa.Column("progress", document)):
        if column.name not in known:
            op.add_column("actions", column)
    op.create_table(
        "action_metrics",
        sa.Column("action_key", sa.LargeBinary(32), nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("last", sa.Float(53), nullable=False),
        sa.Column("last_at", time, nullable=False),
        sa.Column("minimum", sa.Float(53), nullable=False),
        sa.Column("maximum", sa.Float(53), nullable=False),
        sa.Column("series", document, nullable=False),
        sa.PrimaryKeyConstraint("action_key", "name", name="pk_action_metrics"),
        sa.ForeignKeyConstraint(
            ["action_key"], ["actions.key"], name="fk_action_metrics_actions", ondelete="CASCADE"
        ),
    )
    for statement in map(runs.for_sqlite, _SQLITE) if is_sqlite else _POSTGRESQL:
        connection.exec_driver_sql(statement)
