"""Adds leases and batches of aborts. The columns are nullable: servers of the previous version leave them
empty."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("actions", sa.Column("abort_lease", sa.Text))
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("actions", sa.Column("abort_leased_until", time))
    op.add_column("actions", sa.Column("abort_batch", sa.Text))
    where = sa.text("abort_batch IS NOT NULL")
    op.create_index(
        "ix_runs_abort_batch", "actions", ["abort_batch"], postgresql_where=where, sqlite_where=where
    )
