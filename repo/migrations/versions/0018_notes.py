"""Adds notes on actions, and to each action the number of its notes and the last one.

Servers of the previous version neither read nor write them."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
document = sa.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("actions")}
    if "notes" not in known:
        op.add_column("actions", sa.Column("notes", document))
    op.create_table(
        "notes",
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("action_key", sa.LargeBinary(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("author", document),
        sa.Column("created_at", time, nullable=False),
        sa.Column("edited_at", time),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
        sa.ForeignKeyConstraint(["action_key"], ["actions.key"], name="fk_notes_actions", ondelete="CASCADE"),
    )
    op.create_index("ix_notes_action", "notes", ["action_key", "created_at", "id"])
