"""Adds incarnations of the database, by which streams detect a failover or a restore. The table is new:
servers of the previous version do not read it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


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
