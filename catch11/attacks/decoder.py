"""Decoders of what files keep, by the licensee: from maps of the authorized model back to pictures."""

from collections.abc import Iterator

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.maps import Map, Windows, maps_of, read
from catch11.attacks.nets import Training, train_restorer
from catch11.attacks.tiles import fitted
from catch11.errors import Unsuited

_ROWS = 40_000  # places that a decoder of places is fitted on


@register
class MeanPicture(Attack):
    """The mean of the public pictures in place of each file: what no knowledge of a picture gets."""

    name = "mean-picture"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        mean = material.public.mean(0, keepdim=True)  # type: ignore[union-attr]
        yield Attempt(setting="mean", restored=mean.expand_as(material.released).clone())


@register
class LicenseeDecoder(Attack):
    """Decoders of what a file keeps, learned on public pictures through the authorized model: a ridge
    regression from each map to low frequencies, or place by place to tiles of pixels; and a U-Net on
    what that gives. Public pictures teach the net by guesses of decoders that did not see them."""

    name = "licensee-decoder"
    cost = "trained"
    knowledge = frozenset({"released", "public", "weights"})

    def __init__(self, training: Training = Training()) -> None:  # noqa: B008 - frozen
        self.training = training

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        public, released = material.public, material.released
        assert public is not None
        if len(public) < 8:
            raise Unsuited(self.name, "needs 8 public pictures or more")
        halves = torch.randperm(len(public), generator=generator).chunk(2)
        for at in maps_of(material.weights):
            known, seen = (read(material.weights, at, w) for w in (public, released))
            ridge = _best_ridge(known, public, halves)
            guess = _decoded(known, public, seen, ridge)
            yield Attempt(setting=f"{at}, ridge {ridge:g}, {len(public)} public", restored=guess)
            crossed = torch.empty_like(public)
            for here, there in (halves, halves[::-1]):
                crossed[there] = _decoded(known[here], public[here], known[there], ridge)
            restore, clock = train_restorer(
                crossed, public, kind="unet", training=self.training, generator=generator
            )
            yield Attempt(
                setting=f"{at}, ridge {ridge:g} and U-Net, {clock}",
                restored=restore(guess),
                cut=clock.cut,
            )


def _best_ridge(known: Map, public: Windows, halves: tuple[Tensor, ...]) -> float:
    """Of a few ridges, the one by which half of the public pictures is best decoded from the other."""
    here, there = halves
    errors = {
        ridge: float((_decoded(known[here], public[here], known[there], ridge) - public[there]).square().mean())
        for ridge in (1e-3, 1e-1, 1e1)
    }  # fmt: skip
    return min(errors, key=lambda ridge: errors[ridge])


def _decoded(known: Map, public: Windows, seen: Map, ridge: float) -> Windows:
    """Pictures of the maps `seen`, by a ridge regression of public pictures on theirs; a ridge counts
    in mean variances of the map's numbers."""
    rows, columns = known.shape[1:3]
    given, asked = (
        rearrange(m, "b row column d -> (b row column) d").double() for m in (known, seen)
    )
    if rows * columns == 1:
        basis = waves(public.shape[-2], public.shape[-1])
        wanted = (public.flatten(2).double() @ basis.T).flatten(1)
    else:
        height, width = (
            size // n for size, n in zip(public.shape[-2:], (rows, columns), strict=True)
        )
        cut = public[..., : rows * height, : columns * width].double()
        wanted = rearrange(
            cut, "b c (row y) (column x) -> (b row column) (c y x)", y=height, x=width
        )
    some = torch.arange(0, len(given), -(-len(given) // _ROWS))
    chosen = given[some]
    strength = ridge * float(chosen.var(0).mean().clamp(min=1e-12))
    made = fitted(chosen, wanted[some], ridge=strength)(asked)
    if rows * columns == 1:
        flat = rearrange(made, "b (c k) -> b c k", c=public.shape[1]) @ basis
        return flat.view(len(seen), *public.shape[1:]).clamp(0, 1).float()
    tiles = rearrange(
        made, "(b row column) (c y x) -> b c (row y) (column x)",
        row=rows, column=columns, y=height, x=width,
    ).clamp(0, 1).float()  # fmt: skip
    mean = public.mean(0, keepdim=True).expand(len(seen), *public.shape[1:]).clone()
    mean[..., : tiles.shape[-2], : tiles.shape[-1]] = tiles
    return mean


def waves(height: int, width: int, *, most: int = 16) -> Float[Tensor, "wave pixel"]:
    """The slowest cosines down and across, orthonormal rows (DCT-II)."""

    def axis(length: int) -> Tensor:
        place = torch.arange(length).double() + 0.5
        wave = torch.arange(min(most, length)).double()
        rows = torch.cos(torch.pi / length * wave[:, None] * place)
        return rows / rows.norm(dim=1, keepdim=True)

    return torch.kron(axis(height), axis(width))
