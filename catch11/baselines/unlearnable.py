"""Error-minimising noise (Huang et al. 2021, "Unlearnable Examples"): pictures bad to train on.

Noise and a surrogate are trained in turns, both to make the loss small, until the noise explains the
labels by itself and a net trained on it learns nothing else. It is meant against training: a finished
model reads the pictures, for the noise is too small to hide them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from catch11.canvas.grid import GRIDS
from catch11.errors import InvalidArgument

PROTECTS = "against training from scratch on the release alone; finished models read it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMinimising:
    """radius: largest change of a pixel, in 255ths. rounds: surrogate and noise in turn. batches: of
    `batch` pictures the surrogate sees a round; few, so that it learns the noise before the pictures.
    steps: of the noise a round, each a fourth of the radius. rate: of Adam, for the surrogate. per:
    one noise a picture, or one a class: stronger, and removed by who averages a class."""

    radius: float = 8.0
    rounds: int = 20
    batches: int = 10
    steps: int = 10
    rate: float = 2e-3
    batch: int = 64
    per: Literal["picture", "class"] = "picture"

    def __post_init__(self) -> None:
        if not 0 < self.radius <= 255:
            raise InvalidArgument("radius", expected="above 0, at most 255", found=self.radius)
        for name in ("rounds", "batches", "steps", "rate", "batch"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidArgument(name, expected="above 0", found=getattr(self, name))
        if self.per not in ("picture", "class"):
            raise InvalidArgument("per", expected="picture or class", found=self.per)


def unlearnable(
    windows: Float[Tensor, "batch channel height width"],
    labels: Int[Tensor, " _"],
    surrogate: nn.Module,
    settings: ErrorMinimising,
    *,
    generator: torch.Generator,
) -> Float[Tensor, "batch channel height width"]:
    """Windows with noise of their own, in [0, 1] on the 8-bit grid, within the radius.

    surrogate: an untrained classifier of windows; it is trained in place.
    """
    if len(windows) != len(labels):
        raise InvalidArgument(
            "labels", expected=f"{len(windows)}, one a picture", found=len(labels)
        )
    grid = GRIDS["png8"]
    noise = torch.zeros_like(windows)
    groups = labels if settings.per == "class" else torch.arange(len(windows))
    surrogate.requires_grad_(True).train()
    optimiser = torch.optim.Adam(surrogate.parameters(), lr=settings.rate)
    for _ in range(settings.rounds):
        for _ in range(settings.batches):
            index = torch.randint(len(windows), (settings.batch,), generator=generator)
            loss = functional.cross_entropy(
                surrogate((windows[index] + noise[index]).clamp(0, 1)), labels[index]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        surrogate.eval()
        noise = _descend(surrogate, windows, labels, noise, groups, settings)
        surrogate.train()
    surrogate.eval()
    # Rounding to the grid may leave the radius by half a step, so it is held on the grid's index.
    whole = torch.floor(torch.tensor(settings.radius + 1e-6)) / 255
    made = grid.round(grid.clip(windows + noise))
    near = grid.round(windows)
    return grid.round(grid.clip(made.clamp(near - whole, near + whole)))


def _descend(
    surrogate: nn.Module,
    windows: Tensor,
    labels: Tensor,
    noise: Tensor,
    groups: Tensor,
    settings: ErrorMinimising,
) -> Tensor:
    """Sign steps that make the loss small, one direction for all pictures of a group."""
    radius = settings.radius / 255
    for _ in range(settings.steps):
        slopes = []
        for index in torch.arange(len(windows)).split(settings.batch):
            part = noise[index].requires_grad_(True)
            loss = functional.cross_entropy(
                surrogate((windows[index] + part).clamp(0, 1)), labels[index], reduction="sum"
            )
            slopes.append(torch.autograd.grad(loss, part)[0])
        slope = torch.cat(slopes)
        total = torch.zeros(int(groups.max()) + 1, *slope.shape[1:]).index_add_(0, groups, slope)
        noise = (noise - radius / 4 * total[groups].sign()).clamp(-radius, radius)
    return noise
