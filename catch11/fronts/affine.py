"""How a layer's input stands to the model's: padded, reordered, scaled, or rearranged into vectors."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Layer channel j reads gain[j] * input[source[j]] + offset[j], set at (top, left) of padding."""

    source: tuple[int, ...]
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    padding: tuple[int, int, int, int]


class Unusable(Exception):
    """Why one layer is not the front."""


def read_channels(given: Tensor, probe: Tensor) -> Reading:
    """Match each channel of a layer's input to an affine image of one channel of the model's."""
    _, _, height, width = probe.shape
    if given.ndim != 4 or given.shape[2] < height or given.shape[3] < width:
        raise Unusable(
            f"its input {tuple(given.shape)} does not hold the window {height} x {width}"
        )
    more_rows, more_columns = given.shape[2] - height, given.shape[3] - width
    if more_rows > 64 or more_columns > 64:
        raise Unusable(f"its input {tuple(given.shape)} is much larger than the window")
    for top in range(more_rows + 1):
        for left in range(more_columns + 1):
            inner = given[0, :, top : top + height, left : left + width].double()
            matched = match_rows(inner.flatten(1), probe[0].double().flatten(1))
            if matched is not None:
                if not _constant_around(given[0], top, left, height, width):
                    raise Unusable("the model pads its input with more than a constant")
                source, gain, offset = matched
                sides = (top, more_rows - top, left, more_columns - left)
                return Reading(source=source, gain=gain, offset=offset, padding=sides)
    raise Unusable("its input is not the model's input up to padding, channel order and scale")


def _constant_around(given: Tensor, top: int, left: int, height: int, width: int) -> bool:
    """Whether each channel has one value outside the window set at (top, left)."""
    outside = torch.ones(given.shape[1:], dtype=torch.bool)
    outside[top : top + height, left : left + width] = False
    ring = given[:, outside.to(given.device)]
    return bool((ring == ring[:, :1]).all())


def match_rows(
    given: Float[Tensor, "to pixel"], probe: Float[Tensor, "from pixel"]
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]] | None:
    """For each row given the row of the probe that it is an affine image of, with gain and offset;
    None where one is of none."""
    source, gain, offset = [], [], []
    centred = probe - probe.mean(1, keepdim=True)
    for row in given:
        deviation = row - row.mean()
        slopes = centred @ deviation / (centred**2).sum(1)
        residual = (deviation - slopes[:, None] * centred).norm(dim=1)
        best = int(residual.argmin())
        if not residual[best] <= 1e-5 * deviation.norm() or not deviation.any():
            return None
        slope = float(slopes[best])
        # One channel of a probe run in float32 gives its slope to about 1e-8; a slope that is 1
        # to rounding is 1, so that plain models fold exactly.
        slope = 1.0 if abs(slope - 1.0) < 1e-6 else slope
        shift = float(row.mean() - slope * probe[best].mean())
        source.append(best)
        gain.append(slope)
        offset.append(0.0 if abs(shift) < 1e-6 else shift)
    return tuple(source), tuple(gain), tuple(offset)


def positions(given: Tensor, probe: Tensor) -> Tensor:
    """Where in the flattened probe each value of a layer's input stands: (vectors, features)."""
    values, places = probe.flatten().sort()
    flat = given.reshape(-1, given.shape[-1])
    found = torch.searchsorted(values, flat.contiguous()).clamp(max=values.numel() - 1)
    if not torch.equal(values[found], flat):
        raise Unusable("its input is not a rearrangement of the model's input")
    index = places[found]
    if index.unique().numel() != index.numel():
        raise Unusable("its input repeats values of the model's input")
    return index


def patch_order(index: Tensor, shape: tuple[int, int, int]) -> tuple[tuple[int, int], Tensor]:
    """Patch size, and the place of each feature in a (channel, row, column) patch."""
    channels, height, width = shape
    channel, rest = index // (height * width), index % (height * width)
    row, column = rest // width, rest % width
    row, column = row - row.amin(1, keepdim=True), column - column.amin(1, keepdim=True)
    kernel = int(row.max()) + 1, int(column.max()) + 1
    place = (channel * kernel[0] + row) * kernel[1] + column
    patches = (height // kernel[0]) * (width // kernel[1])
    if not torch.equal(place, place[:1].expand_as(place)) or index.shape[0] != patches:
        raise Unusable("its vectors are not the tiles of the window")
    if index.shape[1] != channels * kernel[0] * kernel[1]:
        raise Unusable("its vectors are not whole tiles of the window")
    return kernel, place[0]
