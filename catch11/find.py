"""Find the front of a torch model: run it on a probe and see which layer reads the input itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas import Canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.front import Front, conv_front, fold_channels
from catch11.reading import Reading, Unusable, patch_order, positions, read_channels

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One call of a layer during the probe run."""

    name: str
    layer: nn.Module
    given: Tensor
    made: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The front with the call of its layer on the probe, the BatchNorm right behind it, and what the
    model said of the probe."""

    front: Front
    call: Call
    norm: nn.Module | None
    probe: Float[Tensor, "1 channel height width"]
    answer: Float[Tensor, "..."]


def find_front(module: nn.Module, canvas: Canvas, *, layer: str | None = None) -> Front:
    """The first linear map of `module` in pixel units of the canvas window.

    Found by running the module once on a probe: the layer whose input is the model's input, up to
    padding, channel order and one affine map a channel (a second normalisation), or a rearrangement
    into patches or one vector; a BatchNorm right behind it is folded in. It is accepted only if the
    output does not change when the input does and the layer's output is held. `layer` names one.

    Raises NoFront with every layer tried and why. Source: paper §3.1; DESIGN "Front geometries".
    """
    return find_reader(module, canvas, layer=layer).front


def find_reader(module: nn.Module, canvas: Canvas, *, layer: str | None = None) -> Found:
    """As `find_front`, with the layer and what it was given, for those who change it."""
    probe = _probe(canvas.shape)
    calls, answer = _record(module, probe)
    names = [call.name for call in calls if isinstance(call.layer, _LAYERS)]
    if layer is not None and layer not in names:
        raise InvalidArgument(
            "layer", expected=f"one of {', '.join(names[:8])}…", found=repr(layer)
        )
    tried: list[tuple[str, str]] = []
    for call in calls:
        if not isinstance(call.layer, _LAYERS) or layer not in (None, call.name):
            continue
        try:
            norm = _norm_behind(call, calls)
            front = front_of(call, probe, canvas, norm)
            _check_only_reader(module, call, probe, answer)
            return Found(front=front, call=call, norm=norm, probe=probe, answer=answer)
        except Unusable as reason:
            tried.append((call.name, str(reason)))
    raise NoFront(tried)


def _probe(shape: tuple[int, int, int]) -> Float[Tensor, "1 channel height width"]:
    """Distinct values in [-1, 1] without structure; public, so a seeded generator will do."""
    generator = torch.Generator().manual_seed(11)
    count = shape[0] * shape[1] * shape[2]
    order = torch.randperm(count, generator=generator).double()
    return (2.0 * order / count - 1.0).float().reshape(1, *shape)


def _record(module: nn.Module, probe: Tensor) -> tuple[list[Call], Tensor]:
    """The calls of layers on the probe, in order, and the model's answer."""
    calls: list[Call] = []

    def hook(name: str) -> Any:
        def note(layer: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(made, Tensor):
                calls.append(Call(name=name, layer=layer, given=given[0], made=made))

        return note

    handles = [
        child.register_forward_hook(hook(name))
        for name, child in module.named_modules()
        if isinstance(child, _LAYERS + _NORMS)
    ]
    try:
        answer = run_probe(module, probe)
    finally:
        for handle in handles:
            handle.remove()
    return calls, answer


def run_probe(
    module: nn.Module, values: Float[Tensor, "batch channel height width"]
) -> Float[Tensor, "..."]:
    """The model's first output tensor on normalised windows, in evaluation mode, no gradient."""
    parameter = next(module.parameters(), None)
    if parameter is not None:
        values = values.to(parameter)
    with torch.no_grad(), evaluating(module):
        return first_tensor(module(values))


def first_tensor(output: object) -> Tensor:
    """The tensor a model's output carries: `logits` where there are any, else the first tensor."""
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits  # type: ignore[attr-defined]
    values = list(output.values()) if isinstance(output, dict) else output
    for value in values if isinstance(values, list | tuple) else ():
        if isinstance(value, Tensor):
            return value
    raise InvalidArgument("model", expected="a tensor as output", found=type(output).__name__)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, each submodule's own mode restored after."""
    training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in training:
            child.training = True


def _norm_behind(call: Call, calls: list[Call]) -> nn.Module | None:
    for other in calls:
        if isinstance(other.layer, _NORMS) and other.given is call.made:
            return other.layer
    return None


def _check_only_reader(module: nn.Module, call: Call, probe: Tensor, clean: Tensor) -> None:
    """Hold the layer's output and change the input: an output that moves has another source."""
    handle = call.layer.register_forward_hook(lambda *_: call.made)
    try:
        held = run_probe(module, probe.square())
    finally:
        handle.remove()
    if held.shape != clean.shape or not torch.allclose(held, clean, rtol=1e-4, atol=1e-5):
        raise Unusable("the input also reaches the output around it")


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
    if layer.padding_mode != "zeros" and any(_sides(layer)):
        raise Unusable(f"its padding mode is {layer.padding_mode}, not zeros")
    weight, bias = _scaled(_kernel(layer), layer.bias, norm)
    if one_tile_each(call):
        return _tiled_front(call, weight.flatten(1), bias, probe, canvas)
    reading = read_channels(as_image(call.given), probe.to(call.given))
    weight, bias, neutral, groups = _to_pixels(weight, bias, reading, canvas, layer.groups)
    padding = tuple(a + b for a, b in zip(_sides(layer), reading.padding, strict=True))
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


def _sides(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> tuple[int, int, int, int]:
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
    if isinstance(call.layer, nn.Conv1d) or len(call.given) == 1 or any(_sides(call.layer)):
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
    assert isinstance(norm, _NORMS)
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
