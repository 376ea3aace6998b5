import math
from typing import NamedTuple

import pytest
import torch
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.keys.key import Key, key_of
from catch11.subspaces.rule import Rule, principal_angles
from catch11.theory import misalignment
from catch11.theory.comparison import COUNTEREXAMPLE, Angles, compare, worst

torch.set_num_threads(1)
CANVAS = plain_canvas(16, 16)
_GREY = plain_canvas(16, 16, mean=(0.0,), std=(1.0,))


def _front(layer: nn.Conv2d) -> Front:
    return find_front(nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2)).eval(), CANVAS)


def _patch(seed: int, *, drift: float = 1.0, out: int = 20) -> Front:
    torch.manual_seed(0)
    layer, other = nn.Conv2d(3, out, 4, stride=4), nn.Conv2d(3, out, 4, stride=4)
    if seed:
        torch.manual_seed(seed)
        layer.weight.data += drift * torch.randn_like(other.weight) * layer.weight.std()
    return _front(layer)


def _key(front: Front, energy: float) -> Key:
    return key_of(front, canvas=CANVAS, rule=Rule(kind="energy", value=energy), secret=bytes(32))


class Row(NamedTuple):
    drift: float
    largest: float
    """degrees that the largest angle stays under"""


@pytest.mark.parametrize("row", [Row(0.0, 1e-5), Row(1e-4, 1.0), Row(1.0, 90.0)], ids=repr)
def test_angles_of_tiles(row: Row) -> None:
    """Those of the explicit bases; none where the rival is the model itself, small near it."""
    ours, theirs = _patch(0), _patch(1, drift=row.drift)
    found = compare(_key(ours, 0.02), "r", theirs).angles
    assert found is not None
    bases = [torch.linalg.svd(f.weight.flatten(1))[2].T for f in (ours, theirs)]
    first, second = (b[:, 48 - n :] for b, n in zip(bases, (found.ours, found.theirs), strict=True))
    direct = principal_angles(first, second).rad2deg()
    assert list(found.degrees) == pytest.approx(direct.tolist(), abs=1e-4)
    assert found.quantile(1.0) <= row.largest
    assert sum(a < 1e-6 for a in found.degrees) >= found.forced > 0
    assert found.overlap == pytest.approx(float(direct.deg2rad().cos().square().mean()))
    assert found.overlap >= 1 - math.radians(row.largest) ** 2
    assert row.drift < 1 or found.overlap < 0.95


def test_the_overlap_of_strangers_is_that_of_chance() -> None:
    overlaps, chance = [], 0.0
    for seed in range(1, 9):
        found = compare(_key(_patch(0), 0.02), "r", _patch(seed, drift=30.0)).angles
        assert found is not None
        overlaps.append(found.overlap)
        chance = found.by_chance
    assert sum(overlaps) / len(overlaps) == pytest.approx(chance, abs=0.03)


def test_angles_of_complex_bases() -> None:
    """A turn by a phase is no turn; one of .3 into another direction is."""
    first = torch.eye(3, dtype=torch.complex128)[:, :1]
    second = torch.tensor([[1j * math.cos(0.3)], [math.sin(0.3)], [0.0]], dtype=torch.complex128)
    assert principal_angles(first, second).tolist() == pytest.approx([0.3])
    assert principal_angles(first, 1j * first).tolist() == pytest.approx([0.0])


