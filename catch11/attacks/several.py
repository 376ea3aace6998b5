"""Attacks with further releases of the same pictures: averaging, extrapolating, colluding."""

from collections.abc import Iterator, Sequence
from itertools import chain, product

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.blind import (
    WEIGHTS,
    filtered_tiles,
    filtered_waves,
    tile_contrast,
    tile_sizes,
)
from catch11.attacks.frame import Attack, Attempt, Material, Windows, register
from catch11.attacks.tiles import (
    cut,
    moments,
    noise_of,
    paste,
    pooled_wiener,
    seen_by_difference,
    widest_gap,
)

_RIDGE = 1e-4  # pixel units squared, as for one release
_FLOORS = (1e-3, 1e-2)  # of noise, pixel units squared: a pool trusts most what it underrates


@register
class Average(Attack):
    """The mean of several releases: independent noise loses 10·log₁₀(releases) dB."""

    name = "average"
    cost = "untrained"
    knowledge = frozenset({"released", "others"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        stack = torch.stack([material.released, *material.others])
        yield Attempt(setting=f"mean of {len(stack)}", restored=stack.mean(0).clamp(0, 1))
        if len(stack) > 2:
            middle = stack.median(0).values
            yield Attempt(setting=f"median of {len(stack)}", restored=middle.clamp(0, 1))


@register
class Extrapolate(Attack):
    """Two strengths along one noise, x + a·z and x + b·z, lie on a line through x."""

    name = "extrapolate"
    cost = "untrained"
    knowledge = frozenset({"released", "others"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        for number, other in enumerate(material.others):
            step = material.released - other
            for reach in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
                for sign in (reach, -1.0 - reach):
                    images = (material.released + sign * step).clamp(0, 1)
                    yield Attempt(setting=f"other {number}, reach {sign}", restored=images)


@register
class Collude(Attack):
    """Licensees of several models pool their releases: what one front does not see, another may.
    Each release is tried as it is and filtered blindly by itself, with tiles of its own; then their
    mean, a filter that weighs all of them by their noise, and the seen directions of all together."""

    name = "collude"
    cost = "untrained"
    knowledge = frozenset({"released", "others", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        public = material.public
        assert public is not None
        releases = (material.released, *material.others)
        for number, windows in enumerate(releases):
            yield Attempt(setting=f"release {number} as it is", restored=windows)
        mean = torch.stack(releases).mean(0)
        yield Attempt(setting=f"mean of {len(releases)}", restored=mean.clamp(0, 1))
        likely = [likely_tiles(windows, public) for windows in releases]
        for number, (windows, sizes) in enumerate(zip(releases, likely, strict=True)):
            alone = [filtered_tiles(windows, public, size) for size in sizes]
            for setting, images in chain(*alone, filtered_waves(windows, public)):
                yield Attempt(setting=f"release {number} alone, {setting}", restored=images)
        sharpest = dict.fromkeys(chain(*(sizes[:1] for sizes in likely)))
        for size, weight, floor in product(sharpest, WEIGHTS, _FLOORS):
            setting = f"all filtered, tile {size[0]}, weight {weight:.0f}, floor {floor:g}"
            images = weighed_together(releases, public, size, weight=weight, floor=floor)
            yield Attempt(setting=setting, restored=images)
        for size in likely[0]:
            setting = f"tile {size[0]}, {len(releases)} releases"
            yield Attempt(setting=setting, restored=seen_together(releases, public, size))


def likely_tiles(released: Windows, public: Windows, *, most: int = 2) -> list[tuple[int, int]]:
    """The tile sizes that split directions most sharply, the sharpest first."""
    sizes = tile_sizes(released)
    return sorted(sizes, key=lambda size: -tile_contrast(released, public, size))[:most]


def weighed_together(
    releases: Sequence[Windows],
    public: Windows,
    size: tuple[int, int],
    *,
    weight: float,
    floor: float,
) -> Windows:
    """One picture from its releases: each counts, direction by direction of a tile, as it is quiet.
    weight, floor (pixel units squared): of what is taken for a release's noise, see `noise_of`."""
    mean, usual = moments(cut(public, size).flatten(0, 1))
    tiles = [cut(windows, size) for windows in releases]
    noises = [
        noise_of(moments(one.flatten(0, 1))[1], usual, weight=weight, floor=floor) for one in tiles
    ]
    gains = pooled_wiener(noises, usual)
    parts = [(one - mean) @ gain.T for one, gain in zip(tiles, gains, strict=True)]
    return paste(torch.stack(parts).sum(0) + mean, releases[0], size)


def seen_together(releases: Sequence[Windows], public: Windows, size: tuple[int, int]) -> Windows:
    """One picture from the directions that each release's front seems to see, fitted together."""
    mean, usual = moments(cut(public, size).flatten(0, 1))
    bases, parts = [], []
    for windows in releases:
        tiles = cut(windows, size)
        _, covariance = moments(tiles.flatten(0, 1))
        vectors, values = seen_by_difference(covariance, usual, weight=2.0)
        bases.append(vectors[:, : widest_gap(values)])
        parts.append((tiles - mean) @ bases[-1])
    gain = pooled_gain(torch.cat(bases, dim=1), usual)
    return paste(torch.cat(parts, dim=-1) @ gain.T + mean, releases[0], size)


@register
class NearDuplicates(Attack):
    """Further releases of nearly the same picture, as frames of a film or crops are: each is moved
    onto the first, then averaged where they overlap."""

    name = "near-duplicates"
    cost = "untrained"
    knowledge = frozenset({"released", "others"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        released = material.released
        total, count = released.clone(), torch.ones_like(released)
        for other in material.others:
            moved, there = aligned(other, released)
            total, count = total + moved, count + there
        setting = f"{1 + len(material.others)} aligned"
        yield Attempt(setting=setting, restored=(total / count).clamp(0, 1))


def aligned(
    moving: Float[Tensor, "batch channel height width"],
    fixed: Float[Tensor, "batch channel height width"],
    *,
    reach: int = 24,
) -> tuple[
    Float[Tensor, "batch channel height width"], Float[Tensor, "batch channel height width"]
]:
    """Windows shifted by whole pixels, at most `reach`, to match others; 0 where nothing is left,
    and a mask of what is there. The shift is that of the least mean square difference, of smooth copies, where they overlap."""
    height, width = fixed.shape[-2:]
    reach = min(reach, height // 2 - 1, width // 2 - 1)
    one, other = (_smooth(part) for part in (fixed, moving))
    there = torch.ones_like(one)
    overlap = _correlation(there, there)
    energy = _correlation(one.square(), there) + _correlation(there, other.square())
    away = (energy - 2 * _correlation(one, other)) / overlap.clamp(min=1.0)
    near = [*range(reach + 1), *range(-reach, 0)]
    places = away[:, near][:, :, near].flatten(1).argmin(1).tolist()
    made, masks = [], []
    for window, place in zip(moving, places, strict=True):
        shift = (near[place // len(near)], near[place % len(near)])
        mask = torch.zeros_like(window)
        rows, columns = (
            slice(max(step, 0), size + min(step, 0))
            for step, size in zip(shift, (height, width), strict=True)
        )
        mask[:, rows, columns] = 1.0
        made.append(window.roll(shift, (1, 2)) * mask)
        masks.append(mask)
    return torch.stack(made), torch.stack(masks)


def _correlation(
    one: Float[Tensor, "batch height width"], other: Float[Tensor, "batch height width"]
) -> Float[Tensor, "batch wide_height wide_width"]:
    """At [y, x]: the sum over what overlaps of one · other, other moved by (y, x)."""
    size = (2 * one.shape[-2], 2 * one.shape[-1])
    waves = torch.fft.rfft2(one.double(), s=size) * torch.fft.rfft2(other.double(), s=size).conj()
    return torch.fft.irfft2(waves, s=size)


def _smooth(windows: Tensor) -> Tensor:
    """Grey, each pixel the mean of 5 x 5: noise would hide small differences."""
    grey = windows.mean(1, keepdim=True) - 0.5
    wide = torch.nn.functional.pad(grey, (2, 2, 2, 2), mode="replicate")
    return torch.nn.functional.avg_pool2d(wide, 5, stride=1).squeeze(1)


def pooled_gain(
    seen: Float[Tensor, "pixel observation"], covariance: Float[Tensor, "pixel pixel"]
) -> Float[Tensor, "pixel observation"]:
    """G of E[x | Bᵀx] = mean + G·Bᵀ(x − mean), the columns of B not orthogonal to each other."""
    inner = seen.T @ covariance @ seen
    inner = inner + _RIDGE * torch.eye(len(inner), dtype=inner.dtype)
    return torch.linalg.solve(inner, seen.T @ covariance).T
