"""The audit log: one line a request that touched a key, each bound to the line before it.

mac = HMAC-SHA-256(subkey of the data key, previous mac and the line). Who can write to the database and has
not the master secret can neither change, remove nor swap a line unseen, nor all of them: the head is there from the beginning. What cannot show is a
whole older copy of the database put back: note the number of lines elsewhere.
"""

import hmac
import json
import time
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from catch11.errors import Catch11Error
from catch11.serve.store import Store, audit_mac, head_mac
from catch11.serve.tables import AuditHead, AuditRow

_DETAIL = 400  # characters


def note(
    store: Store, session: Session, action: str, *, tenant: str = "", token: str = "",
    key: str = "", detail: str = "",
) -> None:  # fmt: skip
    """Add a line in the transaction of what it tells of: both stand, or neither."""
    facts = {"tenant": tenant, "token": token, "key": key, "action": action, "detail": detail}
    note_all(store, session, [facts])


def note_all(store: Store, session: Session, lines: Sequence[Mapping[str, str]]) -> None:
    """Add lines, as `note` does each."""
    if not lines:
        return
    head = session.scalar(select(AuditHead).where(AuditHead.id == 1).with_for_update())
    if head is None:  # a new one would fit the lines that follow
        raise LostHead
    previous = _last(session, head.number)
    for line in lines:
        detail = line["detail"][:_DETAIL]
        row = AuditRow(**{**line, "detail": detail}, number=head.number + 1, at=round(time.time(), 3), mac="")  # fmt: skip
        row.mac = previous = _mac(store, row, previous)
        session.add(row)
        head.number = row.number
    head.mac = head_mac(store.data_key, head.number, previous)
    session.flush()


class LostHead(Catch11Error, RuntimeError):
    """What cannot be noted is not done."""

    def __init__(self) -> None:
        super().__init__(
            "the audit log: expected the head that was written when the vault was made, found none; put the "
            "database back from a copy."
        )


def check(store: Store) -> tuple[int, str]:
    """How many lines hold, and what is wrong with the first that does not ("" where all do)."""
    with store.begin() as session:
        head = session.get(AuditHead, 1)
        rows = session.scalars(select(AuditRow).order_by(AuditRow.number))
        previous, count = "", 0
        for row in rows:
            if row.number != count + 1:
                return count, f"line {count + 1} was removed"
            if not hmac.compare_digest(row.mac, _mac(store, row, previous)):
                return count, f"line {row.number} was changed, or is not the line that stood there"
            previous, count = row.mac, count + 1
    if head is None:
        return (
            count,
            "the head of the log, written when the vault was made, was removed, and maybe lines with it",
        )
    if head.number != count:
        return count, f"lines after {count} were removed: {head.number} were written"
    if not hmac.compare_digest(head.mac, head_mac(store.data_key, count, previous)):
        return count, "the count of lines was changed"
    return count, ""


def rechain(store: Store, session: Session) -> None:
    """Chain a log that was found whole anew, under another data key."""
    previous, count = "", 0
    for row in session.scalars(select(AuditRow).order_by(AuditRow.number)):
        row.mac = previous = _mac(store, row, previous)
        count = row.number
    session.get_one(AuditHead, 1).mac = head_mac(store.data_key, count, previous)
    session.flush()


def _last(session: Session, number: int) -> str:
    row = session.get(AuditRow, number) if number else None
    return "" if row is None else row.mac


def _mac(store: Store, row: AuditRow, previous: str) -> str:
    facts = [row.number, row.at, row.tenant, row.token, row.key, row.action, row.detail, previous]
    return audit_mac(store.data_key, "line", json.dumps(facts))
