"""Find the front of an ONNX graph: the one layer that reads the pixels, what lies before it as torch."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.affine import Unusable
from catch11.fronts.find import probe_window
from catch11.fronts.front import Front
from catch11.fronts.held import Trial, held_front, other_window
from catch11.fronts.layer import Call
from catch11.fronts.stack import stackable, stacked
from catch11.models.answer import first_line
from catch11.models.onnx.convert import (
    AnyNorm,
    PaddedConv,
    conv_layer,
    linear_layer,
    norm_layer,
    onnx_to_torch,
    schedule,
    torch_layer,
)
from catch11.models.onnx.file import picture_input
from catch11.models.onnx.run import put_out
from catch11.models.onnx.values import LARGEST, Values, attributes

LARGEST_BATCH = 32  # a fixed batch is run whole
LINEAR = ("Conv", "FusedConv", "QLinearConv", "Gemm", "MatMul")
# What moves, scales and shifts the pixels; any other operator before a layer ends their path.
AFFINE = frozenset((
    "Add", "BatchNormalization", "Cast", "Clip", "Concat", "DepthToSpace", "DequantizeLinear", "Div",
    "Dropout", "Expand", "Flatten", "Gather", "GatherND", "Identity", "Mul", "Neg", "Pad",
    "QuantizeLinear", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Transpose",
    "Unsqueeze",
))  # fmt: skip


def find_onnx_front(model: Any, canvas: Canvas, *, layer: str | None = None) -> Front:
    """The first linear map of an onnx.ModelProto in pixel units of the canvas window.

    What lies between the graph's input and the layer runs in torch on a probe, in float64 and
    without rounding; its input is then read as that of any torch layer. A BatchNormalization or
    per-channel arithmetic right behind the layer is folded in. Convolutions that alone read the input
    side by side are stacked. `layer` names a node or its output.

    Raises NoFront with every node tried and why, InvalidArgument for an unknown layer.
    """
    _check_input(model.graph, canvas)
    ends = [(node.name or node.output[0], node) for node in _ends(model.graph)]
    names = [name for name, node in ends if node.op_type in LINEAR]
    if layer is not None and not any(layer in (name, *node.output) for name, node in ends):
        raise InvalidArgument("layer", expected=f"one of {', '.join(names) or 'none'}", found=layer)
    if layer is None and len(ends) > 1 and all(node.op_type in LINEAR for _, node in ends):
        with suppress(Unusable):
            fronts = [_front_at(model, node, canvas, name) for name, node in ends]
            if stackable(fronts):
                return stacked(fronts)
    tried: list[tuple[str, str]] = []
    for name, node in ends:
        try:
            if node.op_type not in LINEAR:
                raise Unusable(f"a {node.op_type} changes the pixels before any linear layer")
            if layer not in (None, name, *node.output):
                continue
            for other in (other for other, end in ends if end is not node):
                raise Unusable(f"the input also reaches {other} around it")
            return _front_at(model, node, canvas, name)
        except Unusable as reason:
            tried.append((name, str(reason)))
    raise NoFront(tried)


def _check_input(graph: Any, canvas: Canvas) -> None:
    """Raises NoFront for several inputs or a large fixed batch, InvalidArgument for another canvas."""
    try:
        given = picture_input(graph)
    except ValueError as error:
        raise NoFront([("the graph", str(error))]) from None
    channels, height, width = canvas.shape
    size = (height, width, channels) if given.channels_last else canvas.shape
    sides = given.sides or (0, 0, 0)
    if len(sides) != 3 or any(a and a != b for a, b in zip(sides, size, strict=True)):
        expected = f"the window {size} to be the graph's input {sides}"
        raise InvalidArgument("canvas", expected=expected, found="another")
    if given.batch > LARGEST_BATCH:
        reason = f"its batch is fixed at {given.batch}; export it with a free batch axis"
        raise NoFront([("the graph", reason)])


def _ends(graph: Any) -> Iterable[Any]:
    """The nodes at which the path of the pixels ends, in order: layers, and what is not affine."""
    path = {picture_input(graph).name}
    for node, _, _ in schedule(graph, _outputs(graph)):
        if path.isdisjoint(node.input):
            continue
        if node.op_type in AFFINE:
            path.update(node.output)
        else:
            yield node


def _outputs(graph: Any) -> set[str]:
    return {one.name for one in graph.output}


@torch.no_grad()
def _front_at(model: Any, node: Any, canvas: Canvas, name: str) -> Front:
    """The front that a linear node is. Raises Unusable."""
    values = Values(model, lambda name: None)
    if values.get(node.input[0]) is not None:
        raise Unusable("the pixels are its second factor")
    for weight in node.input[1:]:
        if weight and values.get(weight) is None:
            raise Unusable(f"its weight {weight} is not constant")
    probe = probe_window(canvas)
    windows = probe, other_window(probe)
    try:
        before = onnx_to_torch(model, output=node.input[0], exact=True).double()
        given = [before(x.double()) for x in windows]
        flat = before(0 * probe.double()), before(0 * probe.double() + 1)
    except Exception as error:  # noqa: BLE001 - a stranger's graph may raise anything
        reason = f"what lies before it does not fit the window ({first_line(error)})"
        raise Unusable(reason) from None
    if given[0].numel() > LARGEST:
        raise Unusable(f"its input {tuple(given[0].shape)} is much larger than the window")
    shape = max((np.shape(values.get(one)) for one in node.input[1:]), key=len, default=())  # type: ignore[arg-type]
    try:
        read = [_layer(node, values, one) for one in given]
        layer = read[0][0].float()
        made = [layer(one.float()) for _, one in read]
    except RuntimeError:
        reason = f"its weight {shape} does not fit an input of {tuple(given[0].shape)}"
        raise Unusable(reason) from None
    except (TypeError, ValueError) as error:
        raise Unusable(first_line(error)) from None
    norm, end = _norm_behind(model.graph, node, values, layer)
    plain, given = layer, [one for _, one in read]
    if isinstance(layer, nn.Linear):
        plain = _unscaled(layer, given[0], *flat)[0]
        given = [_unscaled(layer, one, *flat)[1] for one in given]
    # What a fused layer puts out is behind its activation.
    said = [] if node.op_type == "FusedConv" else put_out(model, end, windows)
    trials = [
        Trial(probe=x, call=Call(name=name, layer=plain, given=one, made=out), made=put)
        for x, one, out, put in zip(windows, given, made, said or made, strict=True)
    ]
    return held_front(trials, canvas, norm)


def _layer(node: Any, values: Values, given: Tensor) -> tuple[nn.Module, Tensor]:
    """The torch layer of a node and its input; padding and dequantisation count as the input's."""
    if node.op_type == "QLinearConv":
        layer, given = _quantised(node, values, given)
    else:
        layer = torch_layer(node, attributes(node), values)
    if layer is None:
        raise Unusable("its weight is not one kernel or matrix applied to each vector")
    return (layer.conv, layer.pad(given)) if isinstance(layer, PaddedConv) else (layer, given)


