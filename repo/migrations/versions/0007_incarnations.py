"""Add the incarnations of the database, by which a watch notices a failover or a restore.

The table is new: servers of the version before never look at it, and go on as they did.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incarnations",
        sa.Column("number", sa.BigInteger, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("complete_until", sa.BigInteger),
        sa.PrimaryKeyConstraint("number", name="pk_incarnations"),
    )
