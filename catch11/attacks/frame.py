"""The frame of every attack: it says what an attacker knows, hands over only that, and judges.

A variant yields attempts: items restored, a trained classifier, or what it read off the items. It
never sees a clean item of what it attacks, and never grades itself. Items are what the release's kind
of data has: windows, rows, documents.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, ClassVar, Literal, Protocol, final, get_args, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.attacks.pace import COSTS, Cost
from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument
from catch11.evaluation.classes import same_classes
from catch11.evaluation.score import Measured
from catch11.fronts.front import Front
from catch11.kinds import IMAGE, KINDS, named
from catch11.models.frame import Model
from catch11.subspaces.tiles import Subspace

Knowledge = Literal[
    "released", "others", "public", "front", "labels", "pairs", "key-queries", "table", "weights"
]
Items = Any  # windows in pixel units, standardised rows, or documents
Windows = Float[Tensor, "_ channel height width"]
Classify = Callable[[Tensor], Tensor]


@runtime_checkable
class Pieces(Protocol):
    """How items fall into rows of numbers, and are put together again."""

    def cut(self, items: Any) -> Tensor:
        """Items as (item, piece, number), float64."""

    def paste(self, pieces: Tensor, like: Any) -> Any:
        """Pieces back to items; what no piece covers is taken from `like`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What an attacker holds; None where it does not.

    released: what is attacked. others: further releases of the same items, in the same order. public:
    clean items besides. front, subspace: the authorized model's. labelled: other released items with
    their labels. classes: what those are indices of, where they have names. pairs: other items, clean and released. query: what the data owner's recoder answers
    on items of the attacker's. table: the authorized model's public table of words. weights: the
    authorized model itself. rivals: the attacker's models, by name. couples: released items two by
    two, whose likeness is to be read. pieces: how items fall into rows of so many numbers, or of as
    many as is usual.
    """

    canvas: Canvas
    released: Items
    rivals: Mapping[str, Model] = field(default_factory=dict)
    others: tuple[Items, ...] | None = None
    public: Items | None = None
    front: Front | None = None
    subspace: Subspace | None = None
    labelled: tuple[Items, Int[Tensor, " batch"]] | None = None
    classes: tuple[str, ...] = ()
    pairs: tuple[Items, Items] | None = None
    query: Callable[[Tensor], Tensor] | None = None
    table: Float[Tensor, "word feature"] | None = None
    weights: Any = None
    couples: tuple[Items, Items] | None = None
    pieces: Callable[[int | None], Pieces] | None = None

    @property
    def knowledge(self) -> frozenset[Knowledge]:
        """What is there."""
        return frozenset(name for name, place in HELD.items() if getattr(self, place) is not None)

    def lessons(self, rival: Model) -> tuple[Items, Int[Tensor, " batch"]]:
        """The labelled items, with a rival's own indices, which must have the same classes."""
        assert self.labelled is not None
        assert self.teaches(rival)
        items, labels = self.labelled
        classes = same_classes(self.classes, rival.labels) if self.classes else None
        return items, labels if not classes else torch.tensor(classes)[labels]

    def teaches(self, rival: Model) -> bool:
        """Whether a rival can learn from what labels there are: they are of classes that it has."""
        return not (self.labelled and self.classes) or (
            same_classes(self.classes, rival.labels) is not None
        )

    def cut(self, knowledge: frozenset[Knowledge]) -> "Material":
        """Only that much of it; the rest is None."""
        hidden = {place for name, place in HELD.items() if name not in knowledge}
        if "front" not in knowledge:
            hidden.add("subspace")
        return replace(self, **dict.fromkeys(hidden))  # type: ignore[arg-type]


