"""A release under study: whose it is, of which pictures, by which method; and who reads it.

Everything is worked out once a process and taken from memory after that. Keys have a fixed secret,
so that the same command gives the same table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.baselines import published
from catch11.canvas.grid import GRIDS, Format, psnr
from catch11.copies.seal import seal_secret
from catch11.evaluation.cells import Cell
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.evaluation.interval import paired_difference
from catch11.evaluation.metrics import accuracy, ssim
from catch11.evaluation.record import Condition, Record, Role
from catch11.evaluation.roles import role_of
from catch11.keys.key import Key, build_key
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.answers import answers, clean_answers
from catch11.studies.passes import counted
from catch11.studies.place import PHOTOGRAPHS, Part, Pictures, Place

Windows = Float[Tensor, "_ channel height width"]
Method = Literal["spectral", "deep", "published as a file", "clipped", "gaussian"]
SECRET = bytes(range(32))  # every study's, so that it repeats; a release draws its own
CONDITIONS: tuple[Condition, ...] = ("clean", "nte", "gaussian", "control")
# What each family's spectral release asks for: its strength in dB and its rule.
STRENGTH = {"photographs": 7.0, "six": 7.0, "thumbnails": 13.5, "families": 13.5, "digits": 8.0}
ENERGY = {"photographs": 5e-4, "six": 5e-4, "thumbnails": None, "families": None, "digits": None}
MOST_DIGITS = 24  # a place to try studies in
DIGITS_RADIUS = 24.0  # as in the demo: pictures of 192 numbers leave little room


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Released windows, and which pictures they are of: withheld ones are left out. forwards: passes of
    the model a picture, where a search counted them."""

    windows: Windows
    kept: tuple[int, ...]
    forwards: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """n pictures of a family released for one of its models.

    psnr: dB asked of the spectral, clipped and Gaussian methods; the family's own where None.
    format: png8 is read by each model through its own preprocessing; tensor, floats outside the
    box too, as values of the window. energy: share of the front that the key lets in, the family's own
    where None. least: directions that the published recoder takes whatever they cost. keep: what deep files keep, within `tolerance` where
    that is not the usual one; spectral ones keep "all"; "sealed" are those for a sealed copy, and "opened" what it makes of them; "originals" are not recoded.
    """

    place: Place
    family: str
    authorized: str
    n: int
    method: Method = "spectral"
    psnr: float | None = None
    energy: float | None = None
    least: int = 0
    format: Format = "png8"
    part: Part = "test"
    tag: str = ""
    keep: str = ""
    tolerance: float | None = None

    @classmethod
    def of(cls, cell: Cell, place: Place, **changes: Any) -> "Trial":
        """The trial that a cell's settings describe."""
        known = {k: v for k, v in cell.settings.items() if k in cls.__dataclass_fields__}
        whole: dict[str, Any] = {**known, **changes}
        if place.config == "digits":
            whole["n"] = min(whole["n"], MOST_DIGITS)
        return cls(place=place, **whole)

    @property
    def model(self) -> Model:
        return self.place.model(self.family, self.authorized)

    @property
    def key(self) -> Key:
        return _key(self.place, self.family, self.authorized, self.energy)

    @property
    def kind(self) -> str:
        """The family whose strength applies."""
        return "digits" if self.place.config == "digits" else self.family

    @property
    def pictures(self) -> Pictures:
        return self.place.pictures(self.family, self.n, part=self.part)

    @property
    def made(self) -> Made:
        return _made(self)

    @property
    def source(self) -> Windows:
        """The clean windows of all pictures, released or withheld; nothing is released for them."""
        return _windows(self.place, self.family, self.authorized, self.n, self.part)

    @property
    def clean(self) -> Windows:
        """The clean windows of what was released."""
        return self.source[list(self.made.kept)]

    @property
    def truth(self) -> Int[Tensor, " batch"]:
        """Class indices of what was released."""
        return self.pictures.labels[list(self.made.kept)]

    def role(self, name: str) -> Role:
        """A model's role beside the authorized one."""
        return _role(self.place, self.family, self.authorized, name)

    def read(self, name: str, windows: Windows) -> Int[Tensor, " batch"]:
        """A model's answers to windows: as 8-bit pictures through its own preprocessing, or, where
        the format is tensor, as they are."""
        return answers(
            self.place.model(self.family, name), self.model, windows, exact=self.format != "png8"
        )

    def condition(self, condition: Condition) -> Windows:
        """Windows of the released pictures under a condition other than an attack."""
        grid = GRIDS[self.format]
        if condition == "gaussian":
            names = [self.pictures.names[i] for i in self.made.kept]
            strength = tuple(psnr(self.made.windows, self.clean).tolist())
            generators = tuple(item_generator(name, seed=0) for name in names)
            return noise_at(self.clean, strength, grid=grid, generators=generators)
        made = {"nte": self.made.windows, "control": grid.round(self.clean)}
        return made[condition]

    def hits(self, name: str, condition: Condition) -> tuple[bool, ...]:
        """Whether a model answers each picture rightly."""
        return _hits(self, name, condition)

    def records(
        self, conditions: Sequence[Condition] = CONDITIONS, *, models: Sequence[str] = ()
    ) -> list[Record]:
        """A record for each model and condition."""
        names = models or self.place.names(self.family)
        return [self.record(name, which) for name in names for which in conditions]

    def record(self, name: str, condition: Condition) -> Record:
        """One model under one condition; the loss against clean is in the settings, paired."""
        quality = None if condition == "clean" else _quality(self, condition)
        hits = self.hits(name, condition)
        return self.judged(name, hits, condition=condition, quality=quality)

    def judged(
        self,
        name: str,
        hits: Sequence[bool],
        *,
        condition: Condition,
        quality: Mapping[str, float] | None = None,
        **facts: Any,
    ) -> Record:
        """Hits as a record; quality: see `Trial.quality`; facts: further fields, settings among them."""
        share = accuracy(hits)
        drop = paired_difference(self.hits(name, "clean"), hits)
        ends = {"drop": drop.estimate, "drop low": drop.low, "drop high": drop.high}
        settings = {"withheld": self.n - len(self.made.kept), **ends, **facts.pop("settings", {})}
        return Record(
            model=name, role=self.role(name), condition=condition, metric="accuracy",
            value=share.estimate, low=share.low, high=share.high, n=len(hits),
            model_fingerprint=self.place.model(self.family, name).fingerprint, seed=0,
            settings=settings, **{**(quality or {}), **facts},
        )  # fmt: skip

    def quality(self, windows: Windows) -> dict[str, float]:
        """Mean PSNR and SSIM against the clean windows, where they are finite and defined."""
        found = {}
        decibels = psnr(windows, self.clean)
        if bool(torch.isfinite(decibels).any()):
            found["psnr"] = float(decibels[torch.isfinite(decibels)].mean())
        if min(windows.shape[-2:]) >= 11:
            found["ssim"] = float(ssim(self.clean, windows).mean())
        return found


