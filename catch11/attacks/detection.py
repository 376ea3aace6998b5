"""Can released files be told from ordinary pictures, and cleaned without anybody's answers?"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.purify import each, gaussian, median, total_variation
from catch11.errors import Unsuited

Windows = Float[Tensor, "_ channel height width"]
_OCTAVES = 4
LEAST = 4  # public pictures: half to learn from, half to compare with, two of each
_USUAL = 0.95  # share of public pictures that a detector must not call released


def octaves(windows: Windows) -> Float[Tensor, "_ band"]:
    """Log energy of each picture in octaves of frequency, the finest first, and of their colour:
    means of 2 x 2 pixels taken off again and again. In pixel units squared."""
    bands = []
    grey = windows.mean(1, keepdim=True)
    tint = windows - grey
    for part in (grey, tint):
        rest = part
        for _ in range(_OCTAVES):
            if min(rest.shape[-2:]) < 4:
                break
            rest = rest[..., : rest.shape[-2] // 2 * 2, : rest.shape[-1] // 2 * 2]
            coarse = torch.nn.functional.avg_pool2d(rest, 2)
            fine = rest - torch.nn.functional.interpolate(coarse, scale_factor=2)
            bands.append(torch.log(fine.square().mean((1, 2, 3)) + 1e-7))
            rest = coarse
    return torch.stack(bands, dim=1)


def detector(public: Windows) -> Callable[[Windows], Float[Tensor, " _"]]:
    """How far a picture's octaves lie from those of public pictures: a Mahalanobis distance."""
    seen = octaves(public).double()
    mean = seen.mean(0)
    spread = (seen - mean).T @ (seen - mean) / len(seen)
    inverse = torch.linalg.inv(spread + 0.05 * torch.eye(len(spread), dtype=spread.dtype))

    def distance(windows: Windows) -> Tensor:
        away = octaves(windows).double() - mean
        return ((away @ inverse) * away).sum(1).sqrt()

    return distance


@register
class Strip(Attack):
    """A detector finds released files; of many filters each gets the one after which it looks most
    like a public picture. Nobody's answers are needed to choose."""

    name = "strip"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        distance = detector(material.public)
        usual = distance(material.public).quantile(_USUAL)
        released = material.released
        tries = [released, *(each(released, change) for change in _FILTERS)]
        scores = torch.stack([distance(images) for images in tries])
        scores[0] = torch.where(scores[0] <= usual, torch.zeros_like(scores[0]), scores[0])
        chosen = scores.argmin(0)
        images = torch.stack(
            [tries[int(number)][place] for place, number in enumerate(chosen.tolist())]
        )
        found = int((chosen > 0).sum())
        yield Attempt(setting=f"{found} of {len(released)} found and filtered", restored=images)


_FILTERS = (
    *(partial(gaussian, sigma=sigma) for sigma in (0.7, 1.0, 1.5, 2.0, 3.0)),
    *(partial(median, size=size) for size in (3, 5, 7)),
    *(partial(total_variation, weight=weight) for weight in (0.1, 0.3, 0.6)),
)


@register
class Detection(Attack):
    """Whether a released picture looks stranger than a public one to a detector that learned from
    other public ones: an area under the curve of .5 would be hidden, 1 is told apart every time."""

    name = "detection"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def unfit(self, material: Material) -> str:
        public = material.public
        if public is None or len(public) >= LEAST:
            return ""
        return f"needs {LEAST} public pictures to learn from and to compare with, not {len(public)}"

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        released, public = material.released, material.public
        assert public is not None
        if reason := self.unfit(material):
            raise Unsuited(self.name, reason)
        distance = detector(public[::2])
        scores = tuple(distance(windows).tolist() for windows in (released, public[1::2]))
        yield Attempt(setting="released against public", read=scores, rival="octave detector")
