"""In-box recoding under convolutions: strength met, box and grid held, the front moved least."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize
import torch

from catch11.canvas.grid import GRIDS, Format, psnr
from catch11.fronts.front import Front
from catch11.recoding.spectral.box_conv import Effort, recode_conv
from catch11.subspaces.conv import ConvSubspace, conv_subspace
from catch11.subspaces.rule import Rule
from tests.recoding.spectral.test_box import picture
from tests.subspaces.test_conv import conv_front_of


def smooth(front: Front) -> Front:
    """The front with low-pass kernels of one colour each, mostly: as trained ones, it has low gains."""
    flat = front.weight.mean((1, 2, 3), keepdim=True).expand_as(front.weight)
    return replace(front, weight=flat + 0.05 * front.weight)


class Row(NamedTuple):
    name: str
    front: Front
    decibel: float


ROWS = [
    Row("stride 1, 20 dB", smooth(conv_front_of(16, (3, 32, 32), padding=(1,) * 4)), 20.0),
    Row("stride 1, 12 dB", smooth(conv_front_of(16, (3, 32, 32), padding=(1,) * 4)), 12.0),
    Row("stride 2, SAME", smooth(conv_front_of(32, (3, 33, 34), stride=(2, 2), padding=(0, 1, 0, 1))), 11.0),
    Row("null space", smooth(conv_front_of(6, (3, 32, 32), kernel=(5, 5), stride=(4, 4), padding=(2,) * 4)), 10.0),
    Row("depthwise", smooth(conv_front_of(6, (3, 20, 20), padding=(1,) * 4, groups=3)), 14.0),
    Row("sound", smooth(conv_front_of(20, (1, 1, 400), kernel=(1, 10), stride=(1, 5))), 12.0),
]  # fmt: skip


def subspace_for(row: Row) -> ConvSubspace:
    return conv_subspace(row.front, Rule(kind="energy", value=1e-3))


def noise_for(window: torch.Tensor, seed: int = 1) -> torch.Tensor:
    return torch.randn(window.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("format", ["png8", "wav32", "tensor"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_strength_grid_and_shift(row: Row, format: Format) -> None:
    grid, window, noise = GRIDS[format], picture(row.front.shape), noise_for(picture(row.front.shape))  # fmt: skip
    made = recode_conv(row.front, subspace_for(row), window, noise, psnr=row.decibel, grid=grid)
    assert float(psnr(made, window)) == pytest.approx(row.decibel, abs=0.05)
    if grid.bounded:
        assert torch.equal(grid.round(made), made)
        assert grid.low <= made.min()
        assert made.max() <= grid.high
    plain = window + 10 ** (-row.decibel / 20) * noise / noise.square().mean().sqrt()
    moved, free = (row.front.relative_shift(image, window) for image in (made, plain))
    assert float(moved) < 0.25 * float(free)


SMALL = [
    Row("stride 1, 12 dB", smooth(conv_front_of(4, (1, 8, 8), padding=(1,) * 4)), 12.0),
    Row("stride 1, 20 dB", smooth(conv_front_of(16, (1, 8, 8), padding=(1,) * 4)), 20.0),
    Row("stride 2, SAME", smooth(conv_front_of(6, (1, 8, 8), stride=(2, 2), padding=(0, 1, 0, 1))), 10.0),
]  # fmt: skip


def columns(linear: Callable[[torch.Tensor], torch.Tensor], window: torch.Tensor) -> np.ndarray:
    """A linear map of windows as a matrix."""
    units = torch.eye(window.numel(), dtype=torch.float64).view(-1, *window.shape)
    found: np.ndarray = torch.stack([linear(unit).flatten() for unit in units], 1).numpy()
    return found


def least_seen(
    matrix: np.ndarray, window: torch.Tensor, start: torch.Tensor, decibel: float
) -> float:
    """The least δᵀMδ on the sphere of that strength inside the box, by scipy's solver."""
    pixels = window.flatten().double().numpy()
    goal = 10 ** (-decibel / 10) * len(pixels)
    solved = scipy.optimize.minimize(
        lambda d: d @ matrix @ d, start.flatten().double().numpy(), jac=lambda d: 2 * matrix @ d,
        bounds=list(zip(-pixels, 1 - pixels, strict=True)), method="SLSQP",
        constraints={"type": "eq", "fun": lambda d: d @ d - goal, "jac": lambda d: 2 * d},
        options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    assert solved.success
    return float(solved.fun)


@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
def test_as_little_is_seen_as_scipy_finds(row: Row) -> None:
    """Of what it descends on a tenth more at most. Of the front itself two thirds more: the spectrum
    of the torus is off at the border, and half of such a window is border."""
    window, noise = picture(row.front.shape), noise_for(picture(row.front.shape))
    subspace, grid = subspace_for(row), GRIDS["wav32"]
    made = recode_conv(
        row.front, subspace, window, noise, psnr=row.decibel, grid=grid,
        effort=Effort(shift=0.0, rounds=300),
    )  # fmt: skip
    delta = (made - window).flatten().double().numpy()
    front = columns(lambda unit: row.front.apply(unit) - row.front.apply(0 * unit), window)
    for matrix, more in (
        (columns(subspace.seen, window), 1.1),
        (front.T @ front, 1.67),
    ):
        seen, least = delta @ matrix @ delta, least_seen(matrix, window, noise, row.decibel)
        assert seen**0.5 <= more * least**0.5


def test_shell_is_met_exactly() -> None:
    """Closed form: a flat ray in a flat picture, half of it out of room."""
    from catch11.recoding.spectral.box_conv import _Shell

    x = torch.full((1, 1, 1, 4), 0.5)
    x[..., :2] = 0.9
    shell = _Shell(x=x, grid=GRIDS["png8"], radius=(0.5 * 0.1**2 + 0.5 * 0.3**2) ** 0.5)
    found = shell.reach(torch.ones(1, 1, 1, 4))
    torch.testing.assert_close(found.flatten(), torch.tensor([0.1, 0.1, 0.3, 0.3]))
    far = _Shell(x=x, grid=GRIDS["png8"], radius=2.0).reach(torch.ones(1, 1, 1, 4))
    torch.testing.assert_close(far.flatten(), torch.tensor([0.1, 0.1, 0.5, 0.5]))
    free = _Shell(x=x, grid=GRIDS["tensor"], radius=2.0).reach(torch.ones(1, 1, 1, 4))
    torch.testing.assert_close(free, torch.full_like(x, 2.0))


def test_strength_is_met_where_rounding_counts() -> None:
    front = ROWS[0].front
    window = picture(front.shape).clamp(0.1, 0.9)
    subspace = conv_subspace(front, Rule(kind="energy", value=1e-3))
    made = recode_conv(front, subspace, window, noise_for(window), psnr=50.0, grid=GRIDS["png8"])
    assert float(psnr(made, window)) == pytest.approx(50.0, abs=0.2)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_beyond_reach_gives_the_nearest(value: float) -> None:
    """A black or white picture leaves half of the noise's signs no room; nothing fails."""
    front = smooth(conv_front_of(16, (3, 16, 16), padding=(1,) * 4))
    subspace = conv_subspace(front, Rule(kind="energy", value=1e-3))
    window = torch.full((1, 3, 16, 16), value)
    made = recode_conv(front, subspace, window, noise_for(window), psnr=1.0, grid=GRIDS["png8"])
    assert 1.0 < float(psnr(made, window)) < 8.0
    assert made.isfinite().all()


def test_other_noise_other_file_same_noise_same_file() -> None:
    row = ROWS[1]
    subspace, window = subspace_for(row), picture(row.front.shape)
    made = [recode_conv(row.front, subspace, window, noise_for(window, s), psnr=12.0, grid=GRIDS["png8"]) for s in (1, 1, 2)]  # fmt: skip
    assert torch.equal(made[0], made[1])
    apart = (made[0] - window).flatten() @ (made[2] - window).flatten()
    assert float(apart) / float((made[0] - window).square().sum()) < 0.3
