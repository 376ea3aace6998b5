"""What can be proved about the first layer: how far noise moves the authorized model's, and a rival's.

Every bound is an interval (low, estimate, high) with its confidence and assumptions, in the units
of a layer's output before its nonlinearity, and with the noise it holds for; noise is in pixel
units. The laws are of isotropic noise, which `recode` draws with --noise gaussian alone, and which
no box keeps: what it really writes is measured (`written`). None of them says that a rival's
accuracy falls: a layer that moves far may be followed by one that does not mind.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from catch11.canvas.grid import amplitude
from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.fronts.front import Front
from catch11.keys.key import Key
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.tiles import Subspace, TileSubspace
from catch11.theory.misalignment import response
from catch11.theory.norms import operator_norm
from catch11.theory.prediction import draws_for, failure_of, next_one
from catch11.theory.quadratic import Method, Quadratic, sphere_quantile

GAUSSIAN = "noise z ~ N(0, σ²I) inside the subspace, not clipped to the box"
SPHERE = "noise uniform on the sphere of ‖δ‖ inside the subspace, not clipped to the box"
# The noise a bound is for. Under a key of tiles, what `recode` writes with --format tensor is inside,
# to single precision, and with --noise gaussian isotropic; files with a box, and all files under a
# key of an overlapping convolution, are neither. No setting writes the Gaussian of Theorem 1.
ANY, INSIDE = "any", "inside, no box"
ISOTROPIC, NORMAL = "isotropic, no box", "N(0, σ²I), no box"
_FEW = 4  # degrees of freedom below which the exact law is left to the certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A named interval; of: the model it speaks of; noise: what it holds for, one of the above or
    "NOISE, FORMAT" as `recode` names them; says: one sentence on what it is good for."""

    name: str
    of: str
    noise: str
    interval: Interval
    says: str

    def to_dict(self) -> dict[str, object]:
        """A JSON object; what is not known is null."""
        ends = {end: getattr(self.interval, end) for end in ("low", "estimate", "high")}
        return {
            "name": self.name,
            "of": self.of,
            "noise": self.noise,
            **{end: value if math.isfinite(value) else None for end, value in ends.items()},
            "confidence": self.interval.confidence,
            "assumptions": list(self.interval.assumptions),
            "says": self.says,
        }


# --- Theorem 1 and tighter laws ---------------------------------------------------------------


def certificate(singular: Sequence[float], radius: float, *, blind: float = 0.0) -> Interval:
    """s_min·r ≤ ‖Aδ‖₂ ≤ s_max·r for every δ of norm r in the span: certain, whatever the noise
    (Theorem 1's first line, with τ the largest singular value inside). estimate: the root of the
    mean square of isotropic noise. blind: further directions, for this list, that A does not see."""
    _check(singular, radius=radius, blind=blind)
    square = math.fsum(s * s for s in singular) / (len(singular) + blind)
    return Interval(
        low=0.0 if blind else min(singular) * radius,
        estimate=math.sqrt(square) * radius,
        high=max(singular) * radius,
        confidence=1.0,
        assumptions=("δ lies in the subspace exactly",),
    )


def gaussian_shift(
    singular: Sequence[float],
    sigma: float,
    *,
    times: int = 1,
    confidence: float = 0.95,
    method: Method = "exact",
) -> Interval:
    """‖Aδ‖₂ for δ = V z, z normal of deviation σ: the weighted χ² law of Σ s²z².

    times: how often each singular value stands, for the tiles of a patch front. chebyshev: with k
    values of 1, P(‖z‖² ≥ kσ² + t) ≤ 2kσ⁴/t², Theorem 1's. Below four degrees of freedom "exact"
    falls back to Laurent–Massart. estimate: the root of the mean square.
    """
    _check(singular, sigma=sigma)
    law = Quadratic.of([(s * sigma) ** 2 for s in singular], times=times)
    if law.mean == 0.0:
        return Interval(low=0.0, estimate=0.0, high=0.0, confidence=1.0, assumptions=(GAUSSIAN,))
    if (
        method == "exact"
        and sum(n for a, n in zip(law.weights, law.counts, strict=True) if a) < _FEW
    ):
        method = "laurent-massart"
    low, high = _two_sided(law, confidence, method)
    return _root(low, law.mean, high, confidence, (GAUSSIAN, f"{method} tails"))


