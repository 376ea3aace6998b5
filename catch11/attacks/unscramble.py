"""Attacks on releases for a personalised copy, by someone who holds the public original: which place
of a tile is which, from the statistics of released files.

Knowing the order undoes every file of that copy. Restored windows are judged with the original.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.matching import (
    Guess,
    Traits,
    assign,
    best_of,
    climb,
    flat_order,
    guess_of,
    matrix_of,
    polish,
    precision,
    seriate,
    signed,
    signs_of,
    traits,
)
from catch11.attacks.tiles import cut, paste
from catch11.canvas.frame import Canvas
from catch11.errors import Catch11Error, Unsuited
from catch11.models.frame import Model

Windows = Float[Tensor, "_ channel height width"]
Tile = tuple[int, int]


def originals(material: Material) -> dict[str, Tile]:
    """Rivals that may be the copy's original: a patch front on the release's window; its tile."""
    found = {}
    for name, rival in material.rivals.items():
        try:
            front = rival.front()
        except Catch11Error:
            continue
        if front.patched and front.shape == material.canvas.shape:
            found[name] = front.kernel
    if not found:
        raise Unsuited("unscramble", "no rival reads this window by tiles, so none is the original")
    return found


def blocks_of(canvas: Canvas) -> int:
    """Blocks within which a copy permutes: colour channels, or all together where their
    normalisation is the same."""
    return 1 if len(set(canvas.gain)) == 1 else canvas.channels


def restore(windows: Windows, tile: Tile, guess: Guess, *, turned: bool = False) -> Windows:
    """Windows in the order of a guess; turned: all of them inverted."""
    tiles = guess.undo(cut(windows, tile) - 0.5)
    return paste((-tiles if turned else tiles) + 0.5, windows, tile)


def both(windows: Windows, tile: Tile, guess: Guess, name: str, setting: str) -> Iterator[Attempt]:
    """A guess says nothing about the sign of all; an attacker tries both."""
    for turned in (False, True):
        images = restore(windows, tile, guess, turned=turned)
        yield Attempt(
            setting=f"{setting}{', turned' if turned else ''}", restored=images, rival=name
        )


def recover(scrambled: Traits, known: Traits, *, blocks: int, rounds: int = 25) -> Guess:
    """The order that makes the traits of scrambled tiles most alike to known ones."""
    start = seriate(scrambled, known, blocks=blocks)
    climbed = climb(scrambled.squares, known.squares, start, blocks=blocks, rounds=rounds)
    return polish(scrambled.squares, known.squares, climbed, blocks=blocks)


def recover_seen(released: Windows, known: Windows, tile: Tile, *, blocks: int) -> Guess:
    """The order of spectral NTEs, from simulated ones: a first guess from covariances, then a climb
    on inverse covariances, which are loud in what the front sees and noise spares."""
    first = recover(traits(released, tile), traits(known, tile), blocks=blocks)
    ours, theirs = precision(released, tile), precision(known, tile)
    flat = first.sign[:, None] * flat_order(len(ours), blocks)
    starts = (0.3 * matrix_of(first) + 0.7 * flat, flat)
    return best_of([climb([ours], [theirs], start, blocks=blocks) for start in starts])


@register
class Seriation(Attack):
    """The order from pixel covariances: of released tiles, their neighbours to the right and below,
    against those of public pictures. Undoes a plain scramble from a few files."""

    name = "seriation"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        for name, tile in originals(material).items():
            known = traits(material.public, tile)
            guess = recover(
                traits(material.released, tile), known, blocks=blocks_of(material.canvas)
            )
            yield from both(material.released, tile, guess, name, f"tile {tile[0]}")


@register
class Jigsaw(Attack):
    """The order from who varies with whom, without any public picture: places that go together are
    laid out as neighbours, and the layout is turned until tiles meet at their edges."""

    name = "jigsaw"
    cost = "untrained"
    knowledge = frozenset({"released"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        for name, tile in originals(material).items():
            found = traits(material.released, tile)
            guess = lay_out(found, tile, material.canvas.channels)
            yield from both(material.released, tile, guess, name, f"tile {tile[0]}")


def lay_out(found: Traits, tile: Tile, channels: int) -> Guess:
    """Places laid out in the tile of each channel by multidimensional scaling of their
    correlations, oriented by the correlations across the edges of tiles."""
    sign = signs_of(found.within)
    flip = sign[:, None] * sign
    area = tile[0] * tile[1]
    spread = found.within.diagonal().clamp_min(1e-12).sqrt()
    scale = spread[:, None] * spread
    within, right, below = ((m * flip / scale) for m in found.squares)
    source = torch.empty(channels * area, dtype=torch.long)
    for start in range(0, channels * area, area):
        part = slice(start, start + area)
        flat = _plane(within[part, part])
        views = [_placed(_turned(flat, k), tile) for k in range(8)]
        scores = [_edges(right[part, part], below[part, part], view, tile) for view in views]
        source[part] = start + views[int(np.argmax(scores))]
    return Guess(source=source, sign=sign, score=0.0)


def _plane(correlation: Float[Tensor, "place place"]) -> Float[Tensor, "place 2"]:
    """Two coordinates a place: classical scaling of squared distances -log(correlation)."""
    apart = -correlation.clamp(1e-3, 1.0).log()
    centre = apart - apart.mean(0) - apart.mean(1, keepdim=True) + apart.mean()
    values, vectors = torch.linalg.eigh(-0.5 * centre)
    return vectors[:, -2:] * values[-2:].clamp_min(0).sqrt()


def _turned(flat: Float[Tensor, "place 2"], number: int) -> Float[Tensor, "place 2"]:
    """One of the eight ways a square lies."""
    made = flat.flip(1) if number & 4 else flat
    return made * torch.tensor([1.0 - 2 * (number & 1), 1.0 - (number & 2)], dtype=made.dtype)


def _placed(flat: Float[Tensor, "place 2"], tile: Tile) -> Tensor:
    """The cell of the tile that each place is laid on."""
    ranks = flat.argsort(0).argsort(0).double() / (len(flat) - 1)
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, tile[0]), torch.linspace(0, 1, tile[1]), indexing="ij"
    )
    cells = torch.stack([rows.flatten(), columns.flatten()], 1).double()
    _, found = linear_sum_assignment(torch.cdist(ranks, cells).square().numpy())
    return torch.from_numpy(found)


def _edges(right: Tensor, below: Tensor, cells: Tensor, tile: Tile) -> float:
    """How well the last column goes with the first of the tile to the right, and the last row with
    the first below."""
    place = cells.argsort().reshape(tile)
    across = right[place[:, -1], place[:, 0]].sum()
    down = below[place[-1], place[0]].sum()
    return float(across + down)


@register
class PairFront(Attack):
    """The order, or a linear map into the original's front, from clean pictures beside their NTEs."""

    name = "pair-front"
    cost = "untrained"
    knowledge = frozenset({"released", "pairs"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pairs is not None
        clean, recoded = material.pairs
        for name, tile in originals(material).items():
            for count in (1, 2, 4, 8, 16, 64):
                if count > len(clean):
                    break
                guess = order_of(clean[:count], recoded[:count], tile, blocks_of(material.canvas))
                setting = f"order from {count} pairs"
                yield Attempt(
                    setting=setting, rival=name, restored=restore(material.released, tile, guess)
                )
                images = self._mapped(material.rivals[name], material, tile, count)
                yield Attempt(setting=f"map from {count} pairs", rival=name, restored=images)

    def _mapped(self, rival: Model, material: Material, tile: Tile, count: int) -> Windows:
        """Windows that the original's front answers as a regression from NTE tiles says."""
        assert material.pairs is not None
        weight = rival.front().weight.flatten(1)
        clean, recoded = (cut(part[:count], tile).flatten(0, 1) - 0.5 for part in material.pairs)
        wanted = clean @ weight.T
        gram = recoded.T @ recoded
        ridge = 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        solution = torch.linalg.solve(gram + ridge, recoded.T @ wanted)
        answer = (cut(material.released, tile) - 0.5) @ solution
        least = torch.linalg.pinv(weight)
        return paste(answer @ least.T + 0.5, material.released, tile)


def order_of(clean: Windows, recoded: Windows, tile: Tile, blocks: int) -> Guess:
    """Each place of NTE tiles to the place of clean tiles it goes with best over all tiles."""
    one, two = (cut(part, tile).flatten(0, 1) - 0.5 for part in (recoded, clean))
    # Squared distance with either sign; the nearer sign is kept.
    product = one.T @ two
    near = 2 * product.abs() - one.square().sum(0)[:, None] - two.square().sum(0)
    return guess_of(assign((near - near.min() + 1.0) * signed(product), blocks))
