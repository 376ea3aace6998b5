"""Which place is which: match second-order statistics of scrambled tiles to those of known ones.

Rows are tiles less mid-grey, y = D x, D a signed permutation within blocks (colour channels). With
covariances B = D A Dᵀ the attacker looks for the D with the largest Σ tr(Bᵀ D A Dᵀ): a quadratic
assignment, climbed by Frank-Wolfe steps over signed doubly stochastic matrices (FAQ; Vogelstein et
al. 2015, PLoS ONE 10(4)), each a linear assignment a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from catch11.attacks.tiles import cut

Windows = Float[Tensor, "_ channel height width"]
Square = Float[Tensor, "place place"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traits:
    """Covariance of tiles: within a tile, with the tile to the right, with the tile below."""

    within: Square
    right: Square
    below: Square

    @property
    def squares(self) -> tuple[Square, ...]:
        """The matrices."""
        return self.within, self.right, self.below


def traits(windows: Windows, tile: tuple[int, int], *, together: int = 16) -> Traits:
    """Statistics of the tiles of windows in pixel units."""
    rows, columns = windows.shape[-2] // tile[0], windows.shape[-1] // tile[1]
    size = windows.shape[1] * tile[0] * tile[1]
    mean = torch.stack([cut(part, tile).mean((0, 1)) for part in windows.split(together)]).mean(0)
    sums = [torch.zeros(size, size, dtype=torch.float64) for _ in range(3)]
    count = len(windows) * rows * columns
    for part in windows.split(together):
        # Products in float32, sums in float64: the files have eight bits.
        tiles = (cut(part, tile) - mean).float().reshape(len(part), rows, columns, size)
        pairs = (
            (tiles, tiles, count),
            (tiles[:, :, :-1], tiles[:, :, 1:], count - len(windows) * rows),
            (tiles[:, :-1], tiles[:, 1:], count - len(windows) * columns),
        )
        for total, (one, two, number) in zip(sums, pairs, strict=True):
            total += one.flatten(0, 2).T @ two.flatten(0, 2) / max(1, number)
    return Traits(within=sums[0], right=sums[1], below=sums[2])


def precision(windows: Windows, tile: tuple[int, int], *, floor: float = 1e-3) -> Square:
    """Inverse covariance of tiles, less its diagonal. floor: added to the covariance, pixel units
    squared. Loud where a recoder put no noise, so in what a front sees."""
    total, count = torch.zeros(1, dtype=torch.float64), 0
    mean = torch.stack([cut(part, tile).mean((0, 1)) for part in windows.split(16)]).mean(0)
    for part in windows.split(16):
        rows = (cut(part, tile) - mean).flatten(0, 1).float()
        total, count = total + (rows.T @ rows).double(), count + len(rows)
    inverse = torch.linalg.inv(total / count + floor * torch.eye(len(mean), dtype=torch.float64))
    return inverse - torch.diag(inverse.diagonal())


def flat_order(size: int, blocks: int) -> Square:
    """Every order within equal blocks at once."""
    part = torch.full((size // blocks, size // blocks), blocks / size, dtype=torch.float64)
    return torch.block_diag(*[part] * blocks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guess:
    """A signed permutation: place k holds sign[k] · source[k]; score as climbed, of the largest one
    could hope for."""

    source: Int[Tensor, " place"]
    sign: Float[Tensor, " place"]
    score: float

    def undo(self, tiles: Float[Tensor, "*batch place"]) -> Float[Tensor, "*batch place"]:
        """Scrambled tiles, mid-grey subtracted, back in order."""
        made = torch.empty_like(tiles)
        made[..., self.source] = tiles * self.sign.to(tiles)
        return made


def assign(gain: Square, blocks: int) -> Square:
    """The signed permutation within equal blocks with the largest sum of gains."""
    size = len(gain) // blocks
    made = torch.zeros_like(gain)
    for start in range(0, len(gain), size):
        part = gain[start : start + size, start : start + size]
        rows, columns = linear_sum_assignment(-part.abs().numpy())
        values = part[torch.from_numpy(rows), torch.from_numpy(columns)]
        made[start + rows, start + columns] = signed(values)
    return made


def signed(values: Tensor) -> Tensor:
    """-1 or 1; 1 of 0."""
    return torch.where(values < 0, -1.0, 1.0).to(values)


def guess_of(matrix: Square, score: float = 0.0) -> Guess:
    """A signed permutation matrix, D[k, source[k]] = sign[k], as a guess."""
    source = matrix.abs().argmax(1)
    return Guess(source=source, sign=matrix.gather(1, source[:, None])[:, 0].sign(), score=score)


def climb(
    scrambled: Sequence[Square],
    known: Sequence[Square],
    start: Square,
    *,
    blocks: int,
    rounds: int = 30,
) -> Guess:
    """Frank-Wolfe from a start to a signed permutation."""
    # One scale for all matrices of a side: where what disturbs them is alike, so is their weight.
    ours, theirs = (float(torch.stack(list(side)).norm()) or 1.0 for side in (scrambled, known))
    pairs = [(b / ours, a / theirs) for b, a in zip(scrambled, known, strict=True)]

    def slope(at: Square) -> Square:
        total = sum(b @ at @ a.T + b.T @ at @ a for b, a in pairs)
        assert isinstance(total, Tensor)
        return total

    at, gain = start, slope(start)
    for _ in range(rounds):
        towards = assign(gain, blocks)
        there = slope(towards)
        # f(at + t·step) = f(at) + t·b + t²·a, from slopes alone: f is quadratic.
        step = towards - at
        ahead = float((gain * step).sum())
        bend = 0.5 * float(((there - gain) * step).sum())
        share = 1.0 if bend >= 0 else min(1.0, -ahead / (2 * bend))
        if ahead <= 1e-9 * (1e-12 + float((gain * at).sum().abs())) or share <= 0:
            break
        at, gain = at + share * step, gain + share * (there - gain)
    final = assign(at, blocks)
    value = sum(float((b * (final @ a @ final.T)).sum()) for b, a in pairs)
    return guess_of(final, value)


def polish(
    scrambled: Sequence[Square],
    known: Sequence[Square],
    guess: Guess,
    *,
    blocks: int,
    rounds: int = 20,
) -> Guess:
    """Assign each place anew, the others where they are, until nothing changes: finds the top of the
    hill that a guess stands on."""
    best = guess
    for _ in range(rounds):
        at = matrix_of(best)
        found = climb(scrambled, known, at, blocks=blocks, rounds=1)
        if found.score <= best.score + 1e-9:
            break
        best = found
    return best


def matrix_of(guess: Guess) -> Square:
    """A guess as a matrix."""
    size = len(guess.source)
    made = torch.zeros(size, size, dtype=torch.float64)
    made[torch.arange(size), guess.source] = guess.sign.double()
    return made


def signs_of(within: Square) -> Float[Tensor, " place"]:
    """Which places are inverted, up to all of them: natural tiles vary together, so the leading
    direction of an unscrambled covariance has one sign."""
    return signed(torch.linalg.eigh(within).eigenvectors[:, -1])


def seriate(scrambled: Traits, known: Traits, *, blocks: int) -> Square:
    """A first guess from how each place goes with its own tile, and with the tiles beside and below:
    places near an edge go with the neighbour there."""
    sign = signs_of(scrambled.within)
    flip = sign[:, None] * sign

    def marks(of: Traits, turn: Square | float) -> Tensor:
        sums = [(m * turn).sum(axis) for m in of.squares for axis in (0, 1)]
        sums.append(of.within.diagonal())
        table = torch.stack(sums, 1)
        size = len(table) // blocks
        parts = table.reshape(blocks, size, -1)
        return ((parts - parts.mean(1, keepdim=True)) / parts.std(1, keepdim=True)).flatten(0, 1)

    ours, theirs = marks(scrambled, flip), marks(known, 1.0)
    near = -torch.cdist(ours, theirs).square()
    placed = assign(near - near.min() + 1.0, blocks)
    return placed * sign[:, None]


def share_right(
    guess: Guess, source: Int[Tensor, " place"], sign: Float[Tensor, " place"]
) -> float:
    """Share of places whose source and sign are both right, the sign of all allowed to be turned."""
    placed = guess.source == source
    agree = guess.sign.double() * sign.double()
    return max(float((placed & (agree * turn > 0)).double().mean()) for turn in (1.0, -1.0))


def best_of(guesses: Sequence[Guess]) -> Guess:
    """The one with the highest score."""
    return guesses[int(np.argmax([guess.score for guess in guesses]))]
