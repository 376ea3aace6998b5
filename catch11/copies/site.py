"""How a model's first layer reads the tiles of a window, and that layer behind a scramble of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.copies.scramble import Scramble
from catch11.errors import InvalidArgument
from catch11.fronts.affine import Reading, Unusable, patch_order, positions, read_channels
from catch11.fronts.find import Found
from catch11.fronts.front import Front
from catch11.fronts.layer import as_image, one_tile_each

OVERLAP = (
    "its first layer is a convolution whose positions overlap, so only whole colour channels could be "
    "permuted and inverted, 3!·2³ = 48 keys that anyone tries, and its padding gives inversion away "
    "at the border"
)
PADS = "it pads the window to whole patches, which would put the padding among the scrambled values"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """How a layer reads the tiles of a window: feature columns[p] is gains[p] · v[p] + offsets[p],
    p a place (channel, row, column) of the tile in pixels. across: gains are the same for all
    channels; level: so are offsets."""

    tile: tuple[int, int]
    columns: Int[Tensor, " place"]
    gains: Float[Tensor, " place"]
    offsets: Float[Tensor, " place"]

    @property
    def across(self) -> bool:
        return bool((self.gains == self.gains[0]).all())

    @property
    def level(self) -> bool:
        return bool((self.offsets == self.offsets[0]).all())


def site_of(found: Found, canvas: Canvas) -> Site:
    """How the found layer reads tiles. Raises InvalidArgument where there are none."""
    layer, given = found.call.layer, found.call.given
    if not found.front.tiled:
        raise refusal(_why_not(found.front))
    if found.front.layer != found.call.name:
        raise refusal(f"several layers read its input, {found.front.layer}")
    probe = found.probe.to(given)
    if isinstance(layer, nn.Linear) or one_tile_each(found.call):
        vectors = given if isinstance(layer, nn.Linear) else as_image(given).flatten(1)
        index = positions(vectors, probe)
        tile, order = canvas.shape[1:], index[0]
        if found.front.patched:
            tile, order = patch_order(index, canvas.shape)
        reading = Reading(
            source=tuple(range(canvas.channels)), gain=(1.0,) * canvas.channels,
            offset=(0.0,) * canvas.channels, padding=(0,) * 4,
        )  # fmt: skip
        places = order.argsort()  # feature of each place of the tile, in the model's channel order
    else:
        try:
            tile, reading = found.front.kernel, read_channels(as_image(given), probe)
        except Unusable as reason:
            raise refusal(f"of its first layer {reason}") from None
        places = torch.arange(len(reading.source) * tile[0] * tile[1])
    return _by_pixels(tile, places.cpu(), reading, canvas)


def _by_pixels(tile: tuple[int, int], places: Tensor, reading: Reading, canvas: Canvas) -> Site:
    pixels = [canvas.order[source] for source in reading.source]
    if sorted(pixels) != list(range(canvas.channels)):
        raise refusal(f"its first layer reads the colour channels {pixels}, not each of them once")
    back = torch.tensor([pixels.index(channel) for channel in range(canvas.channels)])
    gains = [
        gain * canvas.gain[source]
        for gain, source in zip(reading.gain, reading.source, strict=True)
    ]
    offsets = [
        gain * canvas.offset[source] + offset
        for gain, offset, source in zip(reading.gain, reading.offset, reading.source, strict=True)
    ]
    area = tile[0] * tile[1]
    return Site(
        tile=(int(tile[0]), int(tile[1])),
        columns=places.reshape(len(pixels), area)[back].flatten(),
        gains=torch.tensor(gains, dtype=torch.float64)[back].repeat_interleave(area),
        offsets=torch.tensor(offsets, dtype=torch.float64)[back].repeat_interleave(area),
    )


def _why_not(front: Front) -> str:
    if front.kernel == front.stride and any(front.padding):
        return PADS
    return OVERLAP


def carriers(module: nn.Module, found: Found, site: Site) -> Iterator[str]:
    """Parameters that can take a constant added to the layer's output: its bias, else position
    embeddings with a row a tile."""
    layer = found.call.layer
    if layer.bias is not None:
        yield f"{found.call.name}.bias"
        return
    tiles = (found.front.shape[1] // site.tile[0]) * (found.front.shape[2] // site.tile[1])
    for name, value in module.named_parameters():
        rows = value.shape[-2] if value.ndim > 1 else 0
        if "pos" in name.lower() and value.shape[-1] == found.front.outputs and rows >= tiles:
            yield name


def compose(
    made: nn.Module, found: Found, site: Site, scramble: Scramble, carrier: str | None
) -> None:
    """Compose a layer with the inverse of a scramble; see the formula.

    The layer's feature at place k of a scrambled tile is L = g_k v' + o_k with v' = ±v_j (+1), j =
    source[k]. What it adds for the clean v_j, W_j (g_j v_j + o_j), is ± W_j g_j / g_k · L and a
    constant.
    """
    layer: Any = made.get_submodule(found.call.name)
    weight: Tensor = layer.weight.detach()
    if weight.ndim == 5:
        flat = weight.double().movedim(2, 1).flatten(2)
    else:
        flat = weight.double().flatten(1)[:, None]
    source, sign = scramble.source, 1.0 - 2.0 * scramble.inverted.double()
    gains, offsets = site.gains[source], site.offsets[source]
    taken = flat[:, :, site.columns[source]]
    moved = torch.empty_like(flat)
    moved[:, :, site.columns] = taken * (sign * gains / site.gains)
    constant = (
        offsets + gains * scramble.inverted.double() - sign * gains / site.gains * site.offsets
    )
    shift = (taken @ constant).sum(1)
    with torch.no_grad():
        layer.weight.copy_(_as(moved, weight))
        if carrier is not None:
            _add(made.get_parameter(carrier), shift, scramble.grid)


def _as(flat: Float[Tensor, "out frame feature"], weight: Tensor) -> Tensor:
    """Back to the shape of a layer's weight."""
    if weight.ndim != 5:
        return flat.reshape(weight.shape)
    out, channels, frames, height, width = weight.shape
    return flat.reshape(out, frames, channels, height, width).movedim(1, 2)


def _add(carrier: Tensor, shift: Float[Tensor, " out"], grid: tuple[int, int]) -> None:
    """Add a constant to a bias, or to the last rows of position embeddings, one a tile."""
    if carrier.ndim == 1:
        carrier.copy_(carrier.double() + shift)
        return
    rows = carrier[..., -grid[0] * grid[1] :, :]
    rows.copy_(rows.double() + shift)


def refusal(reason: str, remedy: str = "") -> InvalidArgument:
    """Why no private copy can be made of a model."""
    expected = "one whose first layer reads patches, or the whole window, once each"
    return InvalidArgument("model", expected=expected, found=f"another: {reason}", remedy=remedy)
