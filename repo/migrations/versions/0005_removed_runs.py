"""Adds tombstones of removed runs for subscribers, and the horizon from which on they are kept. Both tables
are new: servers of the previous version do not read them, and no writer waits."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.create_table(
        "removed_runs",
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("project", name, nullable=False),
        sa.Column("domain", name, nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("aborts_changed", sa.Boolean, nullable=False),
        sa.Column("removed_at", time, nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "key", name="pk_removed_runs"),
    )
    op.create_index("ix_removed_runs_removed_at", "removed_runs", ["removed_at"])
    op.create_table(
        "removal_horizon",
        sa.Column("id", sa.SmallInteger, autoincrement=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_removal_horizon"),
    )
    op.execute("INSERT INTO removal_horizon VALUES (1, 0)")
