"""Descent inside a ball, by steps along momentum or others: an image stops at the first point that does.

Every point judged is on the grid of the format, so what agreed is what is written. The gradient
passes the rounding straight through, but for ways that step between the levels: theirs is taken where they are.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.grid import Grid
from catch11.errors import InvalidArgument

LEVEL = 1.0 / 255.0
LARGEST = 255.0


@runtime_checkable
class Objective(Protocol):
    """What a descent asks about points on the grid; `rows` says which images of the batch they are."""

    def gap(
        self, points: Float[Tensor, "some channel height width"], rows: Int[Tensor, " some"]
    ) -> tuple[Float[Tensor, " some"], Float[Tensor, " some"]]:
        """(gap, pull): the image agrees where gap ≥ 0; pull is what is descended, differentiable."""
        ...

    def confirm(
        self,
        points: Float[Tensor, "some channel height width"],
        rows: Int[Tensor, " some"],
        gap: Float[Tensor, " some"],
    ) -> Float[Tensor, " some"]:
        """The gap by the real judge, asked of points whose `gap` agrees; the final word."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How far and how fast.

    first, last: radius of the ball about the start, in 255ths, at the first step and from `grow`
    (share of the steps) on. pace: step length as a share of the radius, falling to nothing at the last
    step. momentum: kept share of the running direction. norm: what a radius bounds, the change of any
    pixel (steps go by signs) or its root mean square (steps go along the gradient).
    """

    smooth: ClassVar[bool] = False

    steps: int
    first: float
    last: float
    grow: float = 0.7
    pace: float = 0.5
    momentum: float = 0.75
    norm: Literal["largest", "mean"] = "largest"

    def __post_init__(self) -> None:
        check_reach(self.steps, self.last)
        if not 0.0 < self.first <= self.last:
            raise InvalidArgument(
                "radius", expected=f"above 0, at most {self.last:g}", found=self.first
            )

    def radius(self, step: int) -> float:
        """Radius of the ball at a step, in pixel units."""
        share = 1.0 if self.grow <= 0.0 else min(1.0, step / max(1.0, self.grow * self.steps))
        return LEVEL * (self.first + share * (self.last - self.first))

    def length(self, step: int) -> float:
        """Length of a step in every pixel, in pixel units."""
        return self.pace * self.radius(step) * (1.0 - step / (self.steps + 1))

    def move(self, run: "Run", slope: Tensor, gap: Tensor, step: int) -> Tensor:
        """One step along the momentum, back into the ball and the box."""
        motion = self.momentum * run.held.get("motion", torch.zeros_like(slope)) + _unit(slope)
        run.held["motion"] = motion
        radius, length = self.radius(step + 1), self.length(step)
        if self.norm == "mean":
            moved = run.at - length * motion / rms(motion).clamp_min(1e-20)
            change = moved - run.start
            inside = change * (radius / rms(change).clamp_min(1e-20)).clamp_max(1.0)
            return (run.start + inside).clamp(0.0, 1.0)
        low, high = (run.start - radius).clamp_min(0.0), (run.start + radius).clamp_max(1.0)
        return (run.at - length * motion.sign()).clamp(low, high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Descended:
    """Where each image stopped: its point, the gap there (≥ 0: it agrees), the steps it took."""

    points: Float[Tensor, "batch channel height width"]
    gaps: Float[Tensor, " batch"]
    steps: Int[Tensor, " batch"]


@dataclass(slots=True)
class Run:
    """The images still on their way, and what a way of stepping holds of each from step to step."""

    rows: Tensor
    start: Tensor
    at: Tensor
    held: dict[str, Tensor] = field(default_factory=dict)

    def keep(self, mask: Tensor) -> None:
        self.rows, self.start, self.at = self.rows[mask], self.start[mask], self.at[mask]
        self.held = {name: values[mask] for name, values in self.held.items()}


@runtime_checkable
class Way(Protocol):
    """How a descent steps, at most so often. smooth: between the levels of the format."""

    smooth: ClassVar[bool]

    @property
    def steps(self) -> int: ...

    def move(self, run: Run, slope: Tensor, gap: Tensor, step: int) -> Tensor:
        """Where the images go, which are at `gap`, a number each, from agreement."""
        ...


def check_reach(steps: int, radius: float) -> None:
    """Raises InvalidArgument for a number of steps that is none, and a radius in 255ths that is none."""
    if not 1 <= steps <= 100_000:
        raise InvalidArgument("steps", expected="1 to 100000", found=steps)
    if not 0.0 < radius <= LARGEST:
        raise InvalidArgument("radius", expected="above 0, at most 255, in 255ths", found=radius)


def descend(
    start: Float[Tensor, "batch channel height width"],
    objective: Objective,
    way: Way,
    grid: Grid,
) -> Descended:
    """Move each start until its image agrees; the slow ones go on alone to the last step.

    start: in [0, 1]. An image that never agrees comes back at its best point.
    """
    best = grid.round(start).clone()
    gaps = torch.full((len(start),), float("-inf"), device=start.device)
    taken = torch.full((len(start),), way.steps, device=start.device)
    run = Run(torch.arange(len(start), device=start.device), start, start)
    for step in range(way.steps + 1):
        at = run.at if way.smooth else grid.round(run.at)
        points = at.detach().clone().requires_grad_(True)
        gap, pull = objective.gap(points, run.rows)
        (slope,) = torch.autograd.grad(pull.sum(), points)
        points, gap = grid.round(points.detach()), gap.detach()
        ready = gap >= 0.0
        if way.smooth and ready.any():
            with torch.no_grad():
                gap[ready] = objective.gap(points[ready], run.rows[ready])[0]
            ready = gap >= 0.0
        if ready.any():
            gap[ready] = objective.confirm(points[ready], run.rows[ready], gap[ready])
        better = gap > gaps[run.rows]
        best[run.rows[better]], gaps[run.rows[better]] = points[better], gap[better]
        done = gap >= 0.0
        taken[run.rows[done]] = step
        run.keep(~done)
        if step == way.steps or not len(run.rows):
            break
        run.at = way.move(run, slope[~done], gap[~done], step)
    return Descended(points=best, gaps=gaps, steps=taken)


def _unit(slope: Tensor) -> Tensor:
    return slope / slope.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)


def rms(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch 1 1 1"]:
    """The root mean square of each image."""
    return images.square().mean((1, 2, 3), keepdim=True).sqrt()
