"""Adds `action_changes`, an append-only log of which actions each transaction wrote, kept by triggers: the
change feed reads it instead of an index of actions over their transaction id, which is dropped. Without that
index most updates of an action change no index at all (HOT): 88% of those of 2,700 actions, each updated
three times, with 30% of each page left free, 68% with 20%.

Servers of the previous version write the log too, by the triggers. Until they are replaced, they read changes
without the index, which takes them a scan of all actions each time.

`prepare` runs first, in transactions of its own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

KEPT_DAYS = 7
"""As long as tombstones are kept."""

_ON_POSTGRESQL = [
    """CREATE FUNCTION rungraph_log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO action_changes (transaction_id, key, written_at)
          SELECT transaction_id, key, now() FROM written WHERE transaction_id > 0 ORDER BY key
          ON CONFLICT DO NOTHING;
        RETURN NULL;
      END $$""",
    """CREATE TRIGGER rungraph_log_inserts AFTER INSERT ON actions REFERENCING NEW TABLE AS written
      FOR EACH STATEMENT EXECUTE FUNCTION rungraph_log_changes()""",
    """CREATE TRIGGER rungraph_log_updates AFTER UPDATE ON actions REFERENCING NEW TABLE AS written
      FOR EACH STATEMENT EXECUTE FUNCTION rungraph_log_changes()""",
]
_ON_SQLITE = [
    f"""CREATE TRIGGER rungraph_log_{name} AFTER {when} ON actions WHEN NEW.transaction_id > 0 BEGIN
      INSERT OR IGNORE INTO action_changes (transaction_id, key, written_at) VALUES (
        NEW.transaction_id, NEW.key, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)); END"""
    for name, when in (("inserts", "INSERT"), ("updates", "UPDATE"))
]


def upgrade() -> None:
    connection = op.get_bind()
    if not sa.inspect(connection).has_table("action_changes"):
        create(connection)
        fill(connection)
    op.drop_index("ix_actions_transaction", "actions")
    if connection.dialect.name == "postgresql":
        op.execute("ALTER TABLE actions SET (fillfactor = 70)")


def prepare(connection: sa.Connection, after: Any) -> Any:
    """Creates the log, and then copies the changes that cursors may still be from before."""
    if after is None:
        if not sa.inspect(connection).has_table("action_changes"):
            create(connection)
        return "created"
    fill(connection)
    return None


def create(connection: sa.Connection) -> None:
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    sa.Table(
        "action_changes",
        sa.MetaData(),
        sa.Column("transaction_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("written_at", time, nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "key", name="pk_action_changes"),
        sqlite_with_rowid=False,
    ).create(connection)
    for statement in _ON_SQLITE if connection.dialect.name == "sqlite" else _ON_POSTGRESQL:
        connection.exec_driver_sql(statement)


def fill(connection: sa.Connection) -> None:
    """Logs the newest write of each action that was written in the last days, and the newest of all, which
    shows whether the database was restored; the others are below the horizon. Each change from now on is
    logged by the triggers."""
    is_sqlite = connection.dialect.name == "sqlite"
    since = (
        f"CAST((julianday('now') - 2440587.5 - {KEPT_DAYS}) * 86400000000 AS INTEGER)"
        if is_sqlite
        else f"now() - interval '{KEPT_DAYS} days'"
    )
    connection.exec_driver_sql(
        "INSERT INTO action_changes (transaction_id, key, written_at) SELECT transaction_id, key, updated_at"
        f" FROM actions WHERE transaction_id > 0 AND (updated_at >= {since} OR transaction_id ="
        " (SELECT max(transaction_id) FROM actions)) ON CONFLICT DO NOTHING"
    )
    connection.exec_driver_sql(
        "UPDATE removal_horizon SET transaction_id = below.id FROM (SELECT coalesce(max(transaction_id), 0)"
        f" + 1 AS id FROM actions WHERE updated_at < {since}) AS below"
        " WHERE removal_horizon.transaction_id < below.id"
    )
