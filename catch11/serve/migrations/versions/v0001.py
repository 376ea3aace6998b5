"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID, NAME, HASH = sa.String(32), sa.String(120), sa.String(64)


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", NAME, nullable=False, unique=True),
        sa.Column("fingerprint", HASH, nullable=False),
        sa.Column("modality", NAME, nullable=False),
        sa.Column("state", ID, nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary),
        sa.Column("sealed_models", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
    )
    op.create_table(
        "grants",
        sa.Column("id", ID, primary_key=True),
        sa.Column("key_id", ID, sa.ForeignKey("keys.id"), nullable=False, index=True),
        sa.Column("tenant", NAME, nullable=False, index=True),
        sa.Column("purpose", NAME, nullable=False),
        sa.Column("keep", sa.Text, nullable=False),
        sa.Column("quota", sa.Integer, nullable=False),
        sa.Column("spent", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.UniqueConstraint("key_id", "tenant", "purpose", name="one_grant"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tenant", NAME, nullable=False, index=True),
        sa.Column("hashed", sa.Text, nullable=False),
        sa.Column("scopes", NAME, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("used", sa.Double),
        sa.Column("ended", sa.Double),
    )
    _jobs()
    _audit()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tenant", NAME, nullable=False, index=True),
        sa.Column("key_id", ID, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("grant_id", ID, sa.ForeignKey("grants.id"), nullable=False),
        sa.Column("token_id", ID, sa.ForeignKey("tokens.id"), nullable=False),
        sa.Column("ask", sa.Text, nullable=False),
        sa.Column("state", ID, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("again", NAME),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        sa.UniqueConstraint("tenant", "again", name="one_request"),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "created"])
    op.create_table(
        "parts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("outcome", ID, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("released", HASH, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("job_id", "name", name="one_part"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("token", ID, nullable=False),
        sa.Column("key", HASH, nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("mac", HASH, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("mac", HASH, nullable=False),
    )


def downgrade() -> None:
    """Drop all tables."""
    for name in ("audit_head", "audit", "parts", "jobs", "tokens", "grants", "keys", "vault"):
        op.drop_table(name)
