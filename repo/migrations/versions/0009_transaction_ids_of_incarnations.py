"""Adds the next transaction id to incarnations, by which a database that went back is detected. The column
is nullable: servers of the previous version leave it empty, and their incarnations are compared without
it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("incarnations", sa.Column("next_transaction", sa.BigInteger))
