"""Adds credentials: API tokens and sessions. The table is new: servers of the previous version do not read
it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
    time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    document = sa.JSON().with_variant(sa.Text(), "sqlite")
    op.create_table(
        "credentials",
        sa.Column("id", name, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("identity", document, nullable=False),
        sa.Column("access", document, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("expires_at", time),
        sa.Column("revoked_at", time),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
        sa.UniqueConstraint("secret_hash", name="uq_credentials_secret_hash"),
    )
