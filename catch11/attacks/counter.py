"""A rival counter-trained against a release: made deaf to the directions that its noise is loud in.

Nobody's labels and nothing of the authorized model is needed: the noise's covariance is read off the
released files, noise alike is laid on public pictures, and the rival learns to answer those as it
answers the originals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from catch11.attacks.adaptation import Reader, trainable
from catch11.attacks.blind import tile_contrast, tile_sizes
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.nets import Clock, seeded
from catch11.attacks.tiles import cut, moments, paste
from catch11.errors import InvalidArgument, Unsuited

Windows = Float[Tensor, "_ channel height width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """rates: of Adam, each tried. epochs: over the public pictures, noise drawn anew in each.
    seconds: of processor time after which a single training is cut."""

    rates: tuple[float, ...] = (1e-4, 1e-3)
    epochs: int = 6
    batch: int = 16
    seconds: float = 1200.0

    def __post_init__(self) -> None:
        if not self.rates or min(self.epochs, self.batch) < 1 or self.seconds <= 0:
            found = (self.rates, self.epochs, self.batch, self.seconds)
            raise InvalidArgument("counter", expected="rates, and counts above 0", found=found)


def noise_root(
    released: Windows, public: Windows, size: tuple[int, int]
) -> Float[Tensor, "pixel pixel"]:
    """R with R·Rᵀ the positive part of S_released − S_public of tiles: what was laid on them."""
    _, ours = moments(cut(released, size).flatten(0, 1))
    _, theirs = moments(cut(public, size).flatten(0, 1))
    values, vectors = torch.linalg.eigh(ours - theirs)
    return vectors * values.clamp(min=0.0).sqrt()


def simulated(
    public: Windows,
    root: Float[Tensor, "pixel pixel"],
    size: tuple[int, int],
    *,
    generator: torch.Generator,
) -> Windows:
    """Public windows with noise of that covariance in each tile, inside the box."""
    tiles = cut(public, size)
    noise = torch.randn(tiles.shape, generator=generator, dtype=tiles.dtype)
    return paste(tiles + noise @ root.T, public, size)


@register
class CounterTrain(Attack):
    """Every trainable rival taught to overlook the noise that the release shows."""

    name = "counter-train"
    cost = "trained"
    knowledge = frozenset({"released", "public"})

    def __init__(self, counter: Counter = Counter()) -> None:
        self.counter = counter

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        released, public = material.released, material.public
        assert public is not None
        sizes = tile_sizes(released)
        if not sizes:
            raise Unsuited(self.name, "too few released files to read a covariance off")
        size = max(sizes, key=lambda one: tile_contrast(released, public, one))
        root = noise_root(released, public, size)
        for name, rival in trainable(material).items():
            for rate in self.counter.rates:
                with seeded(generator):
                    reader, clock = self._taught(Reader(rival), public, root, size, rate, generator)
                setting = f"tile {size[0]}, rate {rate}, {len(public)} public, {clock}"
                yield Attempt(setting=setting, classify=reader, rival=name, cut=clock.cut)

    def _taught(
        self,
        reader: Reader,
        public: Windows,
        root: Tensor,
        size: tuple[int, int],
        rate: float,
        generator: torch.Generator,
    ) -> tuple[Reader, Clock]:
        """The reader after its training, and what ran of it; batch norms keep their own statistics."""
        reader.eval()
        with torch.no_grad():
            wanted = torch.cat([reader(part) for part in public.split(self.counter.batch)])
        optimiser = torch.optim.Adam(reader.body.parameters(), lr=rate)
        clock = Clock(self.counter.seconds)
        clock.asked = self.counter.epochs * -(-len(public) // self.counter.batch)
        for _ in range(self.counter.epochs):
            order = torch.randperm(len(public), generator=generator)
            for index in order.split(self.counter.batch):
                noisy = simulated(public[index], root, size, generator=generator)
                loss = functional.kl_div(
                    reader(noisy).log_softmax(1), wanted[index].softmax(1), reduction="batchmean"
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                if not clock.step():
                    return reader.requires_grad_(False), clock
        return reader.requires_grad_(False), clock
