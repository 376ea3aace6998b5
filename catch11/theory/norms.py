"""Norms of first layers and convolutions: certain, as intervals around the exact value."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from catch11.evaluation.interval import Interval
from catch11.fronts.front import Front

# Frequencies a side of a convolution, at least, and for each tap beyond the first: six of them keep
# what may lie between two within 1 / cos²(π/12) = 1.072 of the largest found.
_LEAST, _EACH = 16, 6


def operator_norm(front: Front) -> Interval:
    """‖A‖₂ of a front: exact, but for an overlapping convolution (see `convolution_norm`)."""
    if not front.tiled:
        return convolution_norm(
            front.weight, stride=front.stride, dilation=front.dilation, groups=front.groups
        )
    norm = float(torch.linalg.matrix_norm(front.weight.double().flatten(1), 2))
    return Interval(low=norm, estimate=norm, high=norm, confidence=1.0)


def convolution_norm(
    weight: Float[Tensor, "out channel kernel_h kernel_w"],
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Interval:
    """The norm of a convolution on the whole plane, of which a zero-padded one is a part: certain.

    It is the largest singular value of Σ w e^{ijθ} over all θ. On a grid of N frequencies a side it
    is found exactly; in between, since a sum of n taps is of exponential type (n − 1)/2 once it is
    centred, the largest value is at most the grid's over cos(π(n − 1)/2N) a side (Bernstein), which
    asks for N > n − 1. A stride is a longer list of channels (polyphase); with both a stride and a
    dilation the norm of the convolution without the stride is bounded, which is no less.
    """
    weight = weight.double()
    if dilation == (1, 1):
        weight = _polyphase(weight, stride)
    kernel = weight.shape[2:]
    grid = [max(_LEAST, _EACH * (size - 1)) for size in kernel]
    # Half a plane: the other half holds the conjugates, with the same singular values.
    sampled = torch.fft.rfft2(weight, s=grid).movedim((2, 3), (0, 1))
    largest = max(_largest_value(part) for part in sampled.chunk(groups, dim=2))
    between = [math.cos(math.pi * (n - 1) / (2 * N)) for n, N in zip(kernel, grid, strict=True)]
    return Interval(
        low=largest, estimate=largest, high=largest / (between[0] * between[1]), confidence=1.0
    )


def _largest_value(matrices: Tensor) -> float:
    """The largest singular value of any of some matrices; of a single row or column, its length."""
    if 1 in matrices.shape[-2:]:
        return float(matrices.abs().square().sum(dim=(-2, -1)).max().sqrt())
    return float(torch.linalg.matrix_norm(matrices, 2).max())


def _polyphase(weight: Tensor, stride: tuple[int, int]) -> Tensor:
    """The kernel on the planes of a picture split by the stride, which keeps every norm."""
    down, across = stride
    weight = functional.pad(weight, (0, -weight.shape[3] % across, 0, -weight.shape[2] % down))
    out, channel, height, width = weight.shape
    split = weight.view(out, channel, height // down, down, width // across, across)
    return split.permute(0, 1, 3, 5, 2, 4).reshape(out, -1, height // down, width // across)
