"""What an assault is given, and what a kind of data makes of it: materials, juries, their facts."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from catch11.attacks.effort import Effort
from catch11.attacks.frame import Jury, Knowledge, Material
from catch11.copies.seal import SealSecret
from catch11.errors import InvalidArgument
from catch11.evaluation.conditions import Given
from catch11.evaluation.verification import Verification
from catch11.keys.key import Key
from catch11.recoding.frame import Recoder
from catch11.releases.read import Release

Folder = str | os.PathLike[str]
_LICENSED: frozenset[Knowledge] = frozenset({"weights", "front"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A release, and all that is given beside it; see `attack_release`. models: by name, the
    authorized one first where it is there. copy: the secret of the copy that the release is sealed for; opened:
    whether its files are attacked as that copy opens them, by its licensee."""

    dst: Path
    release: Release
    models: Mapping[str, Any]
    model: Any
    rivals: Sequence[Any]
    copy: SealSecret | None = None
    opened: bool = False
    source: Path | None = None
    ledger: Path | None = None
    key: Key | None = None
    recoder: Recoder | None = None
    labels: Given = None
    target: str | None = None
    question: str | None = None
    public: Folder | None = None
    others: Sequence[Folder] = ()
    learn: Folder | None = None
    effort: Effort
    command: str | None = None

    @property
    def beside(self) -> str:
        """What tells records of a question from those of the release itself; empty without one."""
        return f", asked {self.question}" if self.question else ""

    @property
    def sealed(self) -> bool:
        """Whether the release is for a sealed copy."""
        return bool(self.release.facts.get("sealed"))

    def holds(self, knowledge: frozenset[Knowledge]) -> bool:
        """Whether attacks that know this much attack these files. Of sealed ones, where they can be opened,
        the licensee attacks what its copy opens, who holds the authorized model and its front, and
        third parties the files as they are."""
        if self.copy is None:
            return True
        return bool(knowledge & _LICENSED) if self.opened else "weights" not in knowledge

    def read(self, windows: Tensor) -> Tensor:
        """Windows of files (batch, channel, height, width) as those who attack find them."""
        return self.copy.opened(windows) if self.copy is not None and self.opened else windows

    def verified(
        self, verify: Callable[..., Verification], **more: object
    ) -> Callable[[], Verification]:
        """A verification of the same release by the same models, for later. more: of what it takes."""
        return partial(
            verify, self.dst, self.model, rivals=self.rivals, source=self.source,
            ledger=self.ledger, command=self.command, **more,
        )  # fmt: skip

    def needed(self, *names: str) -> None:
        """Raises InvalidArgument where one of these was not given."""
        for name in names:
            if not getattr(self, name):
                expected = (
                    "at least one model" if name == "rivals" else "it, to attack this release"
                )
                raise InvalidArgument(name, expected=expected, found="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """One set of items under attack. of: what they are, where a scene has several."""

    material: Material
    jury: Jury
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything an assault works with. stands: the release, and what is attacked beside it to compare;
    all hold the same knowledge. count: items under attack; unit: what they are. learned: items that
    labelled and paired attackers learn from. plain: whether the items as they are stand as scores
    without an attack. kept_out: by knowledge or attack, why something that was given is not used.
    verify: the same items without an attack, by every model; digest: of all that depends on."""

    stands: tuple[Stand, ...]
    count: int
    verify: Callable[[], Verification]
    digest: str
    unit: str = "images"
    learned: int = 0
    plain: bool = False
    kept_out: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def material(self) -> Material:
        """Of the release."""
        return self.stands[0].material

    @property
    def public(self) -> int:
        """Public items that attackers hold."""
        return 0 if self.material.public is None else len(self.material.public)
