"""Grants: what a tenant may have of a key, for a stated purpose.

Spectral and scramble output gives the key's subspace away: three chosen pictures span that of a small
transformer. So files of those recoders are had within a quota that the grant states, 0 unless said: as many
as were sent, or, where there are more, as many rows and documents. Against it counts what the tenant had of all keys that
share a ledger, as those of one model and joint ones do; deep files, and files sealed for one copy, are not counted.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from catch11.errors import InvalidArgument
from catch11.recoding.choose import method_for
from catch11.recoding.keep import parse_keep
from catch11.serve.audit import note
from catch11.serve.refusals import Forbidden, Refused
from catch11.serve.store import Store
from catch11.serve.tables import GrantRow, KeyRow
from catch11.serve.tokens import check_tenant
from catch11.serve.vault import ACTIVE, facts_of, key_row

COUNTED = ("spectral", "scramble")


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A grant that a request stands on, and what was asked within it."""

    id: str
    key: str
    ledger: str
    modality: str
    purpose: str
    keep: str
    method: str
    counted: bool


def add_grant(
    store: Store, key: str, tenant: str, *, keep: tuple[str, ...] = ("answer",),
    purpose: str = "any", quota: int = 0, by: str = "operator",
) -> str:  # fmt: skip
    """Let a tenant use a key; its id. Said again for the same purpose, it takes the old one's place.

    keep: what files may keep; the first is taken where a request says nothing. quota: files of spectral
    and scramble. Raises InvalidArgument, Unknown.
    """
    check_tenant(tenant)
    for one in keep:
        parse_keep(one)
        if "," in one:  # which stands between two
            raise InvalidArgument("keep", expected="no comma in a layer's name", found=repr(one))
    if not keep or not 0 <= quota <= 10**9 or not 1 <= len(purpose) <= 100:
        raise InvalidArgument("grant", expected="a keep, a purpose and a quota of 0 or more", found=quota)  # fmt: skip
    now = time.time()
    with store.begin() as session:
        row = key_row(session, key)
        same = (GrantRow.key_id == row.id, GrantRow.tenant == tenant, GrantRow.purpose == purpose)
        grant = session.scalar(select(GrantRow).where(*same))
        if grant is None:
            grant = GrantRow(id=secrets.token_hex(8), key_id=row.id, tenant=tenant, purpose=purpose, spent=0, created=now)  # fmt: skip
            session.add(grant)
        grant.keep, grant.quota, grant.ended = ",".join(keep), quota, None
        note(store, session, "grant", tenant=tenant, key=row.fingerprint, detail=f"{purpose}: {grant.keep}, quota {quota}, by {by}")  # fmt: skip
        return grant.id


def end_grants(store: Store, key: str, tenant: str, *, by: str = "operator") -> int:
    """Take all grants of a key from a tenant; how many there were."""
    with store.begin() as session:
        row = key_row(session, key)
        found = session.scalars(
            select(GrantRow).where(
                GrantRow.key_id == row.id, GrantRow.tenant == tenant, GrantRow.ended.is_(None)
            )
        ).all()
        for grant in found:
            grant.ended = time.time()
        detail = f"{len(found)}, by {by}"
        note(store, session, "grant end", tenant=tenant, key=row.fingerprint, detail=detail)
        return len(found)


def list_grants(store: Store) -> list[dict[str, Any]]:
    """All grants of active keys that stand, in the order in which they came. key: its name."""
    with store.reading() as session:
        rows = _standing(session)
        spent = {grant.tenant: _spent(session, grant.tenant) for _, grant in rows}
    return [
        {"key": key.name, "tenant": grant.tenant, **_facts(grant, spent[grant.tenant].get(key.ledger, 0))}
        for key, grant in rows
    ]  # fmt: skip


def _facts(grant: GrantRow, spent: int) -> dict[str, Any]:
    return {
        "purpose": grant.purpose, "keep": grant.keep.split(","), "quota": grant.quota,
        "left": max(0, grant.quota - spent),
    }  # fmt: skip


def granted_keys(store: Store, tenant: str) -> list[dict[str, Any]]:
    """The active keys that a tenant may use, each with what its grants say."""
    with store.reading() as session:
        rows = _standing(session, GrantRow.tenant == tenant)
        rows.sort(key=lambda row: row[0].created)
        spent = _spent(session, tenant)
    found: dict[str, dict[str, Any]] = {}
    for key, grant in rows:
        facts = found.setdefault(key.id, {**facts_of(key), "grants": []})
        facts["grants"].append(_facts(grant, spent.get(key.ledger, 0)))
    return list(found.values())