@lru_cache(maxsize=64)
def _role(place: Place, family: str, authorized: str, name: str) -> Role:
    if name == authorized:
        return "authorized"
    return role_of(place.model(family, authorized), place.model(family, name))


@lru_cache(maxsize=8)
def _key(place: Place, family: str, authorized: str, energy: float | None) -> Key:
    model = place.model(family, authorized)
    patch = model.front().tiled and place.config != "digits"
    if energy is None and patch:
        energy = ENERGY[family]
    return build_key(model, energy=energy, secret=SECRET)


@lru_cache(maxsize=4)
def _windows(place: Place, family: str, authorized: str, n: int, part: Part) -> Windows:
    return place.pictures(family, n, part=part).windows(place.model(family, authorized).canvas)


@lru_cache(maxsize=16)
def _made(trial: Trial) -> Made:
    clean = trial.source
    whole = tuple(range(len(clean)))
    if trial.keep == "originals":
        return Made(windows=GRIDS[trial.format].round(clean), kept=whole)
    if trial.keep in ("sealed", "opened"):
        seal = seal_secret(trial.model, secret=SECRET)
        plain = _made(replace(trial, keep="all")).windows
        crossed = seal.as_read if trial.keep == "sealed" else seal.cleared
        return Made(windows=crossed(plain), kept=whole)
    strength = STRENGTH[trial.kind] if trial.psnr is None else trial.psnr
    if trial.method == "spectral":
        recoder = SpectralRecoder(trial.key, psnr=strength, format=trial.format, tag=trial.tag)
        return Made(windows=torch.cat([recoder(w).images for w in clean.split(16)]), kept=whole)
    if trial.method == "deep":
        return _deep(trial, clean)
    grid = GRIDS[trial.format]
    names = trial.pictures.names[: len(clean)]
    generators = tuple(item_generator(f"{trial.tag}{name}", seed=1) for name in names)
    if trial.method == "gaussian":
        goals = (strength,) * len(clean)
        if trial.psnr is None:  # the control of the spectral release, picture by picture
            goals = tuple(psnr(_made(replace(trial, method="spectral")).windows, clean).tolist())
        made = noise_at(clean, goals, grid=grid, generators=generators)
    elif trial.method == "clipped":
        rays = torch.stack([torch.randn(clean.shape[1:], generator=g) for g in generators])
        made = published.at_strength(clean, trial.key.subspace.project(rays), strength, grid=grid)
    else:
        layer = published.stem(trial.model)
        inside = published.insensitive(layer, least=trial.least)
        drawn = [published.patch_noise(inside, 20.0, generator=g) for g in generators]
        deltas = torch.cat(drawn)
        rays = published.folded(layer, deltas, clean.shape[1:])
        rays = rays / torch.tensor(trial.model.canvas.gain)[:, None, None]
        made = published.at_strength(clean, rays, strength, grid=grid)
    return Made(windows=made, kept=whole)


