"""What can be proved about the first layer: how far noise moves the authorized model's, and a rival's.

Every bound is an interval (low, estimate, high) with its confidence and assumptions, in the units
of a layer's output before its nonlinearity; noise is in pixel units. None of them says that a
rival's accuracy falls: a layer that moves far may be followed by one that does not mind.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.front import Front
from catch11.key import Key
from catch11.metrics import Interval
from catch11.misalignment import response
from catch11.quadratic import Method, Quadratic
from catch11.subspace import Subspace, TileSubspace

GAUSSIAN = "noise z ~ N(0, σ²I) inside the subspace, not clipped to the box"
SPHERE = "noise uniform on the sphere of ‖δ‖ inside the subspace, not clipped to the box"
_FEW = 4  # degrees of freedom below which the exact law is left to the certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A named interval; of: the model it speaks of; says: one sentence on what it is good for."""

    name: str
    of: str
    interval: Interval
    says: str

    def to_dict(self) -> dict[str, object]:
        """A JSON object."""
        ends = {end: getattr(self.interval, end) for end in ("low", "estimate", "high")}
        return {
            "name": self.name,
            "of": self.of,
            **ends,
            "confidence": self.interval.confidence,
            "assumptions": list(self.interval.assumptions),
            "says": self.says,
        }


# --- Theorem 1 and tighter laws ---------------------------------------------------------------


def certificate(singular: Sequence[float], radius: float) -> Interval:
    """s_min·r ≤ ‖Aδ‖₂ ≤ s_max·r for every δ of norm r in the span: certain, whatever the noise
    (Theorem 1's first line, with τ the largest singular value inside)."""
    _check(singular, radius=radius)
    square = math.fsum(s * s for s in singular) / len(singular)
    return Interval(
        low=min(singular) * radius,
        estimate=math.sqrt(square) * radius,
        high=max(singular) * radius,
        confidence=1.0,
        assumptions=("δ lies in the subspace exactly",),
    )


def noise_norm(
    directions: int, sigma: float, *, confidence: float = 0.95, method: Method = "exact"
) -> Interval:
    """‖z‖₂ of k normals of deviation σ. chebyshev: P(‖z‖² ≥ kσ² + t) ≤ 2kσ⁴/t², Theorem 1's."""
    return gaussian_shift([1.0], sigma, times=directions, confidence=confidence, method=method)


