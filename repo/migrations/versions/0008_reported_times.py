"""Adds the times that executors reported. The columns are nullable: servers of the previous version do not
maintain them, which shows by the times that they do write."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("actions", sa.Column("start_time", time))
    op.add_column("actions", sa.Column("phase_time", time))
