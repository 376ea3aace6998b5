"""A key's first layer beside a rival's: angles between what the two do not see, and what the paper's
Theorem 2, its corrected form and Wedin's theorem say of each insensitive direction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from catch11.errors import EmptySubspace
from catch11.fronts.front import Front
from catch11.keys.key import Key
from catch11.subspaces.conv import ConvSubspace, conv_subspace
from catch11.subspaces.rule import Rule, principal_angles
from catch11.subspaces.tiles import TileSubspace, tile_subspace
from catch11.subspaces.torus import Torus, blocks, gains, grams, torus_for
from catch11.theory.bounds import tiles_alike
from catch11.theory.misalignment import Direction, directions

_MOST = 1 << 12  # pixels of a tile whose whole basis is formed: an eighth of a gibibyte
COUNTEREXAMPLE = "W₁ = .01·I, W₂ = diag(1, 5): it says 1, true is 5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Angles:
    """Principal angles between two insensitive subspaces, in degrees, ascending, with how often each
    stands; of tiles in one tile, of overlapping convolutions at every frequency of the torus.

    ours, theirs: directions of each, of `ambient`. A rule that is the same for both chose them.
    """

    where: str
    ambient: int
    ours: int
    theirs: int
    degrees: tuple[float, ...]
    times: tuple[int, ...]

    @property
    def forced(self) -> int:
        """Angles that are 0 for want of room, whatever the layers."""
        return max(0, self.ours + self.theirs - self.ambient)

    @property
    def overlap(self) -> float:
        """Mean cos² of the angles: 1 where the smaller subspace lies in the larger."""
        pairs = zip(self.degrees, self.times, strict=True)
        total = math.fsum(n * math.cos(math.radians(a)) ** 2 for a, n in pairs)
        return total / max(1, sum(self.times))

    @property
    def by_chance(self) -> float:
        """The overlap that two random subspaces of these sizes have on average."""
        return max(self.ours, self.theirs) / self.ambient

    def quantile(self, share: float) -> float:
        """The angle that this share of the angles does not pass."""
        wanted, passed = share * sum(self.times), 0
        for angle, count in zip(self.degrees, self.times, strict=True):
            passed += count
            if passed >= wanted:
                return angle
        return self.degrees[-1]

    def to_dict(self) -> dict[str, object]:
        """A JSON object."""
        quantiles = {f"{s:g}": self.quantile(s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)}
        return {
            "where": self.where, "ambient": self.ambient, "ours": self.ours, "theirs": self.theirs,
            "forced": self.forced, "overlap": self.overlap, "by_chance": self.by_chance,
            "degrees": quantiles,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A rival beside a key. angles, directions: None where a reason says why not. apart: ‖W₁ − W₂‖₂."""

    of: str
    angles: Angles | None
    no_angles: str
    directions: tuple[Direction, ...]
    no_directions: str
    apart: float | None

    def to_dict(self) -> dict[str, object]:
        """A JSON object."""
        return {
            "of": self.of,
            "angles": None if self.angles is None else self.angles.to_dict(),
            "no_angles": self.no_angles,
            "directions": [one.to_dict() for one in self.directions],
            "no_directions": self.no_directions,
            "apart": self.apart,
            "printed_counterexample": COUNTEREXAMPLE,
        }


def compare(key: Key, name: str, rival: Front) -> Comparison:
    """What a rival's first layer has in common with a key's."""
    angles, no_angles = None, ""
    found: tuple[Direction, ...] = ()
    apart = None
    try:
        angles, no_angles = _angles(key, rival)
    except EmptySubspace:
        no_angles = f"the rule {key.rule} leaves the rival no insensitive direction"
    no_directions = _no_matrix(key, rival)
    if not no_directions:
        assert isinstance(key.subspace, TileSubspace)
        ours, theirs = key.front.weight.flatten(1), rival.weight.flatten(1)
        inside = min(ours.shape) - key.subspace.kept.shape[1]
        apart = float(torch.linalg.matrix_norm(ours.double() - theirs.double(), 2))
        found = directions(ours, theirs, inside)
        if not found:
            no_directions = "only null directions are inside, of which it does not speak"
    return Comparison(
        of=name, angles=angles, no_angles=no_angles, directions=found,
        no_directions=no_directions, apart=apart,
    )  # fmt: skip