def gaussian_shift(
    singular: Sequence[float],
    sigma: float,
    *,
    times: int = 1,
    confidence: float = 0.95,
    method: Method = "exact",
) -> Interval:
    """‖Aδ‖₂ for δ = V z, z normal of deviation σ: the weighted χ² law of Σ s²z².

    times: how often each singular value stands, for the tiles of a patch front. Below four degrees
    of freedom "exact" falls back to Laurent–Massart. estimate: the root of the mean square.
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
    singular: Sequence[float], radius: float, *, times: int = 1, confidence: float = 0.95
) -> Interval:
    """‖Aδ‖₂ for δ uniform on the sphere of norm r in the span, as when the PSNR fixes ‖δ‖.

    P(‖Aδ‖² > c r²) = P(Σ (s² − c) z² > 0), exactly; below four directions, and where the weights
    are too unequal to invert, the certificate.
    """
    _check(singular, radius=radius)
    sure = certificate(singular, radius)
    if len(singular) * times < _FEW or sure.low == sure.high:
        return sure
    squares = [s * s for s in singular]
    mean = math.fsum(squares) / len(squares)
    failure = _failure(confidence) / 2
    try:
        low = _sphere_quantile(squares, failure, times)
        high = _sphere_quantile(squares, 1.0 - failure, times)
    except InvalidArgument:
        return sure
    square = radius * radius
    return _root(low * square, mean * square, high * square, confidence, (SPHERE,))


def _sphere_quantile(squares: Sequence[float], share: float, times: int) -> float:
    low, high = min(squares), max(squares)
    for _ in range(40):
        middle = (low + high) / 2
        law = Quadratic.of([s - middle for s in squares], times=times)
        low, high = (middle, high) if law.cdf(0.0) < share else (low, middle)
    return (low + high) / 2


def file_shift(
    front: Front,
    released: Float[Tensor, "1 channel height width"],
    clean: Float[Tensor, "1 channel height width"],
) -> Interval:
    """‖A(x̃ − x)‖₂ of a written file: a measurement, no law; rounding and box included."""
    moved = float(front.apply((released - clean).double()).norm())
    return Interval(
        low=moved, estimate=moved, high=moved, confidence=1.0, assumptions=("measured",)
    )


def rival_floor(responses: Sequence[float], radius: float) -> Interval:
    """σ_min(W'V)·‖z‖ ≤ ‖W'δ‖: what certainly reaches a rival's first layer. 0 where the subspace
    has more directions than W' has rows: then some noise passes unseen, though typical noise
    does not (see `gaussian_shift` of the same responses)."""
    return certificate(responses, radius)


# --- a key ------------------------------------------------------------------------------------


def bounds_of_key(
    key: Key,
    *,
    psnr: float,
    confidence: float = 0.95,
    rivals: Mapping[str, Front] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Bound, ...]:
    """All that can be said of noise of a PSNR (dB, peak 1) under a key.

    rivals: fronts by name. Fronts that tile the window as the key does get laws; others, and all
    under a key of an overlapping convolution, a range of draws (`sampled_shift`). generator: of
    those draws. Raises InvalidArgument for a rival whose window has another shape.
    """
    radius = 10.0 ** (-psnr / 20.0) * math.sqrt(key.subspace.ambient)
    draws = torch.Generator().manual_seed(0) if generator is None else generator
    found: list[Bound] = []
    for name, front in {"authorized": key.front, **(rivals or {})}.items():
        if front.shape != key.front.shape:
            expected = f"a window of {key.front.shape}"
            raise InvalidArgument(f"rival {name}", expected=expected, found=front.shape)
        subspace = key.subspace
        if isinstance(subspace, TileSubspace) and front.kernel == front.stride == subspace.tile:
            found += _tile_bounds(name, front, subspace, radius, confidence)
        else:
            interval = sampled_shift(
                front, subspace, radius, confidence=confidence, generator=draws
            )
            text = "holds for one more draw of such noise"
            found.append(Bound(name="sampled", of=name, interval=interval, says=text))
    return tuple(found)


def sampled_shift(
    front: Front,
    subspace: Subspace,
    radius: float,
    *,
    confidence: float = 0.95,
    generator: torch.Generator,
) -> Interval:
    """‖Aδ‖₂ for δ uniform on the sphere of norm r in a subspace, any geometry: the smallest and
    largest of n draws hold one more draw with a probability of (n − 1)/(n + 1)."""
    count = math.ceil(2 / _failure(confidence)) - 1
    shifts = []
    for _ in range(count):
        noise = torch.randn(1, *front.shape, generator=generator)
        inside = subspace.project(noise)
        shifts.append(float(front.apply(inside * (radius / inside.norm())).norm()))
    mean = math.sqrt(math.fsum(s * s for s in shifts) / count)
    return Interval(
        low=min(shifts),
        estimate=mean,
        high=max(shifts),
        confidence=confidence,
        assumptions=(SPHERE, f"range of {count} draws"),
    )


def _tile_bounds(
    name: str, front: Front, subspace: TileSubspace, radius: float, confidence: float
) -> list[Bound]:
    inside = _inside(subspace)
    values = response(front.weight.flatten(1), inside)
    tiles = subspace.grid[0] * subspace.grid[1]
    sigma = radius / math.sqrt(len(values) * tiles)
    every = "holds for every noise of this norm"
    exactly = "holds for noise of exactly this PSNR"
    rows = [
        ("certificate", certificate(values, radius), every),
        ("sphere", sphere_shift(values, radius, times=tiles, confidence=confidence), exactly),
    ]
    methods: tuple[Method, ...] = ("exact", "laurent-massart", "chebyshev")
    for method in methods:
        law = gaussian_shift(values, sigma, times=tiles, confidence=confidence, method=method)
        rows.append((f"gaussian, {method}", law, "holds for Gaussian noise of this mean power"))
    return [Bound(name=kind, of=name, interval=law, says=text) for kind, law, text in rows]


def _inside(subspace: TileSubspace) -> Float[Tensor, "pixel direction"]:
    """An orthonormal basis of a tile's insensitive directions."""
    whole = torch.linalg.qr(subspace.kept.double(), mode="complete")[0]
    return whole[:, subspace.kept.shape[1] :]


# --- shared -----------------------------------------------------------------------------------


def _check(singular: Sequence[float], **numbers: float) -> None:
    if not len(singular) or min(singular) < 0:
        raise InvalidArgument("singular", expected="values of 0 or more", found=list(singular)[:4])
    for name, value in numbers.items():
        if not 0.0 <= value < math.inf:
            raise InvalidArgument(name, expected="a finite number of 0 or more", found=value)


def _failure(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise InvalidArgument("confidence", expected="a number between 0 and 1", found=confidence)
    return 1.0 - confidence


def _two_sided(law: Quadratic, confidence: float, method: Method) -> tuple[float, float]:
    failure = _failure(confidence) / 2
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
