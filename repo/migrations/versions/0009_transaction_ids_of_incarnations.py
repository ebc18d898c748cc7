"""Add the next transaction id to the incarnations of the database, by which one is noticed that went back.

It may be null: servers of the version before do not fill it, and what they add is compared as they do.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incarnations", sa.Column("next_transaction", sa.BigInteger))