def _deep(trial: Trial, clean: Windows) -> Made:
    radius: float | Literal["auto"] = DIGITS_RADIUS if trial.place.config == "digits" else "auto"
    chunk = 16 if trial.family in PHOTOGRAPHS else 64
    recoder = DeepRecoder(
        trial.model, trial.key, keep=trial.keep or None, tolerance=trial.tolerance, radius=radius,
        tag=trial.tag, chunk=chunk,
    )  # fmt: skip
    with counted(trial.model) as passes:
        made = [recoder(w) for w in clean.split(chunk)]
    reasons = [reason for part in made for reason in part.reasons]
    kept = tuple(i for i, reason in enumerate(reasons) if reason is None)
    images = torch.cat([part.images for part in made])[list(kept)]
    return Made(windows=images, kept=kept, forwards=sum(passes) / max(1, len(clean)))


@lru_cache(maxsize=16)
def _condition(trial: Trial, condition: Condition) -> Windows:
    return trial.condition(condition)


@lru_cache(maxsize=16)
def _quality(trial: Trial, condition: Condition) -> Mapping[str, float]:
    return trial.quality(_condition(trial, condition))


def _hits(trial: Trial, name: str, condition: Condition) -> tuple[bool, ...]:
    if condition == "clean":
        given = clean_answers(trial.place, trial.family, name, trial.n, trial.part)
        given = given[list(trial.made.kept)]
    elif condition == "control" and len(trial.made.kept) == trial.n:
        same: Mapping[str, Any] = {"method": "spectral", "psnr": None, "tag": ""}
        given = _control_answers(replace(trial, **same), name)
    else:
        given = trial.read(name, _condition(trial, condition))
    return tuple((given == trial.truth).tolist())


@lru_cache(maxsize=32)
def _control_answers(trial: Trial, name: str) -> Int[Tensor, " batch"]:
    return trial.read(name, GRIDS[trial.format].round(trial.source))
