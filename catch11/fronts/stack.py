"""Convolutions that read one window, as the one that answers with all of their responses."""

from collections.abc import Sequence

import torch

from catch11.fronts.front import Front, conv_front


def stackable(fronts: Sequence[Front]) -> bool:
    """Whether convolutions step alike, with neither dilation nor groups."""
    alike = {(front.stride, front.dilation, front.groups) for front in fronts}
    plain = fronts[0].groups == 1 and fronts[0].dilation == (1, 1)
    return len(alike) == 1 and plain and not any(front.flat for front in fronts)


def stacked(fronts: Sequence[Front], *, scaled: bool = False) -> Front:
    """Stackable fronts on one window, their kernels laid over each other where they stand.

    scaled: each to unit energy, for fronts of several models, whose biases belong to no one model.
    """
    first = fronts[0]
    # Their first taps are `padding` apart.
    top, left = (max(front.padding[side] for front in fronts) for side in (0, 2))
    bottom, right = (max(front.padding[side] for front in fronts) for side in (1, 3))
    height = max(top - front.padding[0] + front.kernel[0] for front in fronts)
    width = max(left - front.padding[2] + front.kernel[1] for front in fronts)
    rows = []
    for front in fronts:
        wide = torch.zeros(front.outputs, first.shape[0], height, width, dtype=torch.float64)
        down, across = top - front.padding[0], left - front.padding[2]
        weight = front.weight / front.weight.norm() if scaled else front.weight
        wide[:, :, down : down + front.kernel[0], across : across + front.kernel[1]] = weight
        rows.append(wide)
    # Wider kernels need more room at the far edge to reach every position the narrow ones reach.
    room = (height - min(f.kernel[0] for f in fronts), width - min(f.kernel[1] for f in fronts))
    bias = torch.cat([front.bias for front in fronts])
    return conv_front(
        weight=torch.cat(rows), bias=torch.zeros_like(bias) if scaled else bias,
        neutral=tuple(torch.tensor([front.neutral for front in fronts]).mean(0).tolist()),
        shape=first.shape, layer=" + ".join(front.layer for front in fronts), stride=first.stride,
        dilation=(1, 1), padding=(top, bottom + room[0], left, right + room[1]), groups=1,
    )  # fmt: skip
