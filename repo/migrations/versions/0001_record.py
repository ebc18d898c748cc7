"""The initial schema: actions, their events, and what the change feed needs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
labels = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
document = sa.JSON().with_variant(sa.Text(), "sqlite")

IS_ROOT = sa.text("parent_key IS NULL")
IS_UNCONFIRMED = sa.text("abort_state IN (1, 2, 4)")
IS_PAUSED = sa.text("phase = 50")


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    duration = (
        "(ended_at - created_at) / 1000"
        if is_sqlite
        else "CAST(floor(EXTRACT(epoch FROM ended_at - created_at) * 1000) AS BIGINT)"
    )
    op.create_table(
        "actions",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("run_key", sa.LargeBinary(16), nullable=False),
        sa.Column("parent_key", sa.LargeBinary(32)),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("project", name, nullable=False),
        sa.Column("domain", name, nullable=False),
        sa.Column("run_name", name, nullable=False),
        sa.Column("parent_name", name),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("group", sa.Text),
        sa.Column("phase", sa.SmallInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cache_status", sa.SmallInteger, nullable=False),
        sa.Column("source", sa.SmallInteger),
        sa.Column("labels", labels, nullable=False),
        sa.Column("task_project", sa.Text),
        sa.Column("task_domain", sa.Text),
        sa.Column("task_name", sa.Text),
        sa.Column("task_version", sa.Text),
        sa.Column("task_type", sa.Text),
        sa.Column("function_name", sa.Text),
        sa.Column("environment_name", sa.Text),
        sa.Column("trigger_task_name", sa.Text),
        sa.Column("trigger_name", sa.Text),
        sa.Column("trigger_revision", sa.BigInteger),
        sa.Column("created_by", document),
        sa.Column("created_by_subject", sa.Text),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("run_search_text", sa.Text),
        sa.Column("spec", document),
        sa.Column("state", sa.Text),
        sa.Column("abort_state", sa.SmallInteger),
        sa.Column("abort_reason", sa.Text),
        sa.Column("abort_requested_by", document),
        sa.Column("abort_requested_at", time),
        sa.Column("abort_attempt_count", sa.Integer, nullable=False),
        sa.Column("abort_next_attempt_at", time),
        sa.Column("abort_last_error", sa.Text),
        sa.Column("abort_confirmed_at", time),
        sa.Column("error", document),
        sa.Column("error_attempt", sa.Integer),
        sa.Column("created_at", time, nullable=False),
        sa.Column("triggered_at", time),
        sa.Column("started_at", time),
        sa.Column("ended_at", time),
        sa.Column("updated_at", time, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, sa.Computed(duration, persisted=True)),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.Column("state_transaction_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("key", name="pk_actions"),
        sa.CheckConstraint("parent_key <> key", name="ck_actions_parent_is_another"),
    )
    index("uq_actions_root", "run_key", where=IS_ROOT, unique=True)
    index("ix_actions_transaction", "transaction_id")
    index("ix_actions_parent", "parent_key")
    index("ix_actions_created", "created_at", "key")
    index("ix_actions_tree", "run_key", "depth", "created_at", "name")
    index("ix_runs_created", "created_at", "key", where=IS_ROOT)
    index("ix_runs_of_project_created", "project", "domain", "created_at", "key", where=IS_ROOT)
    index("ix_runs_time", sa.text("coalesce(triggered_at, created_at)"), where=IS_ROOT)
    index("ix_actions_unconfirmed_abort", "abort_requested_at", "key", where=IS_UNCONFIRMED)
    index("ix_actions_paused", "run_key", where=IS_PAUSED)
    op.create_table(
        "action_events",
        sa.Column("action_key", sa.LargeBinary(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("phase", sa.SmallInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("occurred_at", time, nullable=False),
        sa.Column("reported_at", time),
        sa.Column("error", document),
        sa.Column("logs", document),
        sa.Column("outputs", document),
        sa.Column("cluster", sa.Text),
        sa.Column("cache_status", sa.SmallInteger),
        sa.Column("cluster_events", document),
        sa.Column("info", document),
        sa.Column("created_at", time, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("action_key", "attempt", "phase", "version", name="pk_action_events"),
        sa.ForeignKeyConstraint(
            ["action_key"], ["actions.key"], name="fk_action_events_actions", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_action_events_transaction", "action_events", ["transaction_id"])
    if is_sqlite:
        op.create_table(
            "transaction_counter",
            sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
            sa.Column("epoch", sa.Text, nullable=False),
            sa.Column("value", sa.BigInteger, nullable=False),
        )
        op.execute("INSERT INTO transaction_counter VALUES (1, lower(hex(randomblob(8))), 0)")


def index(
    name: str, *columns: str | sa.TextClause, where: sa.TextClause | None = None, unique: bool = False
) -> None:
    op.create_index(name, "actions", list(columns), unique=unique, postgresql_where=where, sqlite_where=where)
