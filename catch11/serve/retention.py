"""Retention: which jobs there are, which are kept no longer, and taking one away."""

from sqlalchemy import select

from catch11.serve.jobs import ENDED, OPEN
from catch11.serve.store import Store
from catch11.serve.tables import JobRow, PartRow


def known(store: Store) -> set[str]:
    """All jobs."""
    with store.reading() as session:
        return set(session.scalars(select(JobRow.id)))


def stale(store: Store, before: float) -> list[str]:
    """Jobs that ended, or were left open, before a time."""
    with store.begin() as session:
        rows = select(JobRow.id).where(JobRow.updated < before, JobRow.state.in_((*ENDED, OPEN)))
        return list(session.scalars(rows))


def forget(store: Store, job: str, *, state: str | None = None) -> bool:
    """Take a job's rows away; the audit log keeps its lines. False where there are none, or it is in
    another state than the one given."""
    with store.begin() as session:
        row = session.get(JobRow, job, with_for_update=True)
        if row is None or state not in (None, row.state):
            return False
        for part in session.scalars(select(PartRow).where(PartRow.job_id == job)):
            session.delete(part)
        session.flush()
        session.delete(row)
        return True
