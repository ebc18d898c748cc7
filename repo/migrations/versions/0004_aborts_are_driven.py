"""Add what drives aborts to their end: who is at one until when, and which were asked for together.

All may be null: servers of the version before leave them empty, and ask and confirm as they did.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("actions", sa.Column("abort_lease", sa.Text))
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("actions", sa.Column("abort_leased_until", time))
    op.add_column("actions", sa.Column("abort_batch", sa.Text))
    where = sa.text("abort_batch IS NOT NULL")
    op.create_index(
        "ix_runs_abort_batch", "actions", ["abort_batch"], postgresql_where=where, sqlite_where=where
    )
