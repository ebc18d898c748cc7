"""Add the times that executors reported of an action, as they were reported.

Both may be null: servers of the version before leave them as they are, and what they leave behind is
recognised by the times that they do write.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("actions", sa.Column("start_time", time))
    op.add_column("actions", sa.Column("phase_time", time))
