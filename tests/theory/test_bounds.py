import math
from typing import NamedTuple

import pytest
import torch
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.keys.key import Key, key_of
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import TileSubspace
from catch11.theory import bounds, misalignment

torch.set_num_threads(1)


def _matrix(rows: int, columns: int, *, seed: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def _holds(interval: Interval, values: torch.Tensor) -> float:
    return float(((values >= interval.low) & (values <= interval.high)).double().mean())


class Law(NamedTuple):
    singular: tuple[float, ...]
    times: int
    confidence: float


LAWS = [
    Law(singular, times, confidence)
    for singular in ((1.0,), (0.0, 0.5, 2.0), (1e-3, 1.0), tuple(0.1 * i for i in range(1, 9)))
    for times in (1, 4, 30)
    for confidence in (0.5, 0.95)
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("method", ["exact", "laurent-massart", "chebyshev"])
def test_gaussian_coverage(law: Law, method: bounds.Method) -> None:
    """At least the confidence; for the exact law of enough degrees of freedom, exactly it."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.tensor(law.singular).repeat(law.times).double()
    draws = torch.randn(6000, len(weights), generator=generator, dtype=torch.float64)
    shifts = (0.3 * draws * weights).norm(dim=1)
    interval = bounds.gaussian_shift(
        law.singular, 0.3, times=law.times, confidence=law.confidence, method=method
    )
    share = _holds(interval, shifts)
    assert share >= law.confidence - 0.025
    freedom = law.times * sum(s > 0 for s in law.singular)
    unequal = law.singular == (1e-3, 1.0)
    if method == "exact" and freedom >= 4 and not unequal:
        assert share == pytest.approx(law.confidence, abs=0.025)
    assert interval.low <= interval.estimate <= interval.high


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_sphere_coverage(law: Law) -> None:
    generator = torch.Generator().manual_seed(2)
    weights = torch.tensor(law.singular).repeat(law.times).double()
    draws = torch.randn(6000, len(weights), generator=generator, dtype=torch.float64)
    shifts = (2.0 * draws / draws.norm(dim=1, keepdim=True) * weights).norm(dim=1)
    interval = bounds.sphere_shift(law.singular, 2.0, times=law.times, confidence=law.confidence)
    sure = bounds.certificate(law.singular, 2.0)
    if sure.low == sure.high:  # one value: every draw moves alike
        assert (interval.low, interval.high) == pytest.approx((sure.low, sure.high))
    else:
        assert _holds(interval, shifts) >= law.confidence - 0.025
    assert sure.low - 1e-12 <= interval.low
    assert interval.high <= sure.high + 1e-12


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_sphere_of_two_and_two(confidence: float) -> None:
    """Of four directions two are seen alike: what is seen of ‖z‖² is uniform, Beta(1, 1)."""
    interval = bounds.sphere_shift((0.0, 1.5), 2.0, times=2, confidence=confidence)
    ends = [3.0 * ((1 + side * confidence) / 2) ** 0.5 for side in (-1, 0, 1)]
    assert (interval.low, interval.high) == pytest.approx((ends[0], ends[2]), rel=1e-4)


def test_no_attack_beats_the_certificate() -> None:
    """The worst direction, found by an eigenvector, is inside and touches the ends."""
    matrix = _matrix(6, 10, seed=3)
    right = torch.linalg.svd(matrix)[2].T
    inside = right[:, 3:]
    values = misalignment.response(matrix, right[:, :3])
    sure = bounds.certificate(values, 1.5)
    worst = torch.linalg.svd(matrix @ inside)[2]
    shifts = torch.stack([(matrix @ inside @ v * 1.5).norm() for v in worst])
    assert sure.low <= float(shifts.min()) + 1e-12
    assert float(shifts.max()) == pytest.approx(sure.high)


def test_noise_norm_is_theorem_1s() -> None:
    """P(‖z‖² ≥ kσ² + t) ≤ 2kσ⁴/t², at the t that makes it half of 1 − confidence."""
    found = bounds.gaussian_shift([1.0], 0.2, times=50, confidence=0.9, method="chebyshev")
    t = math.sqrt(2 * 50 * 0.2**4 / 0.05)
    assert found.high == pytest.approx(math.sqrt(50 * 0.04 + t))


@pytest.mark.parametrize("directions", [4, 60, 5000])
def test_tighter_and_tighter(directions: int) -> None:
    widths = []
    methods: tuple[bounds.Method, ...] = ("exact", "laurent-massart", "chebyshev")
    for method in methods:
        found = bounds.gaussian_shift([1.0], 1.0, times=directions, confidence=0.999, method=method)
        widths.append(found.high)
    assert widths == sorted(widths)


def test_theorem_2_as_printed_is_false() -> None:
    ours, theirs = 0.01 * torch.eye(2).double(), torch.diag(torch.tensor([1.0, 5.0])).double()
    _, found = misalignment.directions(ours, theirs, 2)
    claimed, true = found.printed, found.ceiling
    assert claimed == pytest.approx(1.0)
    assert true.estimate == pytest.approx(5.0)
    assert claimed < true.estimate <= true.high


@pytest.mark.parametrize("seed", range(20))
def test_the_corrected_ceiling_holds(seed: int) -> None:
    ours = _matrix(5, 8, seed=seed)
    theirs = ours + 10.0 ** -(seed % 4) * _matrix(5, 8, seed=seed + 100)
    for index, one in enumerate(misalignment.directions(ours, theirs, 5)):
        found = one.ceiling
        _, _, right = torch.linalg.svd(ours, full_matrices=False)
        exact = float((theirs @ right.flip(0)[index]).norm())
        assert found.estimate == pytest.approx(exact)
        assert found.low <= exact <= found.high


@pytest.mark.parametrize("seed", range(20))
def test_wedin_bounds_the_turn(seed: int) -> None:
    ours = _matrix(5, 8, seed=seed)
    theirs = ours + 1e-3 * _matrix(5, 8, seed=seed + 100)
    for index, one in enumerate(misalignment.directions(ours, theirs, 5)):
        first, second = (torch.linalg.svd(m)[2][:5].flip(0)[index] for m in (ours, theirs))
        turn = float(min((first - second).norm(), (first + second).norm()))
        assert turn <= one.turn + 1e-12


def test_responses() -> None:
    rival = _matrix(4, 9, seed=5)
    basis = torch.linalg.qr(_matrix(9, 9, seed=6))[0]
    inside = basis[:, :6]
    found = misalignment.response(rival, basis[:, 6:])
    assert len(found) == 6
    assert found[:2] == (0.0, 0.0)
    direct = torch.linalg.svdvals(rival @ inside).flip(0).tolist()
    assert found[2:] == pytest.approx(direct)
    assert sum(s * s for s in found) == pytest.approx(float((rival @ inside).norm() ** 2))
    assert bounds.certificate(found, 3.0).low == 0.0
    narrow = misalignment.response(rival, basis[:, 3:])
    assert narrow == pytest.approx(torch.linalg.svdvals(rival @ inside[:, :3]).flip(0).tolist())
    floor = bounds.certificate(narrow, 3.0)
    draws = _matrix(3, 200, seed=7)
    shifts = (rival @ inside[:, :3] @ (3.0 * draws / draws.norm(dim=0))).norm(dim=0)
    assert floor.low > 0
    assert float(shifts.min()) >= floor.low


def _front(kernel: int, stride: int, seed: int) -> Front:
    torch.manual_seed(seed)
    layer = nn.Conv2d(3, 5, kernel, stride=stride)
    return find_front(
        nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2)).eval(), plain_canvas(16, 16)
    )


@pytest.fixture(scope="module")
def key() -> Key:
    return key_of(
        _front(8, 8, 0),
        canvas=plain_canvas(16, 16),
        rule=Rule(kind="energy", value=0.3),
        secret=bytes(32),
    )


def test_bounds_of_a_key_hold_for_its_noise(key: Key) -> None:
    rivals = {"tiles": _front(8, 8, 1), "overlapping": _front(3, 2, 2)}
    found = bounds.bounds_of_key(key, psnr=12.0, rivals=rivals)
    names = {(bound.of, bound.name) for bound in found}
    assert ("overlapping", "sampled") in names
    assert ("tiles", "sphere") in names
    radius = 10 ** (-12 / 20) * math.sqrt(768)
    generator = torch.Generator().manual_seed(9)
    noise = key.subspace.project(torch.randn(400, 3, 16, 16, generator=generator))
    noise = noise * (radius / noise.flatten(1).norm(dim=1))[:, None, None, None]
    for bound in found:
        front = key.front if bound.of == "authorized" else rivals[bound.of]
        shifts = front.apply(noise.double()).flatten(1).norm(dim=1)
        assert _holds(bound.interval, shifts) >= bound.interval.confidence - 0.05, bound
        assert bound.to_dict()["low"] == bound.interval.low


def test_an_unclipped_release_keeps_the_certificate(key: Key) -> None:
    clean = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(4))
    released = SpectralRecoder(key, psnr=12.0, format="tensor")(clean).images
    for one, other in zip(released.split(1), clean.split(1), strict=True):
        radius = float((one - other).norm())
        assert isinstance(key.subspace, TileSubspace)
        values = misalignment.response(key.front.weight.flatten(1), key.subspace.kept)
        moved = float(key.front.apply((one - other).double()).norm())
        assert moved <= bounds.certificate(values, radius).high * (1 + 1e-5)


def test_refusals(key: Key) -> None:
    with pytest.raises(InvalidArgument, match="singular: expected values of 0 or more"):
        bounds.certificate([], 1.0)
    with pytest.raises(InvalidArgument, match="radius: expected a finite number"):
        bounds.certificate([1.0], -1.0)
    with pytest.raises(InvalidArgument, match="confidence: expected a number between"):
        bounds.gaussian_shift([1.0], 1.0, times=9, confidence=1.0)
    with pytest.raises(InvalidArgument, match="rival: expected the shape"):
        misalignment.directions(torch.eye(2).double(), torch.eye(3).double(), 1)
    with pytest.raises(InvalidArgument, match="inside: expected at most 2, found 3"):
        misalignment.directions(torch.eye(2).double(), torch.eye(2).double(), 3)
    other = key_of(
        _front(4, 4, 3), canvas=plain_canvas(16, 16), rule=Rule(kind="energy", value=0.3)
    )
    small = find_front(nn.Sequential(nn.Conv2d(3, 5, 4, stride=4)).eval(), plain_canvas(8, 8))
    with pytest.raises(InvalidArgument, match="rival small: expected a window"):
        bounds.bounds_of_key(other, psnr=10.0, rivals={"small": small})
