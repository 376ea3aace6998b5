"""Attacks on releases for a personalised copy that use the public original itself: simulate what the
recoder does with it, or tune an order until it answers.

An attacker may personalise the original too, recode public pictures for that copy, and so know the
statistics of such files in the original's own order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from catch11.attacks.adaptation import Reader
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.matching import Guess, assign, best_of, climb, flat_order, guess_of, signed
from catch11.attacks.nets import seeded
from catch11.attacks.tiles import cut
from catch11.attacks.unscramble import blocks_of, both, originals, recover_seen
from catch11.copies.personalize import make_copy
from catch11.errors import InvalidArgument
from catch11.keys.key import build_key
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.deep.start import CELLS
from catch11.recoding.spectral.recoder import SpectralRecoder

Windows = Float[Tensor, "_ channel height width"]
Square = Float[Tensor, "place place"]
_OWN = bytes(32)  # the attacker's own secret; any will do


@register
class SpectralMatching(Attack):
    """The order from covariances of released tiles, and their inverses, against those of spectral NTEs
    that the attacker makes of public pictures with the original: what the front sees and what it does
    not is printed on both. Three files of DeiT-tiny are enough."""

    name = "spectral-matching"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def __init__(self, simulated: int = 60) -> None:
        self.simulated = simulated

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        blocks = blocks_of(material.canvas)
        for name, tile in originals(material).items():
            key = build_key(material.rivals[name], secret=_OWN)
            for psnr in (12.0, 8.0):
                made = SpectralRecoder(key, psnr=psnr)(material.public[: self.simulated]).images
                guess = recover_seen(material.released, made, tile, blocks=blocks)
                setting = f"{len(made)} simulated at {psnr:.0f} dB"
                yield from both(material.released, tile, guess, name, setting)


@register
class GraphMatching(Attack):
    """The order from the signed covariance of released tiles against that of what deep recoding
    prints, known from deep NTEs made for a copy of the attacker's own."""

    name = "graph-matching"
    cost = "trained"
    knowledge = frozenset({"released", "public"})

    def __init__(self, simulated: int = 32, starts: int = 4) -> None:
        if simulated < 1 or starts < 1:
            raise InvalidArgument("simulated", expected="1 or more", found=(simulated, starts))
        self.simulated, self.starts = simulated, starts

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        blocks = blocks_of(material.canvas)
        for name, tile in originals(material).items():
            public = material.public[: self.simulated]
            known = covariance(printed(material.rivals[name], public), tile)
            found = covariance(without_coarse(material.released), tile)
            guess = matched(found, known, blocks=blocks, starts=self.starts, generator=generator)
            yield from both(material.released, tile, guess, name, f"{len(public)} simulated")


