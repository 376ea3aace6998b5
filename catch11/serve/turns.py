"""A job in a worker's hands: from queued over running to done or failed, and back after a stop.

Every step is one transaction that demands the state it starts from; see `jobs`.
"""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from catch11.serve.grants import spend
from catch11.serve.jobs import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Outcome, noted
from catch11.serve.store import Store
from catch11.serve.tables import JobRow, KeyRow, PartRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job as a worker needs it. ledger: the id of that of its key. ask: with keep and method as the grant gave them."""

    id: str
    tenant: str
    key: str
    ledger: str
    token: str
    ask: dict[str, Any]


def claim(store: Store, *, busy: Collection[tuple[str, str]] = ()) -> Work | None:
    """The next job, now running. busy: (tenant, ledger) that another job writes."""
    with store.begin() as session:
        rows = session.execute(
            select(JobRow, KeyRow.ledger)
            .join(KeyRow, KeyRow.id == JobRow.key_id)
            .where(JobRow.state == QUEUED)
            .order_by(JobRow.created)
            .limit(len(busy) * 64 + 8)
        ).all()
        for row, ledger in rows:
            if (row.tenant, ledger) not in busy and _step(session, row.id, QUEUED, RUNNING):
                return Work(id=row.id, tenant=row.tenant, key=row.key_id, ledger=ledger, token=row.token_id, ask=json.loads(row.ask))  # fmt: skip
    return None


def progress(store: Store, job: str, done: int) -> str:
    """Note how far a job is; its state, which another may have changed: of one that was deleted, cancelled."""
    with store.begin() as session:
        row = session.get(JobRow, job, with_for_update=True)
        if row is None:
            return CANCELLED
        if row.state == RUNNING:
            row.done, row.updated = min(done, row.total), time.time()
        return row.state


def count(store: Store, work: Work, items: int) -> None:
    """Take the rows or documents that a job holds beyond its files, which counted when they were sent, from the
    quota: once, however often it is taken up. Raises Forbidden, before any work, where that does not reach."""
    with store.begin() as session:
        job = session.get_one(JobRow, work.id)
        ask = json.loads(job.ask)
        more = items - max(job.total, ask.get("items", 0))
        if more > 0:
            spend(session, job.grant_id, more)
            job.ask = json.dumps(ask | {"items": items})


def finish(store: Store, work: Work, outcomes: Sequence[Outcome]) -> bool:
    """From running to done, with what became of its parts; False if it was not running any more."""
    with store.begin() as session:
        if not _step(session, work.id, RUNNING, DONE):
            return False
        held = {
            row.name: row
            for row in session.scalars(select(PartRow).where(PartRow.job_id == work.id))
        }
        for one in outcomes:
            row, facts = held[one.name], (one.outcome, one.file, one.sha256, one.reason)
            row.outcome, row.file, row.released, row.reason = facts
        job = session.get_one(JobRow, work.id)
        job.done = job.total
        detail = f"{work.id}: {len(outcomes)} files"
        noted(store, session, "job done", work.tenant, work.token, work.key, detail)
        return True


def queued(store: Store, tenant: str, ledger: str) -> bool:
    """Whether a job of this tenant and ledger waits for its turn."""
    with store.reading() as session:
        mine = (JobRow.state == QUEUED, JobRow.tenant == tenant, KeyRow.ledger == ledger)
        found = select(JobRow.id).join(KeyRow, KeyRow.id == JobRow.key_id).where(*mine).limit(1)
        return session.scalar(found) is not None


def fail(store: Store, work: Work, sentence: str) -> None:
    """From running to failed, with one sentence."""
    with store.begin() as session:
        if _step(session, work.id, RUNNING, FAILED):
            session.get_one(JobRow, work.id).error = sentence
            noted(store, session, "job failed", work.tenant, work.token, work.key, work.id)


def recover(store: Store) -> int:
    """After a stop: what was running waits again. The engine finds what was finished; how many there were."""
    with store.begin() as session:
        done = session.execute(update(JobRow).where(JobRow.state == RUNNING).values(state=QUEUED))
        return int(done.rowcount)  # type: ignore[attr-defined]


def _step(session: Session, job: str, start: str, end: str) -> bool:
    done = session.execute(
        update(JobRow)
        .where(JobRow.id == job, JobRow.state == start)
        .values(state=end, updated=time.time())
    )
    return bool(done.rowcount == 1)  # type: ignore[attr-defined]
