"""Jobs: from open (takes parts) over queued and running to done, failed or cancelled; `turns` has what workers do.

Every step is one transaction that demands the state it starts from, so that no step is taken twice:
not by two threads, and not before and after a crash.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catch11.serve.asks import Ask
from catch11.serve.audit import note
from catch11.serve.grants import Granted, find_grant, spend
from catch11.serve.refusals import Refused, Revoked, Unknown
from catch11.serve.store import Store
from catch11.serve.tables import JobRow, KeyRow, PartRow
from catch11.serve.tokens import Bearer
from catch11.serve.uploads import Stored
from catch11.serve.vault import REVOKED

OPEN, QUEUED, RUNNING = "open", "queued", "running"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)
_LIVE = (OPEN, QUEUED, RUNNING)
_OTHER = (
    "Idempotency-Key: expected the same request as the one that it was first given with, found other files "
    "or another ask; give each request a key of its own."
)
Sent = tuple[str, str]
"""The name of a file and the SHA-256 of its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a part: released (with its file and that file's SHA-256), withheld or skipped."""

    name: str
    outcome: str
    file: str = ""
    sha256: str = ""
    reason: str = ""


def new_id() -> str:
    """The id of a job to be."""
    return secrets.token_hex(12)


def create(
    store: Store, who: Bearer, ask: Ask, *, again: str | None = None, parts: Sequence[Sent] = (),
    busy: int, name: str | None = None,
) -> tuple[str, bool]:  # fmt: skip
    """The id of a new job, or of that of the same request asked before; whether it is new.

    again: the client's name of the request. parts: its files, where they come with it. Raises Refused where
    that name stands for another request, Forbidden.
    """
    name, asked = name or new_id(), _digest(ask, parts) if again is not None else None
    try:
        with store.begin() as session:
            if again is not None:
                same = (JobRow.tenant == who.tenant, JobRow.again == again)
                if (known := session.scalar(select(JobRow).where(*same))) is not None:
                    if known.asked != asked:
                        raise Refused(_OTHER, status=409)
                    return known.id, False
            granted = admitted(session, who, ask, busy=busy)
            row = job_row(name, who, ask, granted, state=OPEN)
            row.again, row.asked = again, asked
            session.add(row)
            noted(store, session, "job create", who.tenant, who.token, granted.key, name)
    except IntegrityError:  # the same request at the same moment
        if again is None:
            raise
        return create(store, who, ask, again=again, parts=parts, busy=busy)
    return name, True


def _digest(ask: Ask, parts: Sequence[Sent]) -> str:
    said = [ask.model_dump(), *parts]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def admitted(session: Session, who: Bearer, ask: Ask, *, busy: int, waiting: int = 0) -> Granted:
    """What a request stands on, once there is room for it. waiting: requests of this token that are no
    jobs. Raises Refused, Forbidden."""
    _check_room(session, who, busy, waiting)
    return find_grant(
        session, who.tenant, key=ask.key, purpose=ask.purpose, keep=ask.keep, method=ask.method
    )


def job_row(
    name: str, who: Bearer, ask: Ask, granted: Granted, *, state: str, total: int = 0
) -> JobRow:
    """A job in some state."""
    return JobRow(
        id=name, tenant=who.tenant, key_id=granted.key, grant_id=granted.id, token_id=who.token,
        ask=json.dumps(facts_of(ask, granted)), state=state, total=total, done=total, error="",
        again=None, asked=None, created=time.time(), updated=time.time(),
    )  # fmt: skip


def facts_of(ask: Ask, granted: Granted) -> dict[str, Any]:
    """What was asked, with what the grant made of it."""
    facts = ask.model_dump(exclude={"key", "purpose"}, exclude_defaults=True)
    return facts | {"keep": granted.keep, "method": granted.method, "purpose": granted.purpose, "counted": granted.counted}  # fmt: skip


def own(session: Session, tenant: str, job: str) -> JobRow:
    """A tenant's job, which no other transaction changes meanwhile. Raises Unknown for another's as for none."""
    row = session.get(JobRow, job, with_for_update=True)
    if row is None or row.tenant != tenant:
        raise Unknown("job", job)
    return row


def open_job(store: Store, tenant: str, job: str) -> tuple[str, int, int]:
    """The kind of data, number and bytes of the parts so far, of a job that takes parts. Raises Refused."""
    with store.begin() as session:
        row = own(session, tenant, job)
        _check_open(row.state)
        key = session.get_one(KeyRow, row.key_id)
        if key.state == REVOKED:
            raise Revoked(key.name)
        parts = select(func.count(), func.coalesce(func.sum(PartRow.size), 0))
        count, size = session.execute(parts.where(PartRow.job_id == job)).one()
        return key.modality, int(count), int(size)


def _check_open(state: str) -> None:
    if state != OPEN:
        raise Refused(f"the job is {state} and takes no more files; make a new one.", status=409)


def state_of(store: Store, job: str) -> str | None:
    """The state of a job; None where there is none."""
    with store.reading() as session:
        row = session.get(JobRow, job)
        return None if row is None else row.state


def add_part(store: Store, job: str, part: Stored) -> None:
    """Note a part that lies on the disk. Raises Refused for the same name with other bytes, and where the job was
    started meanwhile."""
    with store.begin() as session:
        row = session.get(JobRow, job, with_for_update=True)  # the same part may come twice at once
        same = select(PartRow).where(PartRow.job_id == job, PartRow.name == part.name)
        known = session.scalar(same)
        if known is not None:
            if known.sha256 != part.sha256:
                raise Refused(
                    f"{part.name[:60]}: the job has a file of this name already.", status=409
                )
            return
        _check_open(row.state if row is not None else CANCELLED)
        session.add(
            PartRow(job_id=job, name=part.name, sha256=part.sha256, size=part.size, outcome="", file="", released="", reason="")
        )  # fmt: skip


def submit(store: Store, tenant: str, job: str) -> None:
    """No more parts: the job waits for its turn. Said twice it is the same. Raises Refused, Forbidden."""
    with store.begin() as session:
        row = own(session, tenant, job)
        if row.state != OPEN:
            if row.state in (QUEUED, RUNNING, DONE):
                return
            raise Refused(f"the job is {row.state}; make a new one.", status=409)
        count = session.scalar(select(func.count()).where(PartRow.job_id == job)) or 0
        if not count:
            raise Refused("the job has no files; upload some, then start it.", status=409)
        if json.loads(row.ask)["counted"]:
            spend(session, row.grant_id, count)
        row.state, row.total, row.updated = QUEUED, count, time.time()
        noted(
            store, session, "job start", tenant, row.token_id, row.key_id, f"{job}: {count} files"
        )


def cancel(store: Store, tenant: str, job: str) -> None:
    """End a job that is not done; a worker notices at the next file."""
    with store.begin() as session:
        row = own(session, tenant, job)
        if row.state in _LIVE:
            row.state, row.updated = CANCELLED, time.time()
            noted(store, session, "job cancel", tenant, row.token_id, row.key_id, job)


def handed_out(store: Store, who: Bearer, job: str, action: str) -> None:
    """Note that a job's files leave. Raises unless they may: it is the tenant's, done, and its key not revoked."""
    with store.begin() as session:
        row = own(session, who.tenant, job)
        key = session.get_one(KeyRow, row.key_id)
        if key.state == REVOKED:
            raise Revoked(key.name)
        if row.state != DONE:
            raise Refused(
                f"the job is {row.state}; its files can be had when it is done.", status=409
            )
        noted(store, session, action, who.tenant, who.token, row.key_id, job)


def _check_room(session: Session, who: Bearer, busy: int, waiting: int) -> None:
    counts = func.count(), func.count().filter(JobRow.token_id == who.token)
    live, mine = session.execute(select(*counts).select_from(JobRow).where(JobRow.state.in_(_LIVE))).one()  # fmt: skip
    if mine + waiting >= who.limits.concurrent:
        raise Refused(
            f"this token has {who.limits.concurrent} jobs that are not done, as many as it may; wait or cancel one.",
            status=429, wait=5.0,
        )  # fmt: skip
    if live >= busy:
        raise Refused(
            "the gateway has all the jobs it takes; come back later.", status=503, wait=30.0
        )


def noted(store: Store, session: Session, action: str, tenant: str, token: str, key: str, detail: str) -> None:  # fmt: skip
    """A line of the audit log about a key, by its id."""
    named = session.get_one(KeyRow, key).fingerprint
    note(store, session, action, tenant=tenant, token=token, key=named, detail=detail)
