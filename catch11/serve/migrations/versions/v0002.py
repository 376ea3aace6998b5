"""What a repeated request said is held against what it said first."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.add_column("jobs", sa.Column("asked", sa.String(64)))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("jobs", "asked")
