"""Adds the dependencies of actions: the names of other actions of the run. The column is nullable: the table
is not rewritten, and servers of the previous version leave it empty."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    document = sa.JSON().with_variant(sa.Text(), "sqlite")
    op.add_column("actions", sa.Column("dependencies", document))
