"""Add what an action waited for: the names of other actions of its run.

It may be null: the table is not written anew, and servers of the version before leave it empty.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    document = sa.JSON().with_variant(sa.Text(), "sqlite")
    op.add_column("actions", sa.Column("dependencies", document))
