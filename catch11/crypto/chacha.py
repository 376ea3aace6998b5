"""ChaCha20 in integer arithmetic that models can hold: RFC 8439, sections 2.1 to 2.4.

A word is an int32 of the same bits: sums and products wrap as the RFC's do. The rounds are written
once, for tensors here and for nodes of a graph elsewhere.
"""

import struct
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int32
from torch import Tensor

BLOCK = 64  # bytes that one run of the block function gives
CONSTANTS = struct.unpack("<4i", b"expand 32-byte k")


def words_of(data: bytes) -> tuple[int, ...]:
    """Bytes as little-endian words."""
    return struct.unpack(f"<{len(data) // 4}i", data)


def key_stream(
    key: Int32[Tensor, "8"], nonce: Int32[Tensor, "batch 3"], *, blocks: int, counter: int = 0
) -> Int32[Tensor, "batch bytes"]:
    """The key stream of each nonce, 64 bytes a block; above its lowest 8 bits a value holds more.

    counter: of the first block.
    """
    size = nonce.shape[0], blocks
    count = torch.arange(counter, counter + blocks, dtype=torch.int32, device=nonce.device)
    fixed = torch.tensor(CONSTANTS, dtype=torch.int32, device=nonce.device)
    # Rows of the state: (word, batch, block), or what spreads to it.
    start = (
        fixed[:, None, None],
        key[:4, None, None],
        key[4:, None, None],
        torch.cat([count.expand(1, *size), nonce.t()[:, :, None].expand(3, *size)]),
    )
    rows = rounds(start, rotated=_rotated, turned=_turned)
    words = torch.cat([row + begun for row, begun in zip(rows, start, strict=True)])
    words = words.permute(1, 2, 0)
    return torch.stack([words, words >> 8, words >> 16, words >> 24], dim=-1).flatten(1)


def rounds(
    state: tuple[Any, Any, Any, Any],
    *,
    rotated: Callable[[Any, int], Any],
    turned: Callable[[Any, int], Any],
) -> tuple[Any, Any, Any, Any]:
    """The twenty rounds, of rows of four words that know + and ^.

    rotated: words turned left by so many bits. turned: a row turned left by so many words.
    """
    a, b, c, d = state
    for number in range(20):
        for half in ((16, 12), (8, 7)):
            a = a + b
            d = rotated(d ^ a, half[0])
            c = c + d
            b = rotated(b ^ c, half[1])
        # Columns stand under each other, then diagonals, then columns again.
        ahead = 3 if number % 2 else 1
        b, c, d = turned(b, ahead), turned(c, 2), turned(d, 4 - ahead)
    return a, b, c, d


def _rotated(words: Tensor, by: int) -> Tensor:
    # A shift of int32 brings copies of its sign along, which are masked.
    return (words * (1 << by)) | ((words >> (32 - by)) & ((1 << by) - 1))


def _turned(row: Tensor, by: int) -> Tensor:
    return torch.cat([row[by:], row[:by]])
