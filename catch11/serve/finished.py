"""Finished: a request that was worked off before it was a job; noted with others in one transaction."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.orm import Session

from catch11.serve import jobs
from catch11.serve.asks import Ask
from catch11.serve.audit import note_all
from catch11.serve.grants import Granted, spend
from catch11.serve.refusals import Forbidden, Revoked
from catch11.serve.store import Store
from catch11.serve.tables import KeyRow, PartRow
from catch11.serve.tokens import Bearer
from catch11.serve.uploads import Stored
from catch11.serve.vault import REVOKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What was asked and what became of it. kept: whether it is a job from now on, whose files can be had
    again. key: its name."""

    id: str
    who: Bearer
    ask: Ask
    granted: Granted
    parts: Sequence[Stored]
    outcomes: Sequence[jobs.Outcome]
    kept: bool
    key: str

    def to_dict(self) -> dict[str, Any]:
        """As `listing.view` says it of a job."""
        now, count = time.time(), len(self.parts)
        parts = [
            {"source_sha256": part.sha256, **asdict(found)}
            for part, found in zip(self.parts, self.outcomes, strict=True)
        ]
        return {
            "id": self.id, "state": jobs.DONE, "key": self.key, "keep": self.granted.keep,
            "purpose": self.granted.purpose, "total": count, "done": count, "error": "",
            "created": now, "updated": now, "parts": parts,
        }  # fmt: skip


@runtime_checkable
class Asked(Protocol):
    """What is noted of a request."""

    @property
    def id(self) -> str:
        """As of a job."""

    @property
    def who(self) -> Bearer:
        """Who asks."""

    @property
    def granted(self) -> Granted:
        """What it stands on."""

    @property
    def parts(self) -> Sequence[Stored]:
        """Its files."""


def afford(store: Store, key: str, some: Sequence[Asked]) -> dict[str, Forbidden]:
    """Take the files of requests from their grants' quotas, before anything is made of them. Those that a
    quota does not reach are refused, by their ids. key: its fingerprint."""
    refused: dict[str, Forbidden] = {}
    if not any(one.granted.counted for one in some):
        return refused
    with store.begin() as session:
        for grant in {one.granted.id for one in some}:
            mine = [one for one in some if one.granted.id == grant]
            with suppress(Forbidden):  # all together, or else one after the other
                spend(session, grant, sum(len(one.parts) for one in mine))
                continue
            for one in mine:
                try:
                    spend(session, grant, len(one.parts))
                except Forbidden as error:
                    refused[one.id] = error
        lines = [_line(one, key, "recode refused") for one in some if one.id in refused]
        note_all(store, session, lines)
    return refused


def record(store: Store, key: str, some: Sequence[Finished]) -> None:
    """Note what was done with a key: jobs, a line of the log each. Raises Revoked where the key was revoked
    meanwhile: nothing is noted then, and nothing may go out.
    """
    with store.begin() as session:
        row = session.get_one(KeyRow, key)
        if row.state == REVOKED:
            raise Revoked(row.name)
        for one in some:
            if one.kept:
                _add(session, one)
        note_all(store, session, [_line(one, row.fingerprint, "recode") for one in some])


def _add(session: Session, one: Finished) -> None:
    session.add(jobs.job_row(one.id, one.who, one.ask, one.granted, state=jobs.DONE, total=len(one.parts)))  # fmt: skip
    session.flush()
    for part, found in zip(one.parts, one.outcomes, strict=True):
        session.add(
            PartRow(
                job_id=one.id, name=part.name, sha256=part.sha256, size=part.size, outcome=found.outcome,
                file=found.file, released=found.sha256, reason=found.reason,
            )
        )  # fmt: skip


def _line(one: Asked, key: str, action: str) -> dict[str, str]:
    return {
        "tenant": one.who.tenant, "token": one.who.token, "key": key, "action": action,
        "detail": f"{one.id}: {len(one.parts)} files",
    }  # fmt: skip
