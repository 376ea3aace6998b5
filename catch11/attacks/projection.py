"""Attacks by someone who holds the authorized model's first layer: keep what it sees, fill in the
rest. What the authorized model sees of a spectral release is, by construction, not protected."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.tiles import conditional, cut, inpaint_by_neighbours, moments, paste
from catch11.errors import Unsuited
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.tiles import Subspace, TileSubspace

Windows = Float[Tensor, "_ channel height width"]


@register
class ProjectOut(Attack):
    """The insensitive part replaced by that of a grey picture."""

    name = "project-out"
    cost = "untrained"
    knowledge = frozenset({"released", "front"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.subspace is not None
        released = material.released
        grey = released.mean((1, 2, 3), keepdim=True).expand_as(released)
        images = released - material.subspace.project(released - grey)
        yield Attempt(setting="grey", restored=images.clamp(0, 1))


@register
class ProjectInpaint(Attack):
    """The insensitive part filled in with what public pictures say about it: by the covariance of
    tiles and their neighbours for patch fronts, by frequency for overlapping convolutions. rounds: of the
    latter, each number of them; the first alone for patch fronts."""

    name = "project-inpaint"
    cost = "untrained"
    knowledge = frozenset({"released", "front", "public"})

    def __init__(self, rounds: tuple[int, ...] = (8, 32)) -> None:
        self.rounds = rounds

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        subspace, public = material.subspace, material.public
        assert subspace is not None
        assert public is not None
        if isinstance(subspace, TileSubspace):
            yield from _by_tile(subspace, material.released, public)
        rounds = self.rounds[:1] if isinstance(subspace, TileSubspace) else self.rounds
        yield from _by_frequency(subspace, material.released, public, rounds)


@register
class FrontWiener(Attack):
    """For overlapping convolutions: at each frequency a Wiener filter against noise that is the
    louder the less the known layer sees it."""

    name = "front-wiener"
    cost = "untrained"
    knowledge = frozenset({"released", "front", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        subspace, public, released = material.subspace, material.public, material.released
        assert public is not None
        if not isinstance(subspace, ConvSubspace) or len(subspace.gram) != 1:
            raise Unsuited(self.name, "the first layer is no overlapping convolution")
        mean = public.mean((0, 2, 3), keepdim=True)
        ours, theirs = (subspace.torus.split((some - mean).double()) for some in (released, public))
        power = _density(theirs)
        gram = subspace.gram[0].to(power) / subspace.top**2
        eye = torch.eye(power.shape[-1], dtype=power.dtype)
        added = (_energy(ours) - _energy(theirs)).clamp(min=1e-6)
        for floor in (1e-4, 1e-3, 1e-2, 1e-1):
            noise = torch.linalg.inv(gram + floor * eye)
            noise = noise * (added / noise.diagonal(dim1=-2, dim2=-1).real.mean())
            gain = power @ torch.linalg.inv(power + noise)
            made = torch.einsum("uvij,buvj->buvi", gain, ours)
            images = (subspace.torus.join(made).to(released) + mean).clamp(0, 1)
            yield Attempt(setting=f"gains above {floor:g}", restored=images)


def _energy(waves: Tensor) -> Tensor:
    return waves.abs().square().mean()


def _density(waves: Tensor) -> Tensor:
    """Cross-spectral density (u, v, plane, plane) over 3 x 3 frequencies, with a floor."""
    density = torch.einsum("buvi,buvj->uvij", waves, waves.conj()) / len(waves)
    density = (density.roll(1, 0) + density + density.roll(-1, 0)) / 3
    wide = torch.cat([density[:, :1], density, density[:, -1:]], dim=1)
    density = (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3
    scale = density.diagonal(dim1=-2, dim2=-1).real.mean()
    return density + 1e-6 * scale * torch.eye(density.shape[-1], dtype=density.dtype)


def _by_tile(subspace: TileSubspace, released: Windows, public: Windows) -> Iterator[Attempt]:
    seen, size = subspace.kept, subspace.tile
    mean, covariance = moments(cut(public, size).flatten(0, 1))
    gain = conditional(seen, covariance)
    images = paste((cut(released, size) - mean) @ gain.T + mean, released, size)
    yield Attempt(setting="tile covariance", restored=images)
    if 9 * seen.shape[1] <= len(public) * subspace.grid[0] * subspace.grid[1]:
        images = inpaint_by_neighbours(released, public, seen, size)
        yield Attempt(setting="tiles and neighbours", restored=images)


def _by_frequency(
    subspace: Subspace, released: Windows, public: Windows, rounds: tuple[int, ...]
) -> Iterator[Attempt]:
    for count in rounds:
        made = [fill(subspace, part, public, rounds=count) for part in released.split(8)]
        yield Attempt(setting=f"frequency, {count} rounds", restored=torch.cat(made))


def fill(
    subspace: Subspace, released: Windows, public: Windows, *, rounds: int, start: float = 0.3
) -> Windows:
    """Alternate between the most likely picture near the current one, by the public power spectrum,
    and the pictures whose seen part is the released one. start: deviation, pixel units, that the
    current picture is trusted to at first; it falls by a constant factor to a hundredth."""
    mean = public.mean((0, 2, 3), keepdim=True)
    power = torch.fft.fft2((public - mean).double(), norm="ortho").abs().square().mean(0)
    known = released - subspace.project(released)
    current = known + subspace.project(mean.expand_as(released).contiguous())
    for number in range(rounds):
        variance = (start * 0.01 ** (number / max(1, rounds - 1))) ** 2
        spectrum = torch.fft.fft2((current - mean).double(), norm="ortho")
        spectrum = spectrum * (power / (power + variance))
        likely = torch.fft.ifft2(spectrum, norm="ortho").real.to(released) + mean
        current = known + subspace.project(likely.clamp(0, 1))
    return current.clamp(0, 1)
