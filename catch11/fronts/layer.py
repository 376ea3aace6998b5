"""A layer called on the probe, and the front that it is: its weights in pixel units of the window."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.fronts.affine import Reading, Unusable, patch_order, positions, read_channels
from catch11.fronts.front import Front, conv_front, fold_channels

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One call of a layer during the probe run."""

    name: str
    layer: nn.Module
    given: Tensor
    made: Tensor


def front_of(
    call: Call,
    probe: Float[Tensor, "1 channel height width"],
    canvas: Canvas,
    norm: nn.Module | None,
) -> Front:
    """The front that a layer is, judged by what it was given on the probe. Raises Unusable."""
    layer = call.layer
    if isinstance(layer, nn.Linear):
        return _dense_front(call, layer, probe, canvas, norm)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    if layer.padding_mode != "zeros" and any(sides_of(layer)):
        raise Unusable(f"its padding mode is {layer.padding_mode}, not zeros")
    weight, bias = _scaled(_kernel(layer), layer.bias, norm)
    if one_tile_each(call):
        return _tiled_front(call, weight.flatten(1), bias, probe, canvas)
    reading = read_channels(as_image(call.given), probe.to(call.given))
    weight, bias, neutral, groups = _to_pixels(weight, bias, reading, canvas, layer.groups)
    padding = tuple(a + b for a, b in zip(sides_of(layer), reading.padding, strict=True))
    return conv_front(
        weight=weight,
        bias=bias,
        neutral=neutral,
        shape=canvas.shape,
        layer=call.name,
        stride=_pair(layer.stride),
        dilation=_pair(layer.dilation),
        padding=padding,  # type: ignore[arg-type]
        groups=groups,
    )


def _kernel(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> Tensor:
    """The kernel as (out, channel, height, width); a 3-D one summed over its frames."""
    weight = layer.weight.detach().to("cpu", torch.float32)
    if weight.ndim == 3:
        return weight[:, :, None]
    if weight.ndim == 5:
        if layer.stride[0] != layer.kernel_size[0]:
            raise Unusable("its kernel overlaps in time")
        return weight.sum(2)  # every frame is the same picture
    return weight


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[-2], sizes[-1])


