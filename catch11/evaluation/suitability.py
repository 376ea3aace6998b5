"""Is this model suitable? What its front leaves unseen, how strong a release can be, what to use.

The owner's first question, answered by measuring: a throw-away key recodes synthetic pictures with
the spectrum of photographs, through the box and the 8-bit grid, at falling PSNR.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from catch11.data.fields import random_fields
from catch11.errors import EmptySubspace
from catch11.fronts.front import Front
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key, default_rule, key_of
from catch11.lab import needed
from catch11.recoding.frame import Recoded
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.windows import usual_format
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.rule import Rule, spectrum

Verdict = Literal["good", "weak", "none"]

PROBES = 2
STRENGTHS = (6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 25.0, 30.0)  # dB asked for, strongest first
SHIFT = 0.03  # relative front shift that costs no answers; 8-bit rounding alone makes about 0.01
STRONG = 12.0  # dB; weaker noise leaves rivals much of what they knew
COARSE = 0.25  # times white noise's share; below it the noise is fine texture that a rival ignores


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """What a model's front allows.

    dimension of ambient: insensitive directions of a window. psnr: dB, peak 1, the strongest
    in-box 8-bit release that moves the front by at most `SHIFT`, None where there is none; shift:
    its relative front shift. coarse: share of the noise's energy that a Gaussian blur of one pixel
    leaves, over what it leaves of white noise. spectrum: singular values of the front, ascending,
    pixel units; of an overlapping convolution those of its kernel.
    """

    model: str
    front: Front
    rule: Rule
    ambient: int
    spectrum: tuple[float, ...]
    dimension: int = 0
    psnr: float | None = None
    shift: float | None = None
    coarse: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the spectral recoder suits this model."""
        if self.psnr is None:
            return "none"
        strong = self.psnr <= STRONG and (self.coarse or 0.0) >= COARSE
        return "good" if strong and self.front.tiled else "weak"

    @property
    def advice(self) -> str:
        """What to do about it, in a sentence or two."""
        deep = "use --method deep, which matches what the model computes further in"
        if self.verdict == "none":
            return f"The front leaves next to nothing unseen, so there is nothing to hide noise in: {deep}."
        if self.verdict == "good":
            return (
                f"Suitable for --method spectral, down to about {self.psnr:.0f} dB at no loss. "
                "Whoever knows or estimates the front can undo it; against that, use --method deep."
            )
        if not self.front.tiled or (self.coarse or 0.0) < COARSE:
            why = "what it does not see is fine texture that other models hardly see either"
        else:
            why = f"no more than {self.psnr:.0f} dB fits into a file at no loss"
        return f"Weak for --method spectral: {why}; {deep}."


def suitability(model: Authorized, *, layer: str | None = None) -> Suitability:
    """Measure one model. Raises NoFront where no linear map reads the input."""
    front = model.front(layer)
    rule = default_rule(front)
    values, _ = spectrum(front.weight.flatten(1))
    blank = Suitability(
        model=model.name,
        front=front,
        rule=rule,
        ambient=front.shape[0] * front.shape[1] * front.shape[2],
        spectrum=tuple(values.tolist()),
    )
    try:
        key = key_of(front, canvas=model.canvas, rule=rule)
    except EmptySubspace:
        return blank
    if front.blind or front.tokenwise:  # an encoder also sees rows around the front
        return replace(blank, dimension=key.subspace.dimension)
    psnr, shift = _reached(key)
    return replace(
        blank, dimension=key.subspace.dimension, psnr=psnr, shift=shift, coarse=_coarse(key)
    )


def _reached(key: Key) -> tuple[float | None, float | None]:
    """Measured PSNR and front shift, of the strongest where the shift stays small; less noise moves the front less."""
    draws = torch.Generator().manual_seed(11)
    windows = random_fields(key.canvas.shape, PROBES, generator=draws)
    made: dict[float, Recoded[Tensor]] = {}

    def small(strength: float) -> bool:
        made[strength] = SpectralRecoder(key, psnr=strength, format=usual_format(key.canvas))(
            windows
        )
        return max(made[strength].front_shift) <= SHIFT

    place = bisect_left(STRENGTHS, True, key=small)
    if place == len(STRENGTHS):
        return None, None
    found = made[STRENGTHS[place]]
    return sum(found.psnr) / PROBES, sum(found.front_shift) / PROBES


def _coarse(key: Key) -> float:
    """How much of noise inside a blur leaves, over how much it leaves of white noise; of a convolution away from the
    border, of which some layers read nothing."""
    subspace, stream = key.subspace, key.stream(purpose="suitability")
    first, white = (stream.normal(key.front.shape)[None] for _ in range(2))
    inside = (
        subspace.start(first) if isinstance(subspace, ConvSubspace) else subspace.project(first)
    )
    return _left(inside) / _left(white)


def _left(noise: Tensor) -> float:
    """The share of energy that a blur of one pixel leaves."""
    gaussian_blur2d = needed("kornia.filters").gaussian_blur2d

    size = tuple(7 if side >= 7 else 1 for side in noise.shape[2:])  # of a sound one row
    blurred = gaussian_blur2d(noise, size, (1.0, 1.0), border_type="circular")
    return float(blurred.square().sum() / noise.square().sum())


def draw_spectrum(facts: Suitability, path: str | Path) -> None:
    """A picture of the spectrum on a logarithmic scale, in the format of the path's suffix."""
    Figure = needed("matplotlib.figure").Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    values = torch.tensor(facts.spectrum)
    floor = float(values.max()) * 1e-9
    axes.semilogy(values.clamp(min=floor), color="#1f4e79", linewidth=1.5)
    per_tile = round(facts.dimension / facts.ambient * len(values))
    axes.axvspan(0, per_tile, color="#1f4e79", alpha=0.12, label="insensitive")
    axes.set_xlabel("direction, least seen first")
    axes.set_ylabel("singular value (pixel units)")
    axes.set_title(f"{facts.model}: {facts.front.layer} ({facts.front.geometry})")
    axes.legend(loc="upper left")
    figure.savefig(path)
