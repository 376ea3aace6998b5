"""What a repeated request said first; ledgers that keys of one model share."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.add_column("jobs", sa.Column("asked", sa.String(64)))
    op.add_column("keys", sa.Column("front", sa.String(64)))
    op.add_column("keys", sa.Column("ledger", sa.String(32), nullable=False, server_default=""))
    op.add_column("keys", sa.Column("sealed_ledger", sa.LargeBinary))
    op.execute("UPDATE keys SET ledger = id")


def downgrade() -> None:
    """Drop it."""
    op.drop_column("jobs", "asked")
    for name in ("front", "ledger", "sealed_ledger"):
        op.drop_column("keys", name)
