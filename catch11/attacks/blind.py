"""Attacks by someone who knows no model: released files and public pictures alone."""

import warnings
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.tiles import (
    conditional,
    cut,
    inpaint_by_neighbours,
    moments,
    paste,
    seen_by_difference,
    widest_gap,
    wiener,
)
from catch11.lab import needed

Windows = Float[Tensor, "_ channel height width"]
SIZES = (4, 8, 14, 16, 28, 32)  # patch sizes in use; those that do not tile the window are skipped
WEIGHTS = (1.0, 2.0)  # of the public covariance, see `tiles.wiener`
_MOST = 6000  # tiles that FastICA looks at: its time grows with them, its answer hardly changes
_REPEATS = 16  # tiles a picture: the mean of fewer holds content of its own
_SAMPLES = 3  # tiles a pixel of a tile: with fewer a covariance is mostly its own noise


def tile_sizes(windows: Windows, *, least: int = _SAMPLES) -> list[tuple[int, int]]:
    """The usual tile sizes that divide the window and that there are enough tiles of."""
    count, channels, height, width = windows.shape
    return [
        (size, size)
        for size in SIZES
        if height % size == 0
        and width % size == 0
        and count * (height // size) * (width // size) >= least * channels * size * size
    ]


def tile_contrast(released: Windows, public: Windows, size: tuple[int, int]) -> float:
    """How sharply a tile size splits directions into seen and unseen: the widest step of the
    difference spectrum over its range. The true size, or a multiple, stands out."""
    _, ours = moments(cut(released, size).flatten(0, 1))
    _, theirs = moments(cut(public, size).flatten(0, 1))
    values = torch.linalg.eigvalsh(ours - 2.0 * theirs)
    place = widest_gap(values)
    return float((values[place] - values[place - 1]) / values.median().abs().clamp(min=1e-9))


@register
class MeanPatch(Attack):
    """Subtract the mean tile: undoes a release that repeats one noise in every tile (the paper's
    one z for all patches), and nothing else."""

    name = "mean-patch"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        for size in tile_sizes(material.released, least=0):
            tiles = cut(material.released, size)
            if tiles.shape[1] < _REPEATS:
                continue
            usual = cut(material.public, size).mean((0, 1))
            for scope, dims in (("image", (1,)), ("release", (0, 1))):
                shift = tiles.mean(dims, keepdim=True)
                level = shift.mean(-1, keepdim=True) - usual.mean()
                images = paste(tiles - shift + usual + level, material.released, size)
                yield Attempt(setting=f"tile {size[0]}, over the {scope}", restored=images)


@register
class BlindWiener(Attack):
    """A linear filter of tiles from two covariances: released and public."""

    name = "blind-wiener"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        for size in tile_sizes(material.released):
            for setting, images in filtered_tiles(material.released, material.public, size):
                yield Attempt(setting=setting, restored=images)


def filtered_tiles(
    released: Windows, public: Windows, size: tuple[int, int]
) -> Iterator[tuple[str, Windows]]:
    """Released windows through the Wiener filter of their tiles, at each weight: (setting, windows)."""
    tiles = cut(released, size)
    _, ours = moments(tiles.flatten(0, 1))
    usual, theirs = moments(cut(public, size).flatten(0, 1))
    for weight in WEIGHTS:
        gain = wiener(ours, theirs, weight=weight)
        images = paste((tiles - usual) @ gain.T + usual, released, size)
        yield f"tile {size[0]}, weight {weight:.0f}", images


@register
class BlindSubspace(Attack):
    """Estimate the directions that carry no noise, keep them, inpaint the others."""

    name = "blind-subspace"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        released, public = material.released, material.public
        sizes = tile_sizes(released)
        ranked = sorted(sizes, key=lambda size: -tile_contrast(released, public, size))
        for size in ranked[:2]:
            tiles = cut(released, size)
            _, ours = moments(tiles.flatten(0, 1))
            mean, theirs = moments(cut(public, size).flatten(0, 1))
            for weight in WEIGHTS:
                vectors, values = seen_by_difference(ours, theirs, weight=weight)
                pixels = len(values)
                counts = {widest_gap(values), pixels // 4}
                for count in sorted(counts):
                    seen = vectors[:, :count]
                    setting = f"tile {size[0]}, weight {weight:.0f}, {count} directions"
                    gain = conditional(seen, theirs)
                    images = paste((tiles - mean) @ gain.T + mean, released, size)
                    yield Attempt(setting=setting, restored=images)
                    if weight == 2.0 and size == ranked[0]:
                        images = inpaint_by_neighbours(released, public, seen, size)
                        yield Attempt(setting=f"{setting}, with neighbours", restored=images)


@register
class SpectralWiener(Attack):
    """A Wiener filter in frequency, channels together: for noise that is the same everywhere, as
    that of an overlapping convolution."""

    name = "frequency-wiener"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        for setting, images in filtered_waves(material.released, material.public):
            yield Attempt(setting=setting, restored=images)


def filtered_waves(released: Windows, public: Windows) -> Iterator[tuple[str, Windows]]:
    """Released windows through the Wiener filter in frequency, at each floor: (setting, windows)."""
    mean = public.mean((0, 2, 3), keepdim=True)
    ours, theirs = (_density(windows - mean) for windows in (released, public))
    for floor in (0.0, 0.1):
        eye = torch.eye(ours.shape[-1], dtype=ours.dtype)
        scale = theirs.diagonal(dim1=-2, dim2=-1).real.mean(-1)[..., None, None]
        noise = _positive(ours - theirs)
        gain = theirs @ torch.linalg.inv(theirs + noise + (1e-6 + floor) * scale * eye)
        spectrum = torch.fft.fft2((released - mean).double())
        made = torch.einsum("hwij,bjhw->bihw", gain, spectrum)
        images = (torch.fft.ifft2(made).real.to(mean) + mean).clamp(0, 1)
        yield f"floor {floor}", images


def _density(windows: Windows) -> Tensor:
    """Cross-spectral density (height, width, channel, channel), smoothed over 5 x 5 frequencies."""
    spectrum = torch.fft.fft2(windows.double())
    density = torch.einsum("bihw,bjhw->ijhw", spectrum, spectrum.conj()) / len(windows)
    smooth = torch.zeros_like(density)
    for down in range(-2, 3):
        for across in range(-2, 3):
            smooth += density.roll((down, across), (2, 3)) / 25
    return smooth.permute(2, 3, 0, 1)


def _positive(matrices: Tensor) -> Tensor:
    """The nearest positive semidefinite matrices."""
    values, vectors = torch.linalg.eigh((matrices + matrices.mH) / 2)
    return (vectors * values.clamp(min=0)[..., None, :].to(vectors.dtype)) @ vectors.mH


@register
class IndependentComponents(Attack):
    """FastICA of tiles: components of content are heavy-tailed, components of noise are not; the
    latter are dropped and inpainted."""

    name = "fastica"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        FastICA = needed("sklearn.decomposition").FastICA

        assert material.public is not None
        released = material.released
        for size in [size for size in tile_sizes(released) if size[0] <= 16][-1:]:
            tiles = cut(released, size)
            flat = tiles.flatten(0, 1)
            flat = flat[torch.randperm(len(flat), generator=generator)[:_MOST]]
            seed = int(torch.randint(2**31, (1,), generator=generator))
            count = min(flat.shape[1], 256)
            # The quiet directions hold what the front sees; loud ones are noise already.
            mean, covariance = moments(flat)
            _, vectors = torch.linalg.eigh(covariance)
            quiet = vectors[:, :count]
            ica = FastICA(
                whiten="unit-variance", max_iter=25, tol=1e-2, random_state=seed, fun="logcosh"
            )
            with warnings.catch_warnings(action="ignore"):  # it says when it stops early
                sources = torch.from_numpy(ica.fit_transform(((flat - mean) @ quiet).numpy()))
            tails = sources.pow(4).mean(0) / sources.square().mean(0).square()
            unmixing = quiet @ torch.from_numpy(ica.components_.T)
            usual, theirs = moments(cut(material.public, size).flatten(0, 1))
            order = tails.argsort(descending=True)
            for share in (8, 4, 2):
                kept = unmixing[:, order[: flat.shape[1] // share]]
                seen = torch.linalg.qr(kept)[0]
                gain = conditional(seen, theirs)
                images = paste((tiles - usual) @ gain.T + usual, released, size)
                setting = f"tile {size[0]}, {kept.shape[1]} heaviest-tailed components"
                yield Attempt(setting=setting, restored=images)