def sides_of(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> tuple[int, int, int, int]:
    """Padding (top, bottom, left, right) of a convolution, "same" resolved as torch does."""
    if layer.padding == "valid":
        return 0, 0, 0, 0
    if layer.padding == "same":
        rows, columns = (
            d * (k - 1)
            for d, k in zip(_pair(layer.dilation), _pair(layer.kernel_size), strict=True)
        )
        if len(layer.kernel_size) == 1:
            rows = 0
        return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    sizes = layer.padding
    assert not isinstance(sizes, str)
    if len(sizes) == 1:
        return 0, 0, sizes[0], sizes[0]
    if len(sizes) == 3 and sizes[0]:
        raise Unusable("it pads in time")
    return sizes[-2], sizes[-2], sizes[-1], sizes[-1]


def one_tile_each(call: Call) -> bool:
    """Whether a convolution is given a stack of tiles of its kernel's size, as Qwen-VL's is."""
    assert isinstance(call.layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    if isinstance(call.layer, nn.Conv1d) or len(call.given) == 1 or any(sides_of(call.layer)):
        return False
    return call.layer.groups == 1 and call.given.shape[2:] == call.layer.kernel_size


def as_image(given: Tensor) -> Tensor:
    """What a 1-D, 2-D or 3-D convolution is given, as pictures; frames must be alike."""
    if given.ndim == 3:
        return given[:, :, None]
    if given.ndim == 5:
        if not torch.equal(given[:, :, :1].expand_as(given), given):
            raise Unusable("its frames differ")
        return given[:, :, 0]
    return given


def _scaled(
    weight: Tensor, bias: Tensor | None, norm: nn.Module | None
) -> tuple[Float[Tensor, "out channel *kernel"], Float[Tensor, " out"]]:
    """A BatchNorm in evaluation mode folded into weight and bias, in float32 as exporters do."""
    flat = torch.zeros(weight.shape[0]) if bias is None else bias.detach().to("cpu", torch.float32)
    if norm is None or norm.running_var is None:
        return weight.double(), flat.double()
    assert isinstance(norm, NORMS)
    assert norm.running_mean is not None
    variance, mean = norm.running_var.cpu(), norm.running_mean.cpu()
    scale = torch.ones_like(mean) if norm.weight is None else norm.weight.detach().cpu()
    lift = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach().cpu()
    factor = scale / torch.sqrt(variance + norm.eps)
    folded = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    return folded.double(), ((flat - mean) * factor + lift).double()


def _to_pixels(
    weight: Tensor, bias: Tensor, reading: Reading, canvas: Canvas, groups: int
) -> tuple[Tensor, Tensor, tuple[float, ...], int]:
    """Fold reading and canvas into the weight; also the bias, neutral pixel and groups."""
    gains = [g * canvas.gain[s] for g, s in zip(reading.gain, reading.source, strict=True)]
    offsets = [
        g * canvas.offset[s] + o
        for g, s, o in zip(reading.gain, reading.source, reading.offset, strict=True)
    ]
    pixels = tuple(canvas.order[s] for s in reading.source)
    neutral = list(canvas.neutral)
    for pixel, gain, offset in zip(pixels, gains, offsets, strict=True):
        neutral[pixel] = -offset / gain
    # Two layer channels may read one pixel channel with different offsets: the rest is bias.
    rest = torch.tensor(
        [g * neutral[p] + o for g, p, o in zip(gains, pixels, offsets, strict=True)],
        dtype=torch.float64,
    )
    if groups == 1:
        bias = bias + weight.flatten(2).sum(2) @ rest if weight.ndim > 2 else bias + weight @ rest
    folded, groups = fold_channels(
        weight, sources=pixels, gains=tuple(gains), channels=canvas.channels, groups=groups
    )
    return folded, bias, tuple(neutral), groups


def _dense_front(
    call: Call, layer: nn.Linear, probe: Tensor, canvas: Canvas, norm: nn.Module | None
) -> Front:
    """A Linear layer that reads the whole window as one vector, or patch by patch."""
    index = positions(call.given, probe.to(call.given))
    weight, bias = _scaled(layer.weight.detach().to("cpu", torch.float32), layer.bias, norm)
    channels, height, width = canvas.shape
    if index.shape[0] == 1:
        cells = torch.zeros(layer.out_features, channels * height * width, dtype=torch.float64)
        cells[:, index[0]] = weight
        cells = cells.reshape(-1, channels, height * width)
        folded, bias, neutral, _ = _to_pixels(cells, bias, _plain(canvas), canvas, 1)
        return Front(
            geometry="dense", weight=folded.flatten(1), bias=bias, neutral=neutral,
            shape=canvas.shape, layer=call.name,
        )  # fmt: skip
    return _tiled_front(call, weight, bias, probe, canvas)


def _tiled_front(call: Call, weight: Tensor, bias: Tensor, probe: Tensor, canvas: Canvas) -> Front:
    """A layer that reads each tile of the window as one vector, its weight (out, feature)."""
    vectors = call.given if isinstance(call.layer, nn.Linear) else as_image(call.given).flatten(1)
    kernel, order = patch_order(positions(vectors, probe.to(vectors)), canvas.shape)
    cells = torch.zeros_like(weight)
    cells[:, order] = weight
    cells = cells.reshape(-1, canvas.channels, *kernel)
    folded, bias, neutral, _ = _to_pixels(cells, bias, _plain(canvas), canvas, 1)
    return conv_front(
        weight=folded, bias=bias, neutral=neutral, shape=canvas.shape, layer=call.name,
        stride=kernel, dilation=(1, 1), padding=(0, 0, 0, 0), groups=1,
    )  # fmt: skip


def _plain(canvas: Canvas) -> Reading:
    """The model's input as it is."""
    count = canvas.channels
    return Reading(
        source=tuple(range(count)), gain=(1.0,) * count, offset=(0.0,) * count, padding=(0,) * 4
    )