# The field of the material that holds each knowledge.
HELD: Mapping[Knowledge, str] = {
    **{name: name for name in get_args(Knowledge)},
    "labels": "labelled",
    "key-queries": "query",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """One try. restored: the released items as they may have been; or classify: items to logits, of a
    classifier trained on top of the named rival, judged on the released items as they are, or on
    clean ones where `on` says so; or logits: such a classifier's answers to the released items; or read:
    what was read off the items without a rival. cut: its training ran out of time, as the setting
    says."""

    setting: str
    restored: Items | None = None
    classify: Classify | None = None
    logits: Tensor | None = None
    read: Any = None
    rival: str | None = None
    on: Literal["released", "clean"] = "released"
    cut: bool = False

    def __post_init__(self) -> None:
        held = (self.restored, self.classify, self.logits, self.read)
        if sum(one is not None for one in held) != 1:
            raise InvalidArgument(
                "attempt", expected="restored items, a classifier, or something read",
                found="none or several of them",
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The best of an attack's tries against one rival. measures: under `setting`, the best by the
    first measure of `tries` settings on these same items, which favours the attacker. cut: of those,
    the tries whose training ran out of time and might have done better. psnr, ssim: mean against the
    clean items, None where there are none."""

    attack: str
    knowledge: tuple[str, ...]
    rival: str
    setting: str
    measures: tuple[Measured, ...]
    tries: int
    psnr: float | None = None
    ssim: float | None = None
    cut: int = 0

    @property
    def hits(self) -> tuple[bool, ...]:
        """One an item, where the first measure is a share."""
        return self.measures[0].hits

    @property
    def worth(self) -> float:
        """By what tries are compared."""
        return self.measures[0].value.estimate


class Jury(ABC):
    """Judges attempts by what the items were before. rivals: names of those that each is judged with."""

    rivals: Mapping[str, Any]

    @abstractmethod
    def measures(self, name: str, attempt: Attempt) -> tuple[Measured, ...]:
        """What an attempt gets with the named rival, the deciding measure first."""

    @abstractmethod
    def held(self) -> tuple[object, ...]:
        """All that its measures depend on besides the attempt and the rivals."""

    def quality(self, attempt: Attempt) -> tuple[float | None, float | None]:
        """Mean PSNR in dB, peak 1, and mean SSIM of restored items against the clean ones."""
        return None, None


def check_knowledge(name: str, needed: frozenset[Knowledge], material: Material) -> None:
    """Raises InvalidArgument where the material lacks what the attack of that name needs."""
    missing = needed - material.knowledge
    if missing:
        raise InvalidArgument(
            f"attack {name}",
            expected="an attacker who holds " + ", ".join(sorted(needed)),
            found="without " + ", ".join(sorted(missing)),
        )


class Attack(ABC):
    """An attack with its settings. Subclasses are registered by name and yield attempts.

    modalities: the kinds of data it works on. title: what records call it, where one name stands for
    several ways of knowing. stated: how records state its knowledge. cost: how long it takes, which
    decides when it runs.
    """

    name: ClassVar[str]
    cost: ClassVar[Cost]
    knowledge: ClassVar[frozenset[Knowledge]]
    modalities: ClassVar[frozenset[str]] = frozenset({IMAGE})
    title: ClassVar[str | None] = None
    stated: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        """Attempts, one after the other; what is not in `knowledge` is None in the material."""

    def unfit(self, material: Material) -> str:
        """Why what is there does not do, though its knowledge is; empty where it does."""
        return ""

    @final
    def __call__(
        self,
        material: Material,
        jury: Jury,
        *,
        seed: int = 0,
        progress: Callable[[str], None] | None = None,
    ) -> tuple[Finding, ...]:
        """The best attempt against each rival. Raises InvalidArgument where knowledge is missing.

        seed: of the attack's own randomness. progress: called with each setting tried.
        """
        check_knowledge(self.name, self.knowledge, material)
        generator = torch.Generator().manual_seed(seed)
        stated = tuple(sorted(self.knowledge)) if self.stated is None else self.stated
        best: dict[str, tuple[Finding, Attempt]] = {}
        for attempt in self.run(material.cut(self.knowledge), generator=generator):
            self._check(attempt, material)
            names = list(jury.rivals) if attempt.rival is None else [attempt.rival]
            for name in names:
                before = best[name][0] if name in best else None
                finding = Finding(
                    attack=self.title or self.name,
                    knowledge=stated,
                    rival=name,
                    setting=attempt.setting,
                    measures=jury.measures(name, attempt),
                    tries=1 + (before.tries if before else 0),
                    cut=attempt.cut + (before.cut if before else 0),
                )
                if before is None or finding.worth > before.worth:
                    best[name] = finding, attempt
                else:
                    kept = replace(before, tries=finding.tries, cut=finding.cut)
                    best[name] = kept, best[name][1]
            if progress is not None:
                progress(attempt.setting)
        # The similarity of pictures takes longer than an answer, so it is measured of the best only.
        return tuple(
            replace(finding, psnr=psnr_, ssim=ssim_)
            for finding, attempt in best.values()
            for psnr_, ssim_ in [jury.quality(attempt)]
        )

    def _check(self, attempt: Attempt, material: Material) -> None:
        if attempt.restored is not None and attempt.restored.shape != material.released.shape:
            raise InvalidArgument(
                f"attack {self.name}",
                expected=f"items {tuple(material.released.shape)}",
                found=tuple(attempt.restored.shape),
            )


_ATTACKS: dict[str, type[Attack]] = {}


def register(attack: type[Attack]) -> type[Attack]:
    """Decorator: list an attack under its name, once; its knowledge must be of known kinds."""
    assert attack.name not in _ATTACKS, f"two attacks are called {attack.name}"
    assert {"released"} <= attack.knowledge <= set(get_args(Knowledge))
    assert attack.modalities <= KINDS.keys()
    assert getattr(attack, "cost", None) in COSTS, f"attack {attack.name} states no known cost"
    _ATTACKS[attack.name] = attack
    return attack


def home(modality: str) -> Any:
    """The module that gathers what attackers of a kind of data hold. Raises InvalidArgument."""
    attacked = {name: kind.attacks for name, kind in KINDS.items() if kind.attacks}
    return import_module(named(attacked, modality, argument="modality"))


def attack_names(modality: str = IMAGE) -> tuple[str, ...]:
    """Names of all attacks on a kind of data, in the order of registration."""
    home(modality)
    return tuple(name for name, attack in _ATTACKS.items() if modality in attack.modalities)


def attack_of(name: str, modality: str = IMAGE) -> type[Attack]:
    """The attack of that name; raises InvalidArgument with the known ones of that kind of data."""
    if name not in (known := attack_names(modality)):
        raise InvalidArgument("attack", expected=f"one of {', '.join(known)}", found=name)
    return _ATTACKS[name]
