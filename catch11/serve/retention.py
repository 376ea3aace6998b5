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


def forget(store: Store, job: str) -> None:
    """Take a job's rows away; the audit log keeps its lines."""
    with store.begin() as session:
        for part in session.scalars(select(PartRow).where(PartRow.job_id == job)):
            session.delete(part)
        session.flush()
        session.delete(session.get_one(JobRow, job))
