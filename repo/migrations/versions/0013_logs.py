"""Adds the logs of attempts: a head for each, and compressed chunks of its lines. Both tables are new:
servers of the previous version do not use them, and remove their rows with the runs by the foreign keys."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    document = sa.JSON(none_as_null=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "log_heads",
        sa.Column("action_key", sa.LargeBinary(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("line_count", sa.BigInteger, nullable=False),
        sa.Column("byte_count", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("first_error", sa.BigInteger),
        sa.Column("omitted_first", sa.BigInteger),
        sa.Column("omitted_last", sa.BigInteger),
        sa.Column("streams", document, nullable=False),
        sa.Column("tail", document, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.PrimaryKeyConstraint("action_key", "attempt", name="pk_log_heads"),
        sa.ForeignKeyConstraint(
            ["action_key"], ["actions.key"], name="fk_log_heads_actions", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "log_chunks",
        sa.Column("action_key", sa.LargeBinary(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("levels", sa.SmallInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("action_key", "attempt", "first", name="pk_log_chunks"),
        sa.ForeignKeyConstraint(
            ["action_key", "attempt"],
            ["log_heads.action_key", "log_heads.attempt"],
            name="fk_log_chunks_log_heads",
            ondelete="CASCADE",
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        # They are compressed already.
        op.execute("ALTER TABLE log_chunks ALTER COLUMN data SET STORAGE EXTERNAL")
        # Each call updates its head: room for that on the same page.
        op.execute("ALTER TABLE log_heads SET (fillfactor = 70)")
