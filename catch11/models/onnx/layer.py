"""A linear node of an ONNX graph as weight, bias and reading, and as a Front in pixel units."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from catch11.canvas.frame import Canvas
from catch11.fronts.front import Front, conv_front, fold_channels
from catch11.models.onnx.trace import PADDING, Trace, Untraceable
from catch11.models.onnx.values import attributes

Constant = Callable[[str], np.ndarray | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """weight float32: conv (out, channel, kernel_h, kernel_w), dense (out, features); bias (out,)."""

    name: str
    trace: Trace
    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    channel_axis_from_end: int = 1


def read_layer(
    node: Any, traces: Sequence[Trace | None], constant: Constant, *, name: str
) -> Layer:
    """A Conv, QLinearConv, Gemm or MatMul whose weights are constant. Raises Untraceable."""
    if node.op_type in ("Gemm", "MatMul"):
        return _dense(node, traces, constant, name)
    return _conv(node, traces, constant, name)


def scale_layer(layer: Layer, factor: np.ndarray, shift: np.ndarray) -> Layer | None:
    """The layer with its output scaled and shifted a channel; None where the count is another."""
    count = len(layer.bias)
    if factor.size not in (1, count) or shift.size not in (1, count):
        return None
    wide = np.broadcast_to(factor, (count,)).reshape(-1, *(1,) * (layer.weight.ndim - 1))
    bias = layer.bias * factor + shift
    return replace(layer, weight=(layer.weight * wide).astype(np.float32), bias=bias)


def to_front(layer: Layer, canvas: Canvas) -> Front:
    """The layer in pixel units of the canvas window. Raises Untraceable."""
    if layer.weight.ndim == 2:
        return _dense_front(layer, canvas)
    sources, gains, offsets, ring = _read_channels(layer.trace, canvas.shape)
    weight, bias, neutral, groups = _to_pixels(
        torch.from_numpy(layer.weight).double(),
        torch.from_numpy(layer.bias.astype(np.float64)),
        _Reading(sources=sources, gains=gains, offsets=offsets),
        canvas,
        groups=layer.groups,
    )
    top, bottom, left, right = (a + b for a, b in zip(layer.padding, ring, strict=True))
    return conv_front(
        weight=weight,
        bias=bias,
        neutral=neutral,
        shape=canvas.shape,
        layer=layer.name,
        stride=layer.stride,
        dilation=layer.dilation,
        padding=(top, bottom, left, right),
        groups=groups,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """Layer channel j reads gains[j] * input[sources[j]] + offsets[j]."""

    sources: tuple[int, ...]
    gains: tuple[float, ...]
    offsets: tuple[float, ...]


def _conv(node: Any, traces: Sequence[Trace | None], constant: Constant, name: str) -> Layer:
    trace, weight, bias = _conv_parts(node, traces, constant)
    facts = attributes(node)
    spatial = weight.ndim - 2
    if spatial not in (1, 2) or len(trace.shape) != weight.ndim:
        raise Untraceable(
            f"its weight {weight.shape} and input {trace.shape} are not of a 1-D or 2-D convolution"
        )
    strides = tuple(facts.get("strides", (1,) * spatial))
    dilations = tuple(facts.get("dilations", (1,) * spatial))
    groups = int(facts.get("group", 1))
    if trace.shape[1] != weight.shape[1] * groups:
        raise Untraceable(f"its weight {weight.shape} does not fit an input of {trace.shape}")
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, weight.shape[2:], strict=True)]
    pads = conv_pads(facts, trace.shape[2:], strides, reach)
    if spatial == 1:
        weight, trace = (
            weight[:, :, None],
            replace(
                trace, **{f: getattr(trace, f)[:, :, None] for f in ("source", "gain", "offset")}
            ),
        )
        strides, dilations, pads = (1, *strides), (1, *dilations), [(0, 0), *pads]
    return Layer(
        name=name,
        trace=trace,
        weight=weight.astype(np.float32),
        bias=np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32),
        stride=(int(strides[0]), int(strides[1])),
        dilation=(int(dilations[0]), int(dilations[1])),
        padding=(*pads[0], *pads[1]),
        groups=groups,
        channel_axis_from_end=spatial + 1,
    )


def _conv_parts(
    node: Any, traces: Sequence[Trace | None], constant: Constant
) -> tuple[Trace, np.ndarray, np.ndarray | None]:
    if traces[0] is None:
        raise Untraceable("the pixels are its weight, not its input")
    if node.op_type != "QLinearConv":
        bias = _value(node, 2, constant) if len(node.input) > 2 and node.input[2] else None
        return traces[0], _value(node, 1, constant), bias
    x_scale, x_zero, w, w_scale, w_zero = (
        _value(node, index, constant).astype(np.float64) for index in (1, 2, 3, 4, 5)
    )
    wide = (-1, *(1,) * (w.ndim - 1)) if w_scale.size > 1 else ()
    weight = (w - w_zero.reshape(wide if w_zero.size > 1 else ())) * w_scale.reshape(wide)
    trace = replace(
        traces[0], gain=traces[0].gain * x_scale, offset=(traces[0].offset - x_zero) * x_scale
    )
    bias = None
    if len(node.input) > 8 and node.input[8]:
        bias = _value(node, 8, constant).astype(np.float64) * x_scale * w_scale.reshape(-1)
    return trace, weight, bias


def conv_pads(
    facts: dict[str, Any], sizes: Sequence[int], strides: Sequence[int], reach: Sequence[int]
) -> list[tuple[int, int]]:
    """(before, after) an axis; auto_pad resolved as the standard says."""
    mode = facts.get("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = list(facts.get("pads", (0,) * 2 * len(sizes)))
        half = len(sizes)
        pairs = [(int(a), int(b)) for a, b in zip(pads[:half], pads[half:], strict=True)]
        if min(min(pair) for pair in pairs) < 0:
            raise Untraceable("its padding is negative")
        return pairs
    if mode == "VALID":
        return [(0, 0)] * len(sizes)
    pairs = []
    for size, stride, span in zip(sizes, strides, reach, strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return pairs


def _dense(node: Any, traces: Sequence[Trace | None], constant: Constant, name: str) -> Layer:
    trace = traces[0]
    if trace is None:
        raise Untraceable("the pixels are its second factor")
    facts = attributes(node)
    weight = _value(node, 1, constant).astype(np.float32)
    if weight.ndim != 2 or facts.get("transA", 0):
        raise Untraceable(f"its weight {weight.shape} is not one matrix applied to each vector")
    if not (node.op_type == "Gemm" and facts.get("transB", 0)):
        weight = weight.T
    weight = np.ascontiguousarray(weight) * np.float32(facts.get("alpha", 1.0))
    if trace.shape[-1] != weight.shape[1]:
        raise Untraceable(f"its weight {weight.shape} does not fit an input of {trace.shape}")
    bias = np.zeros(len(weight), np.float32)
    if len(node.input) > 2 and node.input[2]:
        given = _value(node, 2, constant).astype(np.float32) * np.float32(facts.get("beta", 1.0))
        bias = np.broadcast_to(given.reshape(-1) if given.size == len(bias) else given, bias.shape)
    return Layer(name=name, trace=trace, weight=weight, bias=bias)


def _value(node: Any, index: int, constant: Constant) -> np.ndarray:
    value = constant(node.input[index])
    if value is None:
        raise Untraceable(f"its weight {node.input[index]} is not constant")
    return value


def _read_channels(
    trace: Trace, shape: tuple[int, int, int]
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...], tuple[int, int, int, int]]:
    """Channel sources, gains, offsets, and the ring (top, bottom, left, right) of padding."""
    _, height, width = shape
    held = trace.source[0] != PADDING
    rows, columns = np.flatnonzero(held.any((0, 2))), np.flatnonzero(held.any((0, 1)))
    if rows.size != height or columns.size != width:
        raise Untraceable(f"it reads {rows.size} x {columns.size} pixels of {height} x {width}")
    block = np.s_[:, rows[0] : rows[0] + height, columns[0] : columns[0] + width]
    source, gain, offset = trace.source[0][block], trace.gain[0][block], trace.offset[0][block]
    places = np.arange(height * width).reshape(height, width)
    if source.shape[1:] != (height, width) or not (source - source[:, :1, :1] == places).all():
        raise Untraceable("it does not read the window as it lies")
    if not (gain == gain[:, :1, :1]).all() or not (offset == offset[:, :1, :1]).all():
        raise Untraceable("its normalisation differs from pixel to pixel")
    _, _, rows_read, columns_read = trace.shape
    ring = (
        int(rows[0]),
        int(rows_read - height - rows[0]),
        int(columns[0]),
        int(columns_read - width - columns[0]),
    )
    sources = tuple(int(start) // (height * width) for start in source[:, 0, 0])
    return sources, tuple(map(float, gain[:, 0, 0])), tuple(map(float, offset[:, 0, 0])), ring


def _to_pixels(
    weight: torch.Tensor, bias: torch.Tensor, reading: _Reading, canvas: Canvas, *, groups: int
) -> tuple[torch.Tensor, torch.Tensor, tuple[float, ...], int]:
    """Fold reading and canvas into the weight; also bias, neutral pixel and groups."""
    pairs = list(zip(reading.sources, reading.gains, reading.offsets, strict=True))
    gains = [gain * canvas.gain[source] for source, gain, _ in pairs]
    offsets = [gain * canvas.offset[source] + offset for source, gain, offset in pairs]
    pixels = tuple(canvas.order[source] for source in reading.sources)
    neutral = list(canvas.neutral)
    for pixel, gain, offset in zip(pixels, gains, offsets, strict=True):
        if not gain:
            raise Untraceable("a gain of zero hides a channel")
        neutral[pixel] = -offset / gain
    # Two layer channels may read one pixel channel with different offsets: the rest is bias.
    rest = [g * neutral[p] + o for g, p, o in zip(gains, pixels, offsets, strict=True)]
    if groups == 1:
        bias = bias + weight.flatten(2).sum(2) @ torch.tensor(rest, dtype=torch.float64)
    folded, groups = fold_channels(
        weight, sources=pixels, gains=tuple(gains), channels=canvas.channels, groups=groups
    )
    return folded, bias, tuple(neutral), groups


def _dense_front(layer: Layer, canvas: Canvas) -> Front:
    """A matrix applied to the whole window, or to each of its tiles."""
    source, gain, offset = (
        getattr(layer.trace, field).reshape(-1, layer.weight.shape[1])
        for field in ("source", "gain", "offset")
    )
    first = source[:, 0] < math.prod(canvas.shape)  # of a fixed batch, the first window
    source, gain, offset = source[first], gain[first], offset[first]
    if (source == PADDING).any() or (source >= math.prod(canvas.shape)).any():
        raise Untraceable("its vectors pad the window or mix several")
    if np.unique(source).size != source.size:
        raise Untraceable("its input repeats pixels")
    if not (gain == gain[:1]).all() or not (offset == offset[:1]).all():
        raise Untraceable("its normalisation differs from tile to tile")
    channels, height, width = canvas.shape
    kernel, place = (
        ((height, width), source[0]) if len(source) == 1 else _tiles(source, canvas.shape)
    )
    area = kernel[0] * kernel[1]
    spread = torch.zeros(len(layer.weight), channels * area, dtype=torch.float64)
    spread[:, place] = torch.from_numpy(layer.weight * gain[0].astype(np.float32)).double()
    lift = torch.from_numpy(layer.weight.astype(np.float64) @ offset[0])
    weight, bias, neutral, _ = _to_pixels(
        spread.reshape(-1, channels, *kernel),
        torch.from_numpy(layer.bias.astype(np.float64)) + lift,
        _Reading(
            sources=tuple(range(channels)), gains=(1.0,) * channels, offsets=(0.0,) * channels
        ),
        canvas,
        groups=1,
    )
    if len(source) == 1:
        return Front(
            geometry="dense", weight=weight.flatten(1), bias=bias, neutral=neutral,
            shape=canvas.shape, layer=layer.name,
        )  # fmt: skip
    return conv_front(
        weight=weight, bias=bias, neutral=neutral, shape=canvas.shape, layer=layer.name,
        stride=kernel, dilation=(1, 1), padding=(0, 0, 0, 0), groups=1,
    )  # fmt: skip


def _tiles(source: np.ndarray, shape: tuple[int, int, int]) -> tuple[tuple[int, int], np.ndarray]:
    """Tile size, and the place of each feature in a (channel, row, column) tile."""
    channels, height, width = shape
    channel, rest = np.divmod(source, height * width)
    row, column = np.divmod(rest, width)
    row, column = row - row.min(1, keepdims=True), column - column.min(1, keepdims=True)
    kernel = int(row.max()) + 1, int(column.max()) + 1
    place = (channel * kernel[0] + row) * kernel[1] + column
    count = (height // kernel[0]) * (width // kernel[1])
    whole = source.shape == (count, channels * kernel[0] * kernel[1])
    if not whole or not (place == place[:1]).all():
        raise Untraceable("its vectors are not the tiles of the window")
    return kernel, place[0]
