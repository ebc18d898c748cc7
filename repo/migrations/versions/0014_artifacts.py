"""Adds artifacts: what attempts of actions take in and leave behind, the bytes of small ones, the objects of
large ones in a store, how much each run has, and the key by which servers sign their addresses."""

import os

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")

# However an artifact is deleted, the object of its bytes is to be deleted too.
_ON_POSTGRESQL = [
    """CREATE FUNCTION rungraph_drop_object() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE artifact_objects SET delete_after = clock_timestamp() WHERE id = OLD.id;
        RETURN NULL;
      END $$""",
    """CREATE TRIGGER rungraph_drop_object AFTER DELETE ON artifacts FOR EACH ROW WHEN (OLD.in_store)
      EXECUTE FUNCTION rungraph_drop_object()""",
]
_ON_SQLITE = [
    """CREATE TRIGGER rungraph_drop_object AFTER DELETE ON artifacts WHEN OLD.in_store BEGIN
      UPDATE artifact_objects SET delete_after = CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
        WHERE id = OLD.id; END"""
]


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("action_key", sa.LargeBinary(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("media_type", name, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("in_store", sa.Boolean, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["action_key"], ["actions.key"], name="fk_artifacts_actions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint(
            "action_key", "attempt", "kind", "name", name="uq_artifacts_action_key_attempt_kind_name"
        ),
    )
    op.create_table(
        "artifact_bytes",
        sa.Column("artifact_id", sa.LargeBinary(16), nullable=False),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name="fk_artifact_bytes_artifacts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("artifact_id", name="pk_artifact_bytes"),
    )
    op.create_table(
        "artifact_objects",
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("delete_after", time),
        sa.PrimaryKeyConstraint("id", name="pk_artifact_objects"),
    )
    is_unused = sa.text("delete_after IS NOT NULL")
    op.create_index(
        "ix_artifact_objects_unused",
        "artifact_objects",
        ["delete_after"],
        postgresql_where=is_unused,
        sqlite_where=is_unused,
    )
    op.create_table(
        "artifact_usage",
        sa.Column("run_key", sa.LargeBinary(16), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"], ["runs.run_key"], name="fk_artifact_usage_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", name="pk_artifact_usage"),
    )
    keys = op.create_table(
        "signing_keys",
        sa.Column("name", name, nullable=False),
        sa.Column("secret", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_signing_keys"),
    )
    op.bulk_insert(keys, [{"name": "artifacts", "secret": os.urandom(32)}])
    for statement in _ON_SQLITE if op.get_bind().dialect.name == "sqlite" else _ON_POSTGRESQL:
        op.execute(statement)