def find_grant(
    session: Session, tenant: str, *, key: str | None, purpose: str | None, keep: str | None,
    method: str | None,
) -> Granted:  # fmt: skip
    """The grant that a request stands on. key: by id, name or fingerprint; may be left out where the
    tenant has one. Raises Forbidden, which looks alike for a foreign key and for none; InvalidArgument.
    """
    rows = _standing(session, GrantRow.tenant == tenant)
    if key is not None:
        rows = [r for r in rows if key in (r[0].id, r[0].name) or (len(key) >= 8 and r[0].fingerprint.startswith(key))]  # fmt: skip
    if not rows:
        raise Forbidden("no grant of yours names such a key; GET /v1/keys lists those that do.")
    if len({row[0].id for row in rows}) > 1:
        raise InvalidArgument(
            "key", expected="one of GET /v1/keys, as you have several", found="none"
        )
    if purpose is not None:
        rows = [row for row in rows if row[1].purpose == purpose]
        if not rows:
            raise Forbidden("no grant of yours names this key and this purpose; see GET /v1/keys.")
    held, grant = next(
        (row for row in rows if keep is None or keep in row[1].keep.split(",")), rows[0]
    )
    chosen = keep or grant.keep.split(",")[0]
    if chosen not in grant.keep.split(","):
        raise Forbidden(
            f"keep: your grant says {grant.keep.replace(',', ', ')}; ask for one of them."
        )
    try:
        found, _ = method_for(held.modality, method, None if method == "scramble" else chosen)
    except InvalidArgument as error:  # each is known, and they do not go together
        raise Refused(str(error), status=409) from None
    sealed = facts_of(held)["sealed"] is not None
    if found == "scramble" and "all" not in grant.keep.split(","):
        raise Forbidden("method scramble keeps all, and your grant does not say so.")
    return Granted(
        id=grant.id, key=held.id, ledger=held.ledger, modality=held.modality, purpose=grant.purpose, keep=chosen, method=found,
        counted=found in COUNTED and not sealed,
    )  # fmt: skip


def _standing(session: Session, *those: ColumnElement[bool]) -> list[tuple[KeyRow, GrantRow]]:
    """Grants that stand, of active keys, in the order in which they came."""
    joined = select(KeyRow, GrantRow).join(GrantRow, GrantRow.key_id == KeyRow.id)
    standing = joined.where(GrantRow.ended.is_(None), KeyRow.state == ACTIVE, *those)
    return [(key, grant) for key, grant in session.execute(standing.order_by(GrantRow.created))]


def spend(session: Session, grant: str, count: int) -> None:
    """Take files, rows or documents from a grant's quota, all or none; of one whose key was rotated, from the one in
    its place. Raises Forbidden."""
    row, ledger = session.execute(
        select(GrantRow, KeyRow.ledger)
        .join(KeyRow, KeyRow.id == GrantRow.key_id)
        .where(GrantRow.id == grant)
    ).one()
    # Locked in one order, so that two requests at once do not both find the last file left.
    rows = session.execute(
        select(GrantRow, KeyRow.state)
        .join(KeyRow, KeyRow.id == GrantRow.key_id)
        .where(KeyRow.ledger == ledger, GrantRow.tenant == row.tenant)
        .order_by(GrantRow.id)
        .with_for_update(of=GrantRow, key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    if row.ended is not None:
        heirs = (one for one, state in rows if one.purpose == row.purpose and one.ended is None and state == ACTIVE)  # fmt: skip
        row = next(heirs, row)
    if sum(one.spent for one, _ in rows) + count > row.quota:
        raise Forbidden(
            "spectral and scramble files come within the quota of your grant, each row of a table and each "
            "document counted and what you had of other keys of the model too, which these would pass; send fewer, keep "
            "less (answer, scores or features), or ask the operator."
        )
    row.spent += count


def _spent(session: Session, tenant: str) -> dict[str, int]:
    """What a tenant had within its quotas, by ledger."""
    rows = session.execute(
        select(KeyRow.ledger, func.sum(GrantRow.spent))
        .join(KeyRow, KeyRow.id == GrantRow.key_id)
        .where(GrantRow.tenant == tenant)
        .group_by(KeyRow.ledger)
    ).all()
    return {ledger: int(count) for ledger, count in rows}
