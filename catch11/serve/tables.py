"""The tables of the gateway's database. What is secret lies in them sealed or hashed, never plain.

Times are seconds since 1970 in UTC. Migrations in `migrations/versions` make and change these tables; a test
holds the two against each other.
"""

from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID, NAME, HASH = 32, 120, 64  # characters


class Base(DeclarativeBase):
    """All tables."""


class VaultRow(Base):
    """The data key, encrypted under the master secret: one row."""

    __tablename__ = "vault"
    id: Mapped[int] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[float]


def _sealed() -> Any:
    """Read where it is asked for alone: a key may be megabytes, and each request looks at its row."""
    return mapped_column(LargeBinary, deferred=True)


class KeyRow(Base):
    """A key. state: active, retired (rotated: no new jobs), revoked (refused at once).

    sealed_key, sealed_secret, sealed_models: the key file's bytes, the copy's secret, and the names by
    which the authorized model and its rivals are loaded. public: JSON of what anybody may know. front: the
    fingerprint of what a key is of. ledger: which ledgers its files stand in, one of all keys of one front; sealed_ledger:
    what those know sources by, if not this key, kept when it is revoked.
    """

    __tablename__ = "keys"
    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(HASH))
    modality: Mapped[str] = mapped_column(String(NAME))
    state: Mapped[str] = mapped_column(String(ID))
    public: Mapped[str] = mapped_column(Text)
    front: Mapped[str | None] = mapped_column(String(HASH))
    ledger: Mapped[str] = mapped_column(String(ID))
    sealed_key: Mapped[bytes] = _sealed()
    sealed_secret: Mapped[bytes | None] = _sealed()
    sealed_models: Mapped[bytes] = _sealed()
    sealed_ledger: Mapped[bytes | None] = _sealed()
    created: Mapped[float]
    ended: Mapped[float | None]


class GrantRow(Base):
    """What a tenant may have of a key, for one purpose.

    keep: what files may keep, comma between. quota, spent: files, rows of tables and documents that may be had, and
    were, from recoders whose output gives the key's subspace away.
    """

    __tablename__ = "grants"
    __table_args__ = (UniqueConstraint("key_id", "tenant", "purpose", name="one_grant"),)
    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id"), index=True)
    tenant: Mapped[str] = mapped_column(String(NAME), index=True)
    purpose: Mapped[str] = mapped_column(String(NAME))
    keep: Mapped[str] = mapped_column(Text)
    quota: Mapped[int]
    spent: Mapped[int]
    created: Mapped[float]
    ended: Mapped[float | None]


class TokenRow(Base):
    """An API token. hashed: argon2id of its secret part. scopes: comma between. limits: JSON."""

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(NAME), index=True)
    hashed: Mapped[str] = mapped_column(Text)
    scopes: Mapped[str] = mapped_column(String(NAME))
    limits: Mapped[str] = mapped_column(Text)
    created: Mapped[float]
    expires: Mapped[float]
    used: Mapped[float | None]
    ended: Mapped[float | None]


class JobRow(Base):
    """A job. ask: JSON of what was asked. again: the client's name of the request, to ask it twice; asked:
    a digest of what it said then, ask and files.

    state: open (takes parts), queued, running, done, failed, cancelled.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("tenant", "again", name="one_request"),
        Index("jobs_by_state", "state", "created"),
    )
    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(NAME), index=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id"))
    grant_id: Mapped[str] = mapped_column(ForeignKey("grants.id"))
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"))
    ask: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(ID))
    total: Mapped[int]
    done: Mapped[int]
    error: Mapped[str] = mapped_column(Text)
    again: Mapped[str | None] = mapped_column(String(NAME))
    asked: Mapped[str | None] = mapped_column(String(HASH))
    created: Mapped[float]
    updated: Mapped[float]


class PartRow(Base):
    """One uploaded file of a job. outcome: empty, released, withheld or skipped; file: its released name."""

    __tablename__ = "parts"
    __table_args__ = (UniqueConstraint("job_id", "name", name="one_part"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(HASH))
    size: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(ID))
    file: Mapped[str] = mapped_column(Text)
    released: Mapped[str] = mapped_column(String(HASH))
    reason: Mapped[str] = mapped_column(Text)


class AuditRow(Base):
    """A line of the audit log. mac: HMAC of the line and of the mac before it."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[float]
    tenant: Mapped[str] = mapped_column(String(NAME))
    token: Mapped[str] = mapped_column(String(ID))
    key: Mapped[str] = mapped_column(String(HASH))
    action: Mapped[str] = mapped_column(String(NAME))
    detail: Mapped[str] = mapped_column(Text)
    mac: Mapped[str] = mapped_column(String(HASH))


class AuditHead(Base):
    """How many lines there are and the mac of the last, from the beginning: a log that was cut shows."""

    __tablename__ = "audit_head"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    mac: Mapped[str] = mapped_column(String(HASH))