def sphere_shift(
    singular: Sequence[float],
    radius: float,
    *,
    times: int = 1,
    blind: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """‖Aδ‖₂ for δ uniform on the sphere of norm r in the span, as when the PSNR fixes ‖δ‖.

    P(‖Aδ‖² > c r²) = P(Σ (s² − c) z² > 0), exactly; below four directions, and where the weights
    are too unequal to invert, the certificate. blind: further directions that A does not see.
    """
    _check(singular, radius=radius)
    sure = certificate(singular, radius, blind=blind / times)
    directions = len(singular) * times + blind
    if directions < _FEW or sure.low == sure.high:
        return sure
    squares = [s * s for s in singular]
    mean = math.fsum(squares) * times / directions
    failure = failure_of(confidence) / 2
    try:
        low, high = (
            sphere_quantile(squares, share, times=times, blind=blind)
            for share in (failure, 1.0 - failure)
        )
    except InvalidArgument:
        return sure
    square = radius * radius
    return _root(low * square, mean * square, high * square, confidence, (SPHERE,))


def ceiling(front: Front, radius: float) -> Interval:
    """‖Aδ‖₂ ≤ ‖A‖₂·r for every δ of norm r or less: certain, box and rounding or not. Of an overlapping
    convolution ‖A‖ is bounded from above, on pictures of any size. There is no estimate."""
    _check([0.0], radius=radius)
    return _within(operator_norm(front).high * radius)


def _within(high: float) -> Interval:
    return Interval(low=0.0, estimate=math.nan, high=high, confidence=1.0)


# --- a key ------------------------------------------------------------------------------------


def bounds_of_key(
    key: Key,
    *,
    psnr: float,
    confidence: float = 0.95,
    rivals: Mapping[str, Front] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Bound, ...]:
    """All that can be said, without a picture, of noise of a PSNR (dB, peak 1) under a key.

    rivals: fronts by name. Under a key of tiles, those that tile the window alike get laws, others
    a range of draws (`sampled_shift`). Under one of an overlapping convolution there is no isotropic
    noise inside, and only what is certain is said. generator: of those draws. Raises
    InvalidArgument for a rival whose window has another shape.
    """
    radius = amplitude(psnr) * math.sqrt(key.subspace.ambient)
    draws = torch.Generator().manual_seed(0) if generator is None else generator
    found: list[Bound] = []
    subspace = key.subspace
    for name, front in fronts_of(key, rivals).items():
        rows: list[tuple[str, str, Interval, str]] = []
        if isinstance(subspace, TileSubspace) and tiles_alike(front, subspace):
            rows = _tile_rows(front, subspace, radius, confidence)
        elif isinstance(subspace, TileSubspace):
            law = sampled_shift(front, subspace, radius, confidence=confidence, generator=draws)
            rows = [("sampled", ISOTROPIC, law, "holds for one more draw of such noise")]
        elif isinstance(subspace, ConvSubspace) and name == "authorized":
            sure = _within(subspace.cut * radius)
            rows = [("certificate", INSIDE, sure, "holds for every noise within the cut")]
        text = "holds for every noise of this norm or less, in a box or not"
        rows.append(("ceiling", ANY, ceiling(front, radius), text))
        found += [Bound(name=n, of=name, noise=z, interval=i, says=t) for n, z, i, t in rows]
    return tuple(found)


def fronts_of(key: Key, rivals: Mapping[str, Front] | None = None) -> dict[str, Front]:
    """The authorized front and its rivals', by name. Raises InvalidArgument for a rival whose window
    has another shape."""
    fronts = {"authorized": key.front, **(rivals or {})}
    for name, front in fronts.items():
        if front.shape != key.front.shape:
            expected = f"a window of {key.front.shape}"
            raise InvalidArgument(f"rival {name}", expected=expected, found=front.shape)
    return fronts


def tiles_alike(front: Front, subspace: TileSubspace) -> bool:
    """Whether a front reads the window in the tiles of a subspace, each by itself."""
    return front.tiled and front.kernel == subspace.tile


def sampled_shift(
    front: Front,
    subspace: Subspace,
    radius: float,
    *,
    confidence: float = 0.95,
    generator: torch.Generator,
) -> Interval:
    """‖Aδ‖₂ of one more δ uniform on the sphere of norm r in a subspace, any geometry, from as many
    draws as the confidence needs (`prediction.next_one`)."""
    shifts = []
    for _ in range(draws_for(confidence)):
        noise = torch.randn(1, *front.shape, generator=generator)
        inside = subspace.project(noise)
        shifts.append(float(front.apply(inside * (radius / inside.norm())).norm()))
    return next_one(shifts, confidence=confidence, assumptions=(SPHERE,))


def _tile_rows(
    front: Front, subspace: TileSubspace, radius: float, confidence: float
) -> list[tuple[str, str, Interval, str]]:
    values = response(front.weight.flatten(1), subspace.kept)
    tiles = subspace.grid[0] * subspace.grid[1]
    rim = subspace.dimension - len(values) * tiles
    sigma = radius / math.sqrt(subspace.dimension)
    sphere = sphere_shift(values, radius, times=tiles, blind=rim, confidence=confidence)
    sure = certificate(values, radius, blind=rim / tiles)
    rows = [
        ("certificate", INSIDE, sure, "holds for every noise of this norm inside the subspace"),
        ("sphere", ISOTROPIC, sphere, "holds for isotropic noise of exactly this PSNR"),
    ]
    methods: tuple[Method, ...] = ("exact", "laurent-massart", "chebyshev")
    for method in methods:
        law = gaussian_shift(values, sigma, times=tiles, confidence=confidence, method=method)
        text = "holds for Gaussian noise of this mean power, which no setting of recode writes"
        rows.append((f"gaussian, {method}", NORMAL, law, text))
    return rows


# --- shared -----------------------------------------------------------------------------------


def _check(singular: Sequence[float], **numbers: float) -> None:
    if not len(singular) or min(singular) < 0:
        raise InvalidArgument("singular", expected="values of 0 or more", found=list(singular)[:4])
    for name, value in numbers.items():
        if not 0.0 <= value < math.inf:
            raise InvalidArgument(name, expected="a finite number of 0 or more", found=value)


def _two_sided(law: Quadratic, confidence: float, method: Method) -> tuple[float, float]:
    failure = failure_of(confidence) / 2
    try:
        return law.below(failure, method=method), law.above(failure, method=method)
    except InvalidArgument:
        return _two_sided(law, confidence, "laurent-massart")


def _root(
    low: float, mean: float, high: float, confidence: float, assumptions: tuple[str, ...]
) -> Interval:
    estimate = math.sqrt(mean)
    return Interval(
        low=min(math.sqrt(max(0.0, low)), estimate),
        estimate=estimate,
        high=max(math.sqrt(max(0.0, high)), estimate),
        confidence=confidence,
        assumptions=assumptions,
    )
