"""Closing: steps of L-BFGS against its matrix form, and maps that steps by signs do not reach."""

import pytest
import torch
from torch import Tensor

from catch11.canvas.grid import GRIDS
from catch11.recoding.deep.approach import Approach
from catch11.recoding.deep.closing import Closing
from catch11.recoding.deep.descent import LEVEL, Run, Way, descend, rms

SHAPE = (3, 4, 4)
COUNT = 48


def run_of(start: Tensor) -> Run:
    return Run(torch.arange(len(start)), start, start)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix_step(points: list[Tensor], slopes: list[Tensor], pairs: int) -> Tensor:
    """The step of one image by BFGS updates of a dense inverse, Nocedal and Wright (6.17) and (7.20)."""
    found = list(zip(points, points[1:], slopes, slopes[1:], strict=False))[-pairs:]
    moves = [(b - a, d - c) for a, b, c, d in found]
    s, y = moves[-1]
    inverse = torch.eye(COUNT, dtype=torch.float64) * ((s @ y) / (y @ y))
    for s, y in moves:
        rho, eye = 1.0 / (s @ y), torch.eye(COUNT, dtype=torch.float64)
        left = eye - rho * torch.outer(s, y)
        inverse = left @ inverse @ left.T + rho * torch.outer(s, s)
    return inverse @ slopes[-1]


@pytest.mark.parametrize("pairs", [1, 3, 8])
def test_steps_are_those_of_the_matrix_form(pairs: int) -> None:
    root = drawn(COUNT, COUNT, seed=1)
    bowl = root @ root.T / COUNT + 0.1 * torch.eye(COUNT, dtype=torch.float64)
    closing = Closing(steps=9, longest=255.0, pairs=pairs)
    start = 0.5 + 1e-3 * drawn(2, *SHAPE, seed=2)
    run, points, slopes = run_of(start), [], []
    for step in range(6):
        slope = (run.at.flatten(1) - 0.5) @ bowl
        points.append(run.at.flatten(1))
        slopes.append(slope)
        moved = closing.move(run, slope.view(2, *SHAPE), torch.zeros(2), step)
        if step:
            for row in range(2):
                expected = matrix_step([p[row] for p in points], [s[row] for s in slopes], pairs)
                torch.testing.assert_close((run.at - moved)[row].flatten(), expected)
        run.at = moved


def test_a_step_stays_in_ball_box_and_length_and_goes_downhill_whatever_it_remembers() -> None:
    start = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(3))
    closing, run = Closing(steps=9, last=20.0, longest=6.0), run_of(start)
    for step in range(8):
        slope = drawn(4, *SHAPE, seed=step).float()  # of no function at all
        moved = closing.move(run, slope, torch.zeros(4), step)
        assert (rms(moved - run.at) <= 6.0 * LEVEL + 1e-6).all()
        assert ((moved - start).abs() <= 20.0 * LEVEL + 1e-6).all()
        assert moved.min() >= 0.0
        assert moved.max() <= 1.0
        held = ((moved - start).abs() >= 20.0 * LEVEL - 1e-6) | (moved <= 0.0) | (moved >= 1.0)
        free = ~held.flatten(1).any(1)
        assert ((slope * (moved - run.at)).sum((1, 2, 3))[free] < 0.0).all()
        run.at = moved


def test_an_image_steps_as_it_would_alone() -> None:
    start = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(4))
    whole, alone = run_of(start), run_of(start[1:2])
    closing = Closing(steps=9)
    for step in range(6):
        slope = drawn(3, *SHAPE, seed=10 + step).float()
        if step == 3:  # the first image has arrived
            whole.keep(torch.tensor([False, True, True]))
        whole.at = closing.move(whole, slope[whole.rows], torch.zeros(len(whole.rows)), step)
        alone.at = closing.move(alone, slope[1:2], torch.zeros(1), step)
    torch.testing.assert_close(whole.at[0], alone.at[0])


class Curved:
    """A steep and bent map: its squares are descended; agrees within .05."""

    def __init__(self, start: Tensor, *, power: int) -> None:
        self.power = power
        self.map = drawn(24, COUNT, seed=5).float() * torch.logspace(0, -1.5, 24)[:, None]
        self.wanted = self._made(start + 0.1 * drawn(*start.shape, seed=6).float())

    def _made(self, points: Tensor) -> Tensor:
        return torch.tanh(points.flatten(1) @ self.map.T)

    def gap(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        off = (self._made(points) - self.wanted[rows]).norm(dim=1)
        return 0.01 - off, off**self.power

    def confirm(self, points: Tensor, rows: Tensor, gap: Tensor) -> Tensor:
        return gap


def test_it_meets_what_steps_by_signs_do_not_and_what_it_met_is_on_the_grid() -> None:
    start = 0.3 + 0.4 * torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))
    reached = []
    ways: tuple[Way, ...] = (Closing(steps=60), Approach(steps=60, bound=0.01))
    for way, power in zip(ways, (2, 1), strict=True):
        objective = Curved(start, power=power)
        found = descend(start, objective, way, GRIDS["png8"])
        assert torch.equal(found.points, GRIDS["png8"].round(found.points))
        rows = torch.arange(6)
        torch.testing.assert_close(objective.gap(found.points, rows)[0] >= 0.0, found.gaps >= 0.0)
        reached.append(int((found.gaps >= 0.0).sum()))
    assert reached[0] == 6
    assert reached[1] < 6
