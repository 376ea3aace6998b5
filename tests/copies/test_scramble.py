"""Scrambles: every window comes back, 8-bit values stay 8-bit values, and the secret decides."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from catch11.canvas.grid import GRIDS
from catch11.copies.scramble import RIM, Scramble, keyed_scramble
from catch11.errors import InvalidArgument

SECRET = bytes(range(32))


@settings(max_examples=60, deadline=None)
@given(
    channels=st.sampled_from([1, 3]),
    tile=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    rim=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    across=st.booleans(),
    inversion=st.booleans(),
    secret=st.binary(min_size=32, max_size=32),
)
def test_every_byte_comes_back(
    channels: int, tile: tuple[int, int], grid: tuple[int, int], rim: tuple[int, int],
    across: bool, inversion: bool, secret: bytes,
) -> None:  # fmt: skip
    height, width = (t * g + r % t for t, g, r in zip(tile, grid, rim, strict=True))
    scramble = keyed_scramble(
        secret, shape=(channels, height, width), tile=tile, across=across, inversion=inversion
    )
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(0, 256, (2, channels, height, width), generator=generator)
    grid8 = GRIDS["png8"]
    made = grid8.round(scramble(levels / 255))
    back = grid8.round(scramble.undo(made))
    inner = (..., slice(tile[0] * grid[0]), slice(tile[1] * grid[1]))
    assert torch.equal((back * 255).round().long()[inner], levels[inner])
    outside = torch.ones(height, width, dtype=torch.bool)
    outside[: tile[0] * grid[0], : tile[1] * grid[1]] = False
    assert (scramble(levels / 255)[..., outside] == RIM).all()


def slow(scramble: Scramble, window: torch.Tensor) -> torch.Tensor:
    """Tile by tile, value by value."""
    made = torch.full_like(window, RIM)
    rows, columns = scramble.tile
    for top in range(0, window.shape[1] - rows + 1, rows):
        for left in range(0, window.shape[2] - columns + 1, columns):
            tile = window[:, top : top + rows, left : left + columns].flatten()
            values = torch.tensor([
                1 - tile[j] if flip else tile[j]
                for j, flip in zip(scramble.source.tolist(), scramble.inverted.tolist(), strict=True)
            ])  # fmt: skip
            made[:, top : top + rows, left : left + columns] = values.reshape(-1, rows, columns)
    return made


@pytest.mark.parametrize("across", [False, True])
def test_it_is_what_it_says(across: bool) -> None:
    scramble = keyed_scramble(SECRET, shape=(3, 13, 9), tile=(4, 3), across=across)
    window = torch.rand(3, 13, 9)
    torch.testing.assert_close(scramble(window[None])[0], slow(scramble, window))


def test_half_is_inverted_and_channels_are_kept() -> None:
    scramble = keyed_scramble(SECRET, shape=(3, 32, 32), tile=(16, 16))
    assert int(scramble.inverted.sum()) == 384
    assert Counter((scramble.source // 256).tolist()) == {0: 256, 1: 256, 2: 256}
    assert torch.equal(scramble.source // 256, torch.arange(768) // 256)
    wide = keyed_scramble(SECRET, shape=(3, 32, 32), tile=(16, 16), across=True)
    assert not torch.equal(wide.source // 256, torch.arange(768) // 256)
    plain = keyed_scramble(SECRET, shape=(3, 32, 32), tile=(16, 16), inversion=False)
    assert not plain.inverted.any()


def test_the_secret_and_nothing_else_decides() -> None:
    one, same, other = (
        keyed_scramble(secret, shape=(3, size, size), tile=(8, 8))
        for secret, size in ((SECRET, 32), (SECRET, 64), (bytes(32), 32))
    )
    assert torch.equal(one.source, same.source)
    assert torch.equal(one.inverted, same.inverted)
    assert (one.source == other.source).float().mean() < 0.1
    assert "source" not in repr(one)


def test_what_does_not_fit_is_refused() -> None:
    scramble = keyed_scramble(SECRET, shape=(3, 8, 8), tile=(4, 4))
    with pytest.raises(InvalidArgument, match=r"windows: expected shape \(n, \*\(3, 8, 8\)\)"):
        scramble(torch.zeros(1, 3, 8, 4))
    with pytest.raises(InvalidArgument, match="a permutation of the 48 values"):
        Scramble(
            shape=(3, 8, 8), tile=(4, 4), source=torch.zeros(48).long(), inverted=scramble.inverted
        )
    with pytest.raises(InvalidArgument, match="a permutation of the 192 values"):
        Scramble(shape=(3, 8, 8), tile=(8, 8), source=scramble.source, inverted=scramble.inverted)
