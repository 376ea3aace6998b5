"""Block-wise scrambling (as in Tanaka 2018): one keyed permutation of the pixels of every block.

Who has the key puts the pixels back and has the picture. The permutation is the same in every block
of every picture, and that is its weakness: a few pictures known in both forms give it away whole.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from catch11.crypto.stream import keyed_stream
from catch11.errors import InvalidArgument

PROTECTS = "the picture against who lacks the key and knows no picture in both forms"
_SECRET = 32


class BlockScramble:
    """A permutation of the values, all channels together, within blocks of `size` x `size`."""

    def __init__(self, secret: bytes, *, size: int) -> None:
        if len(secret) != _SECRET:
            raise InvalidArgument(
                "secret", expected=f"{_SECRET} bytes", found=f"{len(secret)} bytes"
            )
        if size < 1:
            raise InvalidArgument("size", expected="1 or more", found=size)
        self.size = size
        self._secret = secret

    def __repr__(self) -> str:
        return f"BlockScramble(size={self.size})"

    def scramble(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The pixels of every block in the key's order."""
        blocks = to_blocks(windows, self.size)
        return from_blocks(blocks[..., self._order(blocks.shape[-1])], windows, self.size)

    def restore(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The pixels back in their places, exactly."""
        blocks = to_blocks(windows, self.size)
        back = self._order(blocks.shape[-1]).argsort()
        return from_blocks(blocks[..., back], windows, self.size)

    def _order(self, count: int) -> Int[Tensor, " pixel"]:
        draws = keyed_stream(self._secret, "block scramble", str(count).encode()).uniform((count,))
        return draws.argsort(stable=True)


def recover_order(
    clean: Float[Tensor, "batch channel height width"],
    scrambled: Float[Tensor, "_ _ _ _"],
    *,
    size: int,
) -> Int[Tensor, " pixel"]:
    """The permutation from pictures known in both forms: places are matched by their values over all
    blocks (Hungarian method, squared distance). Places that are alike everywhere cannot be told
    apart, and need not be."""
    from scipy.optimize import linear_sum_assignment

    if clean.shape != scrambled.shape:
        raise InvalidArgument(
            "scrambled", expected=f"shape {tuple(clean.shape)}", found=tuple(scrambled.shape)
        )
    before, after = (to_blocks(part, size).flatten(0, 1).T.double() for part in (clean, scrambled))
    _, source = linear_sum_assignment(torch.cdist(after, before).square().numpy())
    return torch.from_numpy(source)


def reorder(
    windows: Float[Tensor, "batch channel height width"], order: Int[Tensor, " pixel"], *, size: int
) -> Float[Tensor, "batch channel height width"]:
    """Scrambled windows put back by a permutation that was found."""
    blocks = to_blocks(windows, size)
    return from_blocks(blocks[..., order.argsort()], windows, size)


def to_blocks(
    windows: Float[Tensor, "batch channel height width"], size: int
) -> Float[Tensor, "batch block pixel"]:
    """Blocks of a picture, their values as a row. Raises InvalidArgument where they do not fit."""
    if windows.shape[-2] % size or windows.shape[-1] % size:
        raise InvalidArgument(
            "size", expected=f"a divisor of {tuple(windows.shape[-2:])}", found=size
        )
    return rearrange(windows, "b c (row y) (col x) -> b (row col) (c y x)", y=size, x=size)


def from_blocks(blocks: Tensor, like: Tensor, size: int) -> Tensor:
    """Blocks as pictures of the shape of `like`."""
    return rearrange(
        blocks, "b (row col) (c y x) -> b c (row y) (col x)",
        row=like.shape[-2] // size, c=like.shape[1], y=size, x=size,
    )  # fmt: skip
