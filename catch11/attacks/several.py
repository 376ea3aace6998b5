"""Attacks with further releases of the same pictures: averaging, extrapolating, colluding."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.blind import tile_contrast, tile_sizes
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.tiles import cut, moments, paste, seen_by_difference, widest_gap

_RIDGE = 1e-4  # pixel units squared, as for one release


@register
class Average(Attack):
    """The mean of several releases: independent noise loses 10·log₁₀(releases) dB."""

    name = "average"
    knowledge = frozenset({"released", "others"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        stack = torch.stack([material.released, *material.others])
        yield Attempt(setting=f"mean of {len(stack)}", images=stack.mean(0).clamp(0, 1))
        if len(stack) > 2:
            middle = stack.median(0).values
            yield Attempt(setting=f"median of {len(stack)}", images=middle.clamp(0, 1))


@register
class Extrapolate(Attack):
    """Two strengths along one noise, x + a·z and x + b·z, lie on a line through x."""

    name = "extrapolate"
    knowledge = frozenset({"released", "others"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        for number, other in enumerate(material.others):
            step = material.released - other
            for reach in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
                for sign in (reach, -1.0 - reach):
                    images = (material.released + sign * step).clamp(0, 1)
                    yield Attempt(setting=f"other {number}, reach {sign}", images=images)


@register
class Collude(Attack):
    """Licensees of several models pool their releases: what one front does not see, another may.
    Each release's seen directions are estimated blindly, then all are fitted together."""

    name = "collude"
    knowledge = frozenset({"released", "others", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        usual = material.public
        assert usual is not None
        releases = (material.released, *material.others)
        sizes = tile_sizes(material.released)
        sizes.sort(key=lambda size: -tile_contrast(material.released, usual, size))
        for size in sizes[:2]:
            mean, public = moments(cut(usual, size).flatten(0, 1))
            bases, parts = [], []
            for windows in releases:
                tiles = cut(windows, size)
                _, covariance = moments(tiles.flatten(0, 1))
                vectors, values = seen_by_difference(covariance, public, weight=2.0)
                bases.append(vectors[:, : widest_gap(values)])
                parts.append((tiles - mean) @ bases[-1])
            gain = pooled_gain(torch.cat(bases, dim=1), public)
            images = paste(torch.cat(parts, dim=-1) @ gain.T + mean, material.released, size)
            yield Attempt(setting=f"tile {size[0]}, {len(releases)} releases", images=images)


def pooled_gain(
    seen: Float[Tensor, "pixel observation"], covariance: Float[Tensor, "pixel pixel"]
) -> Float[Tensor, "pixel observation"]:
    """G of E[x | Bᵀx] = mean + G·Bᵀ(x − mean), the columns of B not orthogonal to each other."""
    inner = seen.T @ covariance @ seen
    inner = inner + _RIDGE * torch.eye(len(inner), dtype=inner.dtype)
    return torch.linalg.solve(inner, seen.T @ covariance).T
