"""The frame of every attack: it says what an attacker knows, hands over only that, and judges.

A variant yields attempts, restored windows or a trained classifier; it never sees a clean picture
of what it attacks, and never grades itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, final, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, psnr
from catch11.data.windows import as_pictures
from catch11.errors import Catch11Error, InvalidArgument
from catch11.evaluation.metrics import ssim
from catch11.fronts.front import Front
from catch11.models.frame import Model
from catch11.subspaces.tiles import Subspace

Knowledge = Literal["released", "others", "public", "front", "labels", "pairs", "key-queries"]
Windows = Float[Tensor, "_ channel height width"]
Classify = Callable[[Tensor], Tensor]


class Unsuited(Catch11Error, ValueError):
    """An attack that has nothing to work on here, though its knowledge is there."""

    def __init__(self, attack: str, reason: str) -> None:
        super().__init__(f"attack {attack}: {reason}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What an attacker holds; None where it does not. Windows are in pixel units.

    released: the NTEs to read. others: further releases of the same pictures, in the same order.
    public: clean windows of other pictures. front, subspace: the authorized model's. labelled:
    other NTEs with their labels. pairs: other pictures, clean and released. query: what the data
    owner's recoder answers on pictures of the attacker's. rivals: the attacker's models, by name.
    """

    canvas: Canvas
    released: Windows
    rivals: Mapping[str, Model] = field(default_factory=dict)
    others: tuple[Windows, ...] | None = None
    public: Windows | None = None
    front: Front | None = None
    subspace: Subspace | None = None
    labelled: tuple[Windows, Int[Tensor, " batch"]] | None = None
    pairs: tuple[Windows, Windows] | None = None
    query: Callable[[Tensor], Tensor] | None = None

    @property
    def knowledge(self) -> frozenset[Knowledge]:
        """What is there."""
        return frozenset(name for name, place in _HELD.items() if getattr(self, place) is not None)

    def cut(self, knowledge: frozenset[Knowledge]) -> "Material":
        """Only that much of it; the rest is None."""
        hidden = {place for name, place in _HELD.items() if name not in knowledge}
        if "front" not in knowledge:
            hidden.add("subspace")
        return replace(self, **dict.fromkeys(hidden))  # type: ignore[arg-type]


_HELD: Mapping[Knowledge, str] = {
    "released": "released",
    "others": "others",
    "public": "public",
    "front": "front",
    "labels": "labelled",
    "pairs": "pairs",
    "key-queries": "query",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """One try. images: the released windows restored; or classify: pixel windows to logits, of a
    classifier trained on top of the named rival, judged on the released windows as they are, or on
    clean ones where `on` says so. cut: its training ran out of time, as the setting says."""

    setting: str
    images: Windows | None = None
    classify: Classify | None = None
    rival: str | None = None
    on: Literal["released", "clean"] = "released"
    cut: bool = False

    def __post_init__(self) -> None:
        if (self.images is None) == (self.classify is None):
            raise InvalidArgument(
                "attempt", expected="images or a classifier", found="both or none"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The best of an attack's tries against one rival. hits: one an image, under `setting`, the
    best of `tries` settings on these same images, which favours the attacker. cut: of those, the
    tries whose training ran out of time and might have done better. psnr, ssim: mean
    against the clean windows, None where there are none."""

    attack: str
    knowledge: tuple[Knowledge, ...]
    rival: str
    setting: str
    hits: tuple[bool, ...]
    tries: int
    psnr: float | None = None
    ssim: float | None = None
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jury:
    """Judges attempts. truth: class of each released window, by rival name; clean: what they were
    before, where the owner runs the attack. batch: pictures a rival answers at a time."""

    canvas: Canvas
    rivals: Mapping[str, Model]
    truth: Mapping[str, Int[Tensor, " batch"]]
    released: Windows
    clean: Windows | None = None
    batch: int = 32

    def answers(self, rival: Model, windows: Windows) -> Int[Tensor, " batch"]:
        """The rival's classes, each window as an 8-bit picture through the rival's own pipeline."""
        parts = []
        for part in windows.split(self.batch):
            values = rival.preprocess(as_pictures(part, self.canvas))
            parts.append(rival.logits(values).argmax(1))
        return torch.cat(parts)

    def hits(self, name: str, attempt: Attempt) -> tuple[bool, ...]:
        """Whether the named rival, on this attempt, answers each window rightly."""
        if attempt.images is not None:
            given = self.answers(self.rivals[name], attempt.images)
        else:
            assert attempt.classify is not None
            windows = self.clean if attempt.on == "clean" else self.released
            if windows is None:
                raise InvalidArgument("source", expected="the clean pictures", found="none")
            with torch.no_grad():
                logits = torch.cat([attempt.classify(part) for part in windows.split(self.batch)])
            given = logits.argmax(1)
        return tuple(bool(hit) for hit in (given == self.truth[name]).tolist())

    def quality(self, attempt: Attempt) -> tuple[float | None, float | None]:
        """Mean PSNR in dB, peak 1, and mean SSIM of restored windows against the clean ones."""
        if attempt.images is None or self.clean is None:
            return None, None
        images = GRIDS["png8"].round(attempt.images.clamp(0, 1))
        small = min(images.shape[-2:]) < 11
        decibels = psnr(images, self.clean).clamp(max=100.0)  # an exact restoration is infinite
        return float(decibels.mean()), None if small else float(ssim(self.clean, images).mean())


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
    """An attack with its settings. Subclasses are registered by name and yield attempts."""

    name: ClassVar[str]
    knowledge: ClassVar[frozenset[Knowledge]]

    @abstractmethod
    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        """Attempts, one after the other; what is not in `knowledge` is None in the material."""

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
        best: dict[str, tuple[Finding, Attempt]] = {}
        for attempt in self.run(material.cut(self.knowledge), generator=generator):
            self._check(attempt, material)
            names = list(jury.rivals) if attempt.rival is None else [attempt.rival]
            for name in names:
                before = best[name][0] if name in best else None
                finding = Finding(
                    attack=self.name,
                    knowledge=tuple(sorted(self.knowledge)),
                    rival=name,
                    setting=attempt.setting,
                    hits=jury.hits(name, attempt),
                    tries=1 + (before.tries if before else 0),
                    cut=attempt.cut + (before.cut if before else 0),
                )
                if before is None or sum(finding.hits) > sum(before.hits):
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
        if attempt.images is not None and attempt.images.shape != material.released.shape:
            raise InvalidArgument(
                f"attack {self.name}",
                expected=f"windows {tuple(material.released.shape)}",
                found=tuple(attempt.images.shape),
            )


_ATTACKS: dict[str, type[Attack]] = {}


def register(attack: type[Attack]) -> type[Attack]:
    """Decorator: list an attack under its name, once; its knowledge must be of known kinds."""
    assert attack.name not in _ATTACKS, f"two attacks are called {attack.name}"
    assert {"released"} <= attack.knowledge <= set(get_args(Knowledge))
    _ATTACKS[attack.name] = attack
    return attack


def attack_names() -> tuple[str, ...]:
    """Names of all attacks, in the order of registration."""
    return tuple(_ATTACKS)


def attack_of(name: str) -> type[Attack]:
    """The attack of that name; raises InvalidArgument with the known ones."""
    if name not in _ATTACKS:
        raise InvalidArgument("attack", expected=f"one of {', '.join(_ATTACKS)}", found=name)
    return _ATTACKS[name]
