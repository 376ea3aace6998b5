"""What a tenant, and the meters, may know of jobs."""

import json
from typing import Any

from sqlalchemy import func, select

from catch11.serve.jobs import own
from catch11.serve.store import Store
from catch11.serve.tables import JobRow, KeyRow, PartRow


def view(store: Store, tenant: str, job: str, *, parts: bool = True) -> dict[str, Any]:
    """What a tenant may know of a job."""
    with store.reading() as session:
        row = own(session, tenant, job)
        name = session.get_one(KeyRow, row.key_id).name
        found = session.scalars(select(PartRow).where(PartRow.job_id == job).order_by(PartRow.id)) if parts else ()  # fmt: skip
        return _facts(row, name) | {"parts": [_part(part) for part in found]}


def views(store: Store, tenant: str, *, most: int = 200) -> list[dict[str, Any]]:
    """A tenant's jobs, the newest first, without their parts."""
    with store.reading() as session:
        rows = session.execute(
            select(JobRow, KeyRow.name)
            .join(KeyRow, KeyRow.id == JobRow.key_id)
            .where(JobRow.tenant == tenant)
            .order_by(JobRow.created.desc())
            .limit(most)
        ).all()
        return [_facts(row, name) for row, name in rows]


def waiting(store: Store) -> dict[str, int]:
    """How many jobs there are in each state."""
    with store.reading() as session:
        rows = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state)).all()
        return {state: int(count) for state, count in rows}


def _facts(row: JobRow, key: str) -> dict[str, Any]:
    ask = json.loads(row.ask)
    return {
        "id": row.id, "state": row.state, "key": key, "keep": ask["keep"], "purpose": ask["purpose"],
        "total": row.total, "done": row.done, "error": row.error, "created": row.created,
        "updated": row.updated,
    }  # fmt: skip


def _part(row: PartRow) -> dict[str, Any]:
    return {
        "name": row.name, "source_sha256": row.sha256, "outcome": row.outcome, "file": row.file,
        "sha256": row.released, "reason": row.reason,
    }  # fmt: skip