def test_angles_of_convolutions_are_those_of_the_whole_torus() -> None:
    """Against the explicit operators on the torus: circular convolutions of 18 x 18 pixels."""
    torch.manual_seed(3)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 3, padding=1)]
    layers[1].weight.data = layers[0].weight.data + 0.05 * layers[1].weight.data
    fronts = [_front_of_one(layer) for layer in layers]
    key = key_of(fronts[0], canvas=_GREY, rule=Rule(kind="energy", value=0.02), secret=bytes(32))
    found = compare(key, "r", fronts[1])
    assert found.angles is not None
    side = round(math.sqrt(found.angles.ambient))
    bases = []
    for front in fronts:
        cut = key_of(front, canvas=_GREY, rule=key.rule).subspace.cut  # type: ignore[attr-defined]
        unit = torch.eye(side * side).double().view(-1, 1, side, side)
        padded = nn.functional.pad(unit, (1, 1, 1, 1), mode="circular")
        matrix = nn.functional.conv2d(padded, front.weight).flatten(1).T
        _, values, right = torch.linalg.svd(matrix)
        bases.append(right[values <= cut].T)
    direct = principal_angles(*bases).rad2deg()
    assert (found.angles.ours, found.angles.theirs) == tuple(b.shape[1] for b in bases)
    spread = [
        a for a, n in zip(found.angles.degrees, found.angles.times, strict=True) for _ in range(n)
    ]
    # Where a frequency has more of the one than of the other, the whole has right angles besides.
    assert spread == pytest.approx(direct[: len(spread)].tolist(), abs=1e-4)
    assert "one a frequency" in found.no_directions


def _front_of_one(layer: nn.Conv2d) -> Front:
    return find_front(nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2)).eval(), _GREY)


def test_each_insensitive_direction() -> None:
    ours, theirs = _patch(0, out=60), _patch(2, drift=0.2, out=60)
    found = compare(_key(ours, 0.05), "r", theirs)
    matrices = ours.weight.flatten(1), theirs.weight.flatten(1)
    assert len(found.directions) > 3
    assert found.directions == misalignment.directions(*matrices, len(found.directions))
    for one in found.directions:
        assert one.refuted == (one.printed < one.ceiling.estimate * (1 - 1e-9))
    assert worst(found.directions).ceiling.estimate == max(
        one.ceiling.estimate for one in found.directions
    )
    assert found.apart == pytest.approx(
        float(torch.linalg.matrix_norm(matrices[0] - matrices[1], 2))
    )


def test_wedin_applies_to_near_layers_alone() -> None:
    near = compare(_key(_patch(0, out=60), 0.05), "r", _patch(2, drift=1e-5, out=60))
    far = compare(_key(_patch(0, out=60), 0.05), "r", _patch(2, drift=3.0, out=60))
    assert all(one.wedin_applies for one in near.directions)
    assert not any(one.wedin_applies for one in far.directions)


def test_the_counterexample_is_refuted_here_too() -> None:
    ours, theirs = 0.01 * torch.eye(2).double(), torch.diag(torch.tensor([1.0, 5.0])).double()
    found = misalignment.directions(ours, theirs, 2)
    assert [one.refuted for one in found] == [False, True]
    assert found[1].printed == pytest.approx(1.0)
    assert found[1].ceiling.estimate == pytest.approx(5.0)
    assert "it says 1, true is 5" in COUNTEREXAMPLE
    assert misalignment.directions(ours, theirs, 0) == ()


def test_what_cannot_be_compared_says_why() -> None:
    patch, conv = _patch(0), _front(nn.Conv2d(3, 6, 3, stride=2, padding=1))
    found = compare(_key(patch, 0.02), "r", conv)
    assert found.angles is None
    assert found.no_angles == (
        "the layers do not tile alike: this layer reads 4×4, the rival's 3×3 in steps of 2"
    )
    assert "two matrices of one shape" in found.no_directions
    key = _key(_front(nn.Conv2d(3, 6, 3, padding=1)), 0.01)
    assert "different strides" in compare(key, "r", conv).no_angles
    assert compare(_key(patch, 0.02), "r", _patch(1, out=30)).no_directions.endswith(
        "20 and 30 rows"
    )
    null = compare(_key(patch, 1e-12), "r", _patch(1))
    assert "only null directions" in null.no_directions
    full = _patch(1, out=60)
    assert "no insensitive direction" in compare(_key(patch, 1e-12), "r", full).no_angles
    assert found.to_dict()["angles"] is None


def test_quantiles_count_how_often_an_angle_stands() -> None:
    found = Angles(
        where="", ambient=9, ours=4, theirs=6, degrees=(0.0, 10.0, 90.0), times=(1, 2, 1)
    )
    assert [found.quantile(s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0.0, 0.0, 10.0, 10.0, 90.0]
    assert found.forced == 1
    assert found.by_chance == pytest.approx(6 / 9)