def _quantised(node: Any, values: Values, given: Tensor) -> tuple[nn.Module | None, Tensor]:
    x_scale, x_zero, w, w_scale, w_zero = (
        np.asarray(values.get(name), dtype=np.float64) for name in node.input[1:6]
    )
    wide = (-1, *(1,) * (w.ndim - 1))
    weight = (w - w_zero.reshape(wide)) * w_scale.reshape(wide)
    bias: Any = values.get(node.input[8]) if len(node.input) > 8 else None
    if bias is not None:
        bias = bias * x_scale * w_scale.reshape(-1)
    layer = conv_layer(weight.astype(np.float32), bias, attributes(node))
    return layer, (given - float(x_zero)) * float(x_scale)


def _unscaled(
    layer: nn.Linear, given: Tensor, zero: Tensor, one: Tensor
) -> tuple[nn.Linear, Tensor]:
    """The layer with an affine map a feature folded in, and its input without that map."""
    gain, offset = (t.reshape(-1, t.shape[-1]) for t in (one - zero, zero))
    if not (gain == gain[:1]).all() or not (offset == offset[:1]).all():
        raise Unusable("its normalisation differs from tile to tile")
    if not gain.all():
        raise Unusable("a gain of zero hides a pixel")
    weight = layer.weight.double()
    bias = weight @ offset[0] + (0.0 if layer.bias is None else layer.bias)
    # The probe is float32: rounded to it, the pixels are again what they were to the bit.
    plain = ((given - zero) / (one - zero)).float()
    return linear_layer((weight * gain[0]).float().numpy(), bias.numpy()), plain


def _norm_behind(
    graph: Any, node: Any, values: Values, layer: nn.Module
) -> tuple[AnyNorm | None, str]:
    """The BatchNormalization and per-channel arithmetic that alone read a layer, as one norm, and the
    tensor that they put out."""
    name = node.output[0]
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return None, name
    ends = _outputs(graph)
    nodes = [one for one, _, _ in schedule(graph, ends)]
    readers = Counter(name for one in nodes for name in one.input)
    weight = layer.get_parameter("weight")
    factor, shift = np.ones(len(weight), np.float32), np.zeros(len(weight), np.float32)
    while readers[name] == 1 and name not in ends:
        behind = next(one for one in nodes if name in one.input)
        step = _scale_and_shift(behind, name, values, weight.dim() - 1)
        if step is None or any(value.size not in (1, len(weight)) for value in step):
            break
        factor, shift, name = factor * step[0], shift * step[0] + step[1], behind.output[0]
    norm = norm_layer(factor, shift, np.zeros_like(shift), np.ones_like(factor), epsilon=0.0)
    return norm, name


def _scale_and_shift(
    node: Any, name: str, values: Values, axis: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """(factor, shift) a channel, float32 as exporters fold it; None where a node does more.

    axis: of the channels, counted from the end.
    """
    first = node.input[0] == name
    if node.op_type == "BatchNormalization" and first:
        given: list[Any] = [values.get(one) for one in node.input[1:5]]
        if any(value is None for value in given) or attributes(node).get("training_mode", 0):
            return None
        scale, lift, mean, variance = (value.astype(np.float32) for value in given)
        factor = scale / np.sqrt(variance + np.float32(attributes(node).get("epsilon", 1e-5)))
        return factor, lift - mean * factor
    value = values.get(node.input[first]) if node.op_type in ("Add", "Sub", "Mul", "Div") else None
    if value is None or value.size not in (1, ((1,) * axis + value.shape)[-axis]):
        return None  # it differs from place to place
    value = value.astype(np.float32).reshape(-1)
    one, none = np.ones_like(value), np.zeros_like(value)
    if node.op_type == "Add":
        return one, value
    if node.op_type == "Sub":
        return (one, -value) if first else (-one, value)
    if node.op_type == "Mul":
        return value, none
    return (1 / value, none) if first and value.all() else None
