"""What the operator sets of a gateway, and where its files lie."""

import os
from dataclasses import dataclass
from pathlib import Path

from catch11.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """home: folder of jobs and ledgers. workers: jobs at a time. threads: of the engine within one; what
    suits the recoder unless given. body: bytes of any request. slow: seconds in which a client must send
    something. slot: seconds before which no answer to POST /v1/recode leaves. wait:
    seconds that such a request may take. retain: hours that a finished job is kept. busy: jobs that may
    wait in all.
    """

    home: Path
    workers: int = 1
    threads: int | None = None
    body: int = 4 << 30
    slow: float = 30.0
    slot: float = 0.1
    wait: float = 600.0
    retain: float = 24.0
    busy: int = 10_000

    def __post_init__(self) -> None:
        for name in ("workers", "body", "slow", "slot", "wait", "retain", "busy"):
            if getattr(self, name) <= 0:
                raise InvalidArgument(name, expected="above 0", found=getattr(self, name))


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one job."""

    root: Path

    @property
    def source(self) -> Path:
        """What was uploaded."""
        return self.root / "source"

    @property
    def release(self) -> Path:
        """What the engine writes."""
        return self.root / "release"

    @property
    def ledger(self) -> Path:
        """Which source became which file, without what was measured."""
        return self.root / "ledger.jsonl"

    @property
    def bundle(self) -> Path:
        """The release in one file."""
        return self.root / "release.zip"


def job_place(home: Path, job: str) -> Place:
    """Where a job's files lie."""
    return Place(home / "jobs" / job)


def ledger_of(home: Path, tenant: str, ledger: str) -> Path:
    """The private list of all that a tenant had of the keys of a model: no two strengths of one source, ever."""
    folder = home / "ledgers"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{tenant}.{ledger}.jsonl"


def make_private(path: Path) -> Path:
    """A folder that its owner alone may look into."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(path, 0o700)
    return path
