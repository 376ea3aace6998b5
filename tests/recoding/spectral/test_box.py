"""In-box recoding: on the grid, inside the box, unseen by the front, at the strength asked for."""

from typing import NamedTuple

import pytest
import scipy.optimize
import torch

from catch11.canvas.grid import GRIDS, Format, Grid, psnr
from catch11.fronts.front import Front
from catch11.recoding.spectral.box import Effort, recode_tiles
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import tile_subspace
from tests.subspaces.test_tiles import dense_front, patch_front

NULL = Rule(kind="energy", value=0.0)


class Row(NamedTuple):
    name: str
    front: Front
    decibel: float


ROWS = [
    Row("patch 20 dB", patch_front(40, (8, 8), (3, 32, 32)), 20.0),
    Row("patch 10 dB", patch_front(40, (8, 8), (3, 32, 32)), 10.0),
    Row("odd window", patch_front(20, (8, 8), (3, 35, 30)), 12.0),
    Row("one channel", patch_front(6, (4, 4), (1, 28, 28)), 11.0),
    Row("dense", dense_front(30, (3, 16, 16)), 12.0),
]


def picture(shape: tuple[int, int, int], *, seed: int = 0) -> torch.Tensor:
    """A smooth picture with some contrast, on the 8-bit grid."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, shape[0], 4, 4, generator=generator)
    image = torch.nn.functional.interpolate(small, size=shape[1:], mode="bicubic").clamp(0, 1)
    return (image * 255).round() / 255


@pytest.mark.parametrize("format", ["png8", "wav32", "tensor"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_strength_grid_and_shift(row: Row, format: Format) -> None:
    grid, window = GRIDS[format], picture(row.front.shape)
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(1))
    made = recode_tiles(row.front, tile_subspace(row.front, NULL), window, noise, psnr=row.decibel, grid=grid)  # fmt: skip
    assert float(psnr(made, window)) == pytest.approx(row.decibel, abs=0.2)
    shift = float(row.front.relative_shift(made.double(), window.double()))
    if grid.bounded:
        assert torch.equal(grid.round(made), made)
        assert grid.low <= made.min()
        assert made.max() <= grid.high
        rounding = (row.front.weight.square().sum() / 12).sqrt() / grid.levels * (grid.high - grid.low)  # fmt: skip
        tiles = max(row.front.apply(window)[0, 0].numel(), 1) ** 0.5
        size = float(row.front.apply(row.front.centred(window)).norm())
        assert shift < Effort().shift + 1.5 * float(rounding) * tiles / size
    else:
        assert shift < 1e-5


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.front.patched], ids=lambda row: row.name
)
@pytest.mark.parametrize("seed", range(3))
def test_no_tile_is_left_with_more_than_three_shares(row: Row, seed: int) -> None:
    """And all of them with no more than what all may have: on a grid so fine that rounding adds nothing."""
    fine, window = Grid(low=0.0, high=1.0, levels=1 << 22), picture(row.front.shape, seed=seed)
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(seed))
    made = recode_tiles(row.front, tile_subspace(row.front, NULL), window, noise, psnr=10.0, grid=fine)  # fmt: skip
    moved = row.front.apply((made - window).double())[0].flatten(1).norm(dim=0)
    allowed = Effort().shift * float(row.front.apply(row.front.centred(window).double()).norm())
    assert float(moved.norm()) <= 1.01 * allowed
    assert float(moved.max()) <= 3.03 * allowed / len(moved) ** 0.5


@pytest.mark.parametrize("seed", range(3))
def test_no_more_is_left_than_a_part_of_what_the_subspace_lets_through(seed: int) -> None:
    """Of a key that lets something through the search ends earlier, and no later than that; without that part it goes on."""
    fine, front = Grid(low=0.0, high=1.0, levels=1 << 22), patch_front(40, (8, 8), (3, 32, 32))
    subspace, window = tile_subspace(front, Rule(kind="energy", value=0.1)), picture(front.shape, seed=seed)  # fmt: skip
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(seed))
    centred = subspace.tiles(front.centred(window).double())
    response = float((centred @ subspace.kept * subspace.gains).norm())
    through = 10.0 ** (-12.0 / 20.0) * window.numel() ** 0.5 * subspace.through
    usual = Effort()
    for part in (usual.part, 0.0):
        made = recode_tiles(
            front, subspace, window, noise, psnr=12.0, grid=fine, effort=Effort(part=part)
        )
        left = subspace.tiles((made - window).double())[0] @ subspace.kept * subspace.gains
        allowed = max(usual.shift * response, part * through)
        assert float(left.norm()) <= 1.01 * allowed
        assert part == 0.0 or float(left.norm()) > usual.shift * response


def test_nearest_point_is_the_nearest() -> None:
    """One tile against scipy's quadratic solver: same point of (x + Ins) ∩ box."""
    front = patch_front(6, (3, 3), (3, 3, 3))
    subspace = tile_subspace(front, NULL)
    window = picture(front.shape, seed=4)
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(2))
    fine = Grid(low=0.0, high=1.0, levels=1 << 20)
    effort = Effort(shift=1e-6, decibel=100.0, rounds=2000, retries=0)
    made = recode_tiles(front, subspace, window, noise, psnr=14.0, grid=fine, effort=effort)
    direction = subspace.project(noise)
    # decibel=100 accepts the first amplitude, so the target is known in closed form.
    target = window + 10 ** (-14.0 / 20) / direction.square().mean().sqrt() * direction
    goal, kept = target.flatten().double().numpy(), subspace.kept.numpy()
    wanted = kept.T @ window.flatten().double().numpy()
    solved = scipy.optimize.minimize(
        lambda v: 0.5 * ((v - goal) ** 2).sum(), window.flatten().double().numpy(), jac=lambda v: v - goal,
        bounds=[(0.0, 1.0)] * goal.size, constraints={"type": "eq", "fun": lambda v: kept.T @ v - wanted, "jac": lambda v: kept.T},
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert solved.success
    torch.testing.assert_close(made.flatten().double(), torch.from_numpy(solved.x), atol=2e-4, rtol=0)  # fmt: skip


def test_beyond_reach_gives_the_nearest() -> None:
    """A white picture has no room: nothing moves much, nothing fails, the front sees nothing."""
    front = patch_front(40, (8, 8), (3, 32, 32))
    window = torch.ones(1, 3, 32, 32)
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(3))
    made = recode_tiles(front, tile_subspace(front, NULL), window, noise, psnr=3.0, grid=GRIDS["png8"])  # fmt: skip
    assert float(psnr(made, window)) > 3.0
    assert made.min() >= 0.0
    assert made.max() <= 1.0


def test_result_does_not_depend_on_noise_outside() -> None:
    front = patch_front(40, (8, 8), (3, 32, 32))
    subspace, window = tile_subspace(front, NULL), picture(front.shape)
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(5))
    other = noise + (torch.randn(1, 640) @ front.explicit().float()).reshape(window.shape)
    made = [recode_tiles(front, subspace, window, n, psnr=15.0, grid=GRIDS["png8"]) for n in (noise, other)]  # fmt: skip
    assert (made[0] - made[1]).abs().max() <= 1 / 255 + 1e-6
