"""The approach: a step falls by what is needed, stays in ball and box, and the ball grows where it must."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from catch11.canvas.grid import GRIDS
from catch11.errors import InvalidArgument
from catch11.recoding.deep.approach import Approach, flattened
from catch11.recoding.deep.closing import Closing
from catch11.recoding.deep.descent import LEVEL, Run, descend

SHAPE = (3, 4, 4)


def run_of(start: Tensor) -> Run:
    return Run(torch.arange(len(start)), start, start)


def slope(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


class Row(NamedTuple):
    need: float  # of the bound 1: what a straight slope is to fall
    radius: float  # 255ths


@pytest.mark.parametrize("row", [Row(0.02, 3.0), Row(0.3, 3.0), Row(0.3, 16.0)], ids=repr)
def test_a_step_is_the_shortest_that_falls_by_what_is_needed(row: Row) -> None:
    """Against a search over many lengths, one after another."""
    start, way = torch.full((2, *SHAPE), 0.5), slope(2)
    approach = Approach(steps=9, bound=1.0, first=row.radius, last=row.radius, longest=255.0)
    run = run_of(start)
    moved = approach.move(run, way, torch.full((2,), 0.1 - row.need), 0)
    assert (moved - start).abs().max() <= row.radius * LEVEL + 1e-6
    for one, at, end in zip(way, start, moved, strict=True):
        lengths = torch.linspace(0.0, 0.3, 30_001)[:, None, None, None]
        tried = (at - lengths * one.sign()).clamp(at - row.radius * LEVEL, at + row.radius * LEVEL)
        falls = (one * (at - tried)).sum((1, 2, 3))
        enough = (falls >= row.need).nonzero()
        first = tried[int(enough[0])] if len(enough) else tried[-1]
        assert (first - end).abs().max() < 1e-3


def test_the_ball_grows_where_it_holds_no_such_step_and_where_a_step_gained_little() -> None:
    start, way = torch.full((2, *SHAPE), 0.5), slope(2)
    approach = Approach(steps=9, bound=0.1, first=2.0, last=8.0)
    run, near = run_of(start), torch.tensor([-1e-3, -5.0])
    approach.move(run, way, near, 0)
    assert run.held["radius"].flatten().tolist() == pytest.approx([2 * LEVEL, 2.1 * LEVEL])
    approach.move(run, way, near, 1)  # nothing gained
    assert run.held["radius"].flatten().tolist() == pytest.approx([2.1 * LEVEL, 2.205 * LEVEL])
    for step in range(2, 40):
        approach.move(run, way, near, step)
    assert run.held["radius"].flatten().tolist() == pytest.approx([8 * LEVEL] * 2)


class Linear:
    """The distance of a linear map from a wanted value; agrees within .05."""

    def __init__(self, start: Tensor) -> None:
        generator = torch.Generator().manual_seed(3)
        self.map = torch.randn(5, 48, generator=generator)
        far = 0.02 * torch.randn(len(start), 48, generator=generator)
        self.wanted = (start.flatten(1) + far) @ self.map.T

    def gap(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        off = (points.flatten(1) @ self.map.T - self.wanted[rows]).norm(dim=1)
        return 0.05 - off, off

    def confirm(self, points: Tensor, rows: Tensor, gap: Tensor) -> Tensor:
        return gap


def test_a_map_is_met_in_few_steps_near_the_start() -> None:
    start = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = descend(start, Linear(start), Approach(steps=60, bound=0.05), GRIDS["png8"])
    assert (found.gaps >= 0.0).all()
    assert found.steps.max() < 60
    assert (found.points - start).abs().max() <= (32.0 + 0.5) * LEVEL + 1e-6
    assert torch.equal(found.points, GRIDS["png8"].round(found.points))


def test_flattened_images_hold_each_wave_alike() -> None:
    """Against the transform, value by value, and with the phases as they were."""
    images = slope(3, seed=5).cumsum(3)  # strong at low frequencies
    waves, flat = (torch.fft.fftn(v, dim=(1, 2, 3)) for v in (images, flattened(images)))
    torch.testing.assert_close(flat.abs(), torch.ones(3, *SHAPE), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(flat * waves.abs(), waves, rtol=1e-3, atol=1e-3)
    assert torch.equal(flattened(images[1:2])[0], flattened(images)[1])
    assert torch.equal(flattened(torch.zeros(1, *SHAPE)), torch.zeros(1, *SHAPE))


def test_flat_steps_spread_over_frequencies_what_a_smooth_slope_asks_at_a_few() -> None:
    start, way = torch.full((2, *SHAPE), 0.5), slope(2).cumsum(2).cumsum(3)
    settings = {"steps": 9, "bound": 1.0, "first": 16.0, "last": 16.0, "longest": 255.0}
    shares = []
    for flat in (False, True):
        approach = Approach(**settings, flat=flat)  # type: ignore[arg-type]
        change = approach.move(run_of(start), way, torch.full((2,), -0.2), 0) - start
        assert ((way * -change).sum((1, 2, 3)) >= 0.3 - 1e-4).all()
        power = torch.fft.fftn(change, dim=(1, 2, 3)).abs().square().flatten(1)
        shares.append(power.amax(1) / power.sum(1))
    assert (shares[1] < shares[0]).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"steps": 0}, "steps: expected 1 to 100000"), ({"last": 0.0}, "radius: expected above 0"),
     ({"last": 300.0}, "radius: expected above 0")],
)  # fmt: skip
def test_refuses(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        Approach(**{"steps": 9, "bound": 1.0, **settings})  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=sentence):
        Closing(**{"steps": 9, **settings})  # type: ignore[arg-type]