def _no_matrix(key: Key, rival: Front) -> str:
    """Why Theorem 2 cannot be asked, "" where it can."""
    if not isinstance(key.subspace, TileSubspace):
        return "it speaks of one matrix a layer; an overlapping convolution has one a frequency"
    if not tiles_alike(rival, key.subspace):
        return f"it needs two matrices of one shape; {_shapes(key.front, rival)}"
    ours, theirs = key.front.weight.flatten(1).shape, rival.weight.flatten(1).shape
    return "" if ours == theirs else f"it needs two matrices of one shape, not {ours[0]} and {theirs[0]} rows"  # fmt: skip


def _shapes(ours: Front, theirs: Front) -> str:
    texts = []
    for front in (ours, theirs):
        size = f"{front.kernel[0]}×{front.kernel[1]}"
        steps = f"{size} in steps of {front.stride[0]}"
        texts.append(size if front.tiled else steps)
    return f"this layer reads {texts[0]}, the rival's {texts[1]}"


def _angles(key: Key, rival: Front) -> tuple[Angles | None, str]:
    subspace = key.subspace
    if isinstance(subspace, TileSubspace):
        if not tiles_alike(rival, subspace):
            return None, f"the layers do not tile alike: {_shapes(key.front, rival)}"
        if subspace.kept.shape[0] > _MOST:
            return None, f"a tile of {subspace.kept.shape[0]} pixels is too large"
        return _tile_angles(subspace, tile_subspace(rival, key.rule)), ""
    assert isinstance(subspace, ConvSubspace)
    ours = key.front
    if rival.tiled or (rival.stride, rival.groups) != (ours.stride, ours.groups):
        return None, f"frequencies of different strides do not meet: {_shapes(ours, rival)}"
    angles = _wave_angles(subspace, rival, key.rule)
    if not angles.times:
        return None, "at no frequency have both an insensitive direction"
    return angles, ""


def _tile_angles(ours: TileSubspace, theirs: TileSubspace) -> Angles:
    first, second = (_inside(one) for one in (ours, theirs))
    degrees = principal_angles(first, second).rad2deg().tolist()
    return Angles(
        where="in one tile", ambient=len(first), ours=first.shape[1], theirs=second.shape[1],
        degrees=tuple(degrees), times=(1,) * len(degrees),
    )  # fmt: skip


def _inside(subspace: TileSubspace) -> Float[Tensor, "pixel direction"]:
    """An orthonormal basis of a tile's insensitive directions."""
    whole = torch.linalg.qr(subspace.kept.double(), mode="complete")[0]
    return whole[:, subspace.kept.shape[1] :]


def _wave_angles(subspace: ConvSubspace, rival: Front, rule: Rule) -> Angles:
    """At each frequency of a torus with room for both kernels, where both are small matrices."""
    fronts = (subspace.front, rival)
    cuts = (subspace.cut, conv_subspace(rival, rule).cut)
    tori = [
        torus_for(f.shape, kernel=f.kernel, stride=f.stride, dilation=f.dilation) for f in fronts
    ]
    rows, columns = (max(t.cells[axis] for t in tori) for axis in (0, 1))
    torus = Torus(window=fronts[0].shape, stride=fronts[0].stride, cells=(rows, columns))
    spectra = [_spectrum(front, torus) for front in fronts]
    counts = [0, 0]
    pairs: list[tuple[float, int]] = []
    times = torus.multiplicity().int()
    for group, u, v in torch.cartesian_prod(*map(torch.arange, spectra[0][0].shape[:3])).tolist():
        bases = []
        for i, (values, vectors) in enumerate(spectra):
            low = values[group, u, v] <= cuts[i]
            counts[i] += int(low.sum()) * int(times[u, v])
            bases.append(vectors[group, u, v][:, low])
        if min(basis.shape[1] for basis in bases):
            angles = principal_angles(bases[0], bases[1]).rad2deg().tolist()
            pairs += [(angle, int(times[u, v])) for angle in angles]
    pairs.sort()
    ambient = torus.planes * torus.cells[0] * torus.cells[1]
    return Angles(
        where="frequency by frequency", ambient=ambient, ours=counts[0], theirs=counts[1],
        degrees=tuple(a for a, _ in pairs), times=tuple(n for _, n in pairs),
    )  # fmt: skip


def _spectrum(
    front: Front, torus: Torus
) -> tuple[Float[Tensor, "group u v plane"], Complex[Tensor, "group u v plane plane"]]:
    padding = (front.padding[0], front.padding[2])
    return gains(
        grams(
            blocks(
                front.weight, torus, dilation=front.dilation, padding=padding, groups=front.groups
            )
        )
    )


def worst(found: Sequence[Direction]) -> Direction:
    """The direction that the rival answers most."""
    return max(found, key=lambda one: one.ceiling.estimate)