def printed(original: Model, windows: Windows) -> Windows:
    """What deep recoding adds to its starts, in the original's own order, for a copy of one's own."""
    made = make_copy(original, secret=_OWN)
    recoder = DeepRecoder(made.model, build_key(made.model, secret=_OWN), copy=made.secret)
    shown = made.scramble(windows)

    def streams() -> list:
        return [
            recoder.key.stream(bytes([i % 256, i // 256]), purpose="own") for i in range(len(shown))
        ]

    parts = []
    for low in range(0, len(shown), recoder.batch):
        part = slice(low, low + recoder.batch)
        points = recoder.search(shown[part], streams()[part]).points
        pairs = zip(shown[part], streams()[part], strict=True)
        starts = torch.stack([recoder.begin.at(recoder.key, w, s) for w, s in pairs])
        # A difference has no mid-grey: put it there, put it in order, take it off again.
        parts.append(made.scramble.undo((points - starts) + 0.5) - 0.5)
    return torch.cat(parts)


def without_coarse(windows: Windows) -> Windows:
    """Windows less mid-grey and less what the smooth part of a start may be."""
    shape = (windows.shape[-2], windows.shape[-1])
    cells = torch.eye(CELLS * CELLS).reshape(-1, 1, CELLS, CELLS)
    smooth = functional.interpolate(cells, size=shape, mode="bicubic", align_corners=False)
    basis = torch.linalg.qr(smooth.flatten(1).T)[0]
    flat = windows.flatten(2) - 0.5
    return (flat - (flat @ basis) @ basis.T).reshape(windows.shape)


def covariance(windows: Windows, tile: tuple[int, int], *, together: int = 16) -> Square:
    """Second moments of tiles off the diagonal, which noise of any start fills."""
    total = torch.zeros(1, dtype=torch.float64)
    for part in windows.split(together):
        rows = cut(part, tile).flatten(0, 1).float()
        total = total + (rows.T @ rows).double() * (len(part) / len(rows) / len(windows))
    return total - torch.diag(total.diagonal())


def matched(
    found: Square, known: Square, *, blocks: int, starts: int, generator: torch.Generator
) -> Guess:
    """The best of several climbs: from flat orders with the signs of leading directions, plain or
    beside an assignment of places by their part in the twelve leading ones, and from random signs."""
    (found_values, found_vectors), (known_values, known_vectors) = (
        torch.linalg.eigh(found),
        torch.linalg.eigh(known),
    )
    flat = flat_order(len(found), blocks)
    marks = [
        (vectors[:, -12:] * values[-12:].clamp_min(0).sqrt()).abs()
        for values, vectors in ((found_values, found_vectors), (known_values, known_vectors))
    ]
    near = -torch.cdist(marks[0], marks[1]).square()
    beside = 0.5 * flat + 0.5 * assign(near - near.min() + 1e-9, blocks).abs()
    guesses = []
    for number in range(starts):
        lead = number // 2 % 6 + 1
        ours, theirs = (signed(v[:, -lead]) for v in (found_vectors, known_vectors))
        if number >= 12:
            ours = torch.randint(2, (len(found),), generator=generator).to(found) * 2 - 1
        start = ours[:, None] * (beside if number % 2 else flat) * theirs
        guesses.append(climb([found], [known], start, blocks=blocks))
    return best_of(guesses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """steps, rate: of Adam. batch: files a step. rounds: of Sinkhorn's scaling. sharp: from soft to
    hard, the factor on the scores at the first and the last step."""

    steps: int = 60
    rate: float = 0.1
    batch: int = 8
    rounds: int = 8
    sharp: tuple[float, float] = (1.0, 8.0)


class SoftOrder(nn.Module):
    """A soft signed permutation of tiles: doubly stochastic within blocks, signs between -1 and 1."""

    def __init__(self, tile: tuple[int, int], channels: int, blocks: int, rounds: int) -> None:
        super().__init__()
        self.tile, self.channels, self.rounds = tile, channels, rounds
        size = channels * tile[0] * tile[1] // blocks
        self.scores = nn.Parameter(0.1 * torch.randn(blocks, size, size))
        self.signs = nn.Parameter(0.1 * torch.randn(blocks, size))
        self.sharp = 1.0

    def soft(self) -> Float[Tensor, "block place source"]:
        """The permutations, rows the places of a scrambled tile."""
        table = self.scores * self.sharp
        for _ in range(self.rounds):
            table = table - table.logsumexp(2, keepdim=True)
            table = table - table.logsumexp(1, keepdim=True)
        return table.exp()

    def forward(self, windows: Tensor) -> Tensor:
        tiles = rearrange(
            windows - 0.5,
            "b c (row y) (col x) -> b row col (c y x)",
            y=self.tile[0],
            x=self.tile[1],
        )
        signed = tiles * torch.tanh(self.sharp * self.signs).flatten()
        parts = rearrange(
            signed, "b row col (block place) -> b row col block place", block=len(self.scores)
        )
        back = torch.einsum("brcgp,gps->brcgs", parts, self.soft())
        return 0.5 + rearrange(
            back.flatten(3), "b row col (c y x) -> b c (row y) (col x)",
            c=self.channels, y=self.tile[0], x=self.tile[1],
        )  # fmt: skip

    def hard(self) -> Guess:
        """The nearest signed permutation."""
        with torch.no_grad():
            gain = torch.block_diag(*self.soft().double())
            signs = signed(self.signs.double().flatten())
        return guess_of(assign(gain, len(self.scores)) * signs[:, None])


def tuned_order(
    original: Model,
    windows: Windows,
    labels: Int[Tensor, " batch"] | None,
    tile: tuple[int, int],
    blocks: int,
    tuned: Tuned,
    *,
    generator: torch.Generator,
) -> Guess:
    """An order tuned by gradient through the frozen original: to the labels, or, without any, until
    it answers each file surely and not all files alike."""
    order = SoftOrder(tile, windows.shape[1], blocks, tuned.rounds)
    reader = Reader(original, front=order).eval()
    reader.body.requires_grad_(False)
    optimiser = torch.optim.Adam(order.parameters(), lr=tuned.rate)
    for step in range(tuned.steps):
        first, last = tuned.sharp
        order.sharp = first * (last / first) ** (step / max(1, tuned.steps - 1))
        index = torch.randint(len(windows), (min(tuned.batch, len(windows)),), generator=generator)
        logits = reader(windows[index])
        if labels is not None:
            loss = functional.cross_entropy(logits, labels[index])
        else:
            shares = logits.softmax(1)
            each = -(shares * logits.log_softmax(1)).sum(1).mean()
            mean = shares.mean(0)
            loss = each + (mean * mean.clamp_min(1e-12).log()).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return order.hard()


@register
class SoftPermutation(Attack):
    """A soft order tuned in front of the original until it is confident of each file and answers
    files differently."""

    name = "soft-permutation"
    cost = "trained"
    knowledge = frozenset({"released"})

    def __init__(self, tuned: Tuned = Tuned()) -> None:
        self.tuned = tuned

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        yield from _tried(material, material.released, None, self.tuned, generator)


@register
class LabelledPermutation(Attack):
    """The same order tuned to labelled NTEs: far fewer numbers than a linear front has."""

    name = "labelled-permutation"
    cost = "trained"
    knowledge = frozenset({"released", "labels"})

    def __init__(self, tuned: Tuned = Tuned()) -> None:
        self.tuned = tuned

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.labelled is not None
        yield from _tried(material, material.labelled[0], material.lessons, self.tuned, generator)


def _tried(
    material: Material,
    windows: Windows,
    lessons: Callable[[Model], tuple[Windows, Tensor]] | None,
    tuned: Tuned,
    generator: torch.Generator,
) -> Iterator[Attempt]:
    blocks = blocks_of(material.canvas)
    for name, tile in originals(material).items():
        original = material.rivals[name]
        if original.module is None or not material.teaches(original):
            continue
        labels = None if lessons is None else lessons(original)[1]
        with seeded(generator):
            guess = tuned_order(original, windows, labels, tile, blocks, tuned, generator=generator)
        yield from both(
            material.released, tile, guess, name, f"{len(windows)} files, {tuned.steps} steps"
        )
