"""What a chunk of sources is worked off with, and what became of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catch11.canvas.frame import Canvas
from catch11.releases.ledger import Ledger, Row
from catch11.releases.pipeline import Pipeline
from catch11.releases.places import Places

TWICE = "released before with other settings"  # why a second strength is withheld
OTHERWISE = "released before, and this machine does not make the same file of it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one source. parts: rows of what it is made of. temporary: the finished file,
    still without its name; None if nothing is to be placed, because nothing was released or the
    file stands already. data: its bytes, where files are not written. counts: see `Draft`."""

    row: Row
    parts: Sequence[Row] = ()
    temporary: Path | None = None
    data: bytes | None = None
    reused: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Everything the work on a chunk needs; read only. settings: id of the recoder's. check: the
    model that checks, if any. strict: whether a second strength of a known source stops the release;
    else that source is withheld, and so is one of which another file was released before. on_disk:
    whether finished files are written; else their bytes are handed back."""

    places: Places
    pipeline: Pipeline[Any, Any]
    canvas: Canvas
    ledger: Ledger
    settings: str
    check: Any = None
    strict: bool = True
    on_disk: bool = True

    @property
    def checked(self) -> str:
        """The fingerprint of the model that checks, or empty."""
        return "" if self.check is None else str(self.check.fingerprint)
