"""Torus operators against the convolution itself and against a dense SVD."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from catch11.subspaces.torus import Torus, blocks, gains, grams, spread, torus_for


class Row(NamedTuple):
    name: str
    out: int
    window: tuple[int, int, int]
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1


ROWS = [
    Row("stride 1", 4, (3, 6, 6)),
    Row("more outputs than taps", 40, (3, 6, 5)),
    Row("stride 2, odd window", 5, (3, 7, 9), stride=(2, 2), padding=(1, 0)),
    Row("stride 3", 4, (2, 9, 8), stride=(3, 3), padding=(1, 1)),
    Row("stride 4, large kernel", 3, (2, 9, 10), kernel=(5, 5), stride=(4, 4), padding=(2, 2)),
    Row("unequal strides", 3, (2, 8, 9), kernel=(2, 4), stride=(2, 3), padding=(3, 1)),
    Row("dilation 2", 3, (2, 8, 7), dilation=(2, 2), padding=(2, 2)),
    Row("dilation 2, stride 2: planes unread", 3, (2, 8, 9), stride=(2, 2), dilation=(2, 2)),
    Row("dilation 3, stride 2", 3, (2, 8, 9), stride=(2, 2), dilation=(3, 3), padding=(1, 2)),
    Row("groups", 4, (4, 6, 6), stride=(2, 2), groups=2),
    Row("depthwise", 3, (3, 6, 7), stride=(2, 2), padding=(1, 1), groups=3),
    Row("1-D", 3, (1, 1, 40), kernel=(1, 10), stride=(1, 5)),
    Row("two planes of sound", 4, (2, 1, 31), kernel=(1, 7), stride=(1, 3), padding=(0, 3)),
]


def weight_of(row: Row) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(row.name))
    shape = (row.out, row.window[0] // row.groups, *row.kernel)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def torus_and_blocks(row: Row) -> tuple[Torus, torch.Tensor]:
    torus = torus_for(row.window, kernel=row.kernel, stride=row.stride, dilation=row.dilation)
    matrices = blocks(weight_of(row), torus, dilation=row.dilation, padding=row.padding, groups=row.groups)  # fmt: skip
    return torus, matrices


def full_gram(row: Row, images: torch.Tensor) -> torch.Tensor:
    """AᵀA of the full convolution, partial overlaps included, by autograd."""
    # Room for every response that touches the window, starting where `padding` says modulo the stride.
    down, across = (
        p + s * d * (k - 1)
        for p, s, d, k in zip(row.padding, row.stride, row.dilation, row.kernel, strict=True)
    )

    def response(x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(x, (across, 50, down, 50))
        return F.conv2d(padded, weight_of(row), None, row.stride, 0, row.dilation, row.groups)

    return torch.func.vjp(response, images)[1](response(images))[0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_blocks_are_the_full_convolution(row: Row) -> None:
    torus, matrices = torus_and_blocks(row)
    images = torch.randn(2, *row.window, dtype=torch.float64)
    found = torus.join(spread(grams(matrices), torus.split(images)))
    torch.testing.assert_close(found, full_gram(row, images), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_spectrum_is_that_of_the_whole_torus(row: Row) -> None:
    """Singular values, with multiplicity, against the dense operator on the torus itself."""
    torus, matrices = torus_and_blocks(row)
    whole = Torus(window=(row.window[0], *torus.size), stride=torus.stride, cells=torus.cells)
    pixels = row.window[0] * torus.size[0] * torus.size[1]
    unit = torch.eye(pixels, dtype=torch.float64).reshape(pixels, *whole.window)
    dense = whole.join(spread(grams(matrices), whole.split(unit))).reshape(pixels, pixels)
    expected = np.linalg.eigvalsh(dense.numpy()).clip(0.0) ** 0.5
    singular, _ = gains(grams(matrices))
    times = torus.multiplicity()[None, :, :, None].expand_as(singular).flatten().long()
    found = np.sort(singular.flatten().repeat_interleave(times).numpy())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    stacked = torch.linalg.svdvals(matrices)
    rank = min(stacked.shape[-1], singular.shape[-1])
    torch.testing.assert_close(stacked.flip(-1)[..., -rank:], singular[..., -rank:], atol=1e-6, rtol=1e-6)  # fmt: skip


def test_common_divisor_of_dilation_and_stride_leaves_planes_unread() -> None:
    row = Row("planes", 5, (3, 8, 8), stride=(2, 2), dilation=(2, 2))
    _, matrices = torus_and_blocks(row)
    unread = (matrices == 0).all(dim=3).all(dim=(0, 1, 2))
    assert unread.tolist() == [False, True, True, True] * 3


def test_split_and_join_are_adjoint_and_inverse() -> None:
    torus = torus_for((2, 7, 9), kernel=(3, 3), stride=(2, 2), dilation=(1, 1))
    images = torch.randn(3, 2, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(torus.join(torus.split(images)), images)
    energy = (torus.split(images).abs().square() * torus.multiplicity()[None, :, :, None]).sum()
    assert float(energy) == pytest.approx(float(images.square().sum()))


@pytest.mark.parametrize("size", [(3, 224, 224), (1, 1, 16000), (3, 113, 31)])
def test_torus_has_room_and_transforms_fast(size: tuple[int, int, int]) -> None:
    torus = torus_for(size, kernel=(1 if size[1] == 1 else 7, 7), stride=(1, 2), dilation=(1, 1))
    for axis in (0, 1):
        reach = 0 if axis == 0 and size[1] == 1 else 6
        assert torus.size[axis] >= size[1 + axis] + reach
        rest = torus.cells[axis]
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1
