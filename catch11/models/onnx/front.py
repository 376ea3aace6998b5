"""Find the front of an ONNX graph: the one Conv, Gemm or MatMul that reads the pixels."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.front import Front
from catch11.models.onnx.file import picture_input
from catch11.models.onnx.layer import Layer, read_layer, scale_layer, to_front
from catch11.models.onnx.trace import Trace, Untraceable, batch_norm, follow, input_trace
from catch11.models.onnx.values import Values

LARGEST_BATCH = 32  # every element of a fixed batch is traced
LINEAR = ("Conv", "FusedConv", "QLinearConv", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """A node at which the path of the pixels ends: a linear layer, or a reason."""

    node: Any
    name: str
    traces: tuple[Trace | None, ...]
    reason: str | None


def find_onnx_front(model: Any, canvas: Canvas, *, layer: str | None = None) -> Front:
    """The first linear map of an onnx.ModelProto in pixel units of the canvas window.

    Traced from the graph's input through Pad, Transpose, Reshape, casts, quantisation and
    per-channel arithmetic, which are folded in; so is a BatchNormalization or per-channel
    arithmetic right behind the layer. `layer` names a node or its output.

    Raises NoFront with every node tried and why, InvalidArgument for an unknown layer.
    """
    nodes = _used_nodes(model.graph)
    traces = dict([_start(model.graph, canvas)])
    values = Values(model, lambda name: traces[name].shape if name in traces else None)
    readers = _walk(nodes, traces, values, model.opset_import)
    names = [reader.name for reader in readers if reader.reason is None]
    if layer is not None and layer not in {
        name for r in readers for name in (r.name, *r.node.output)
    }:
        raise InvalidArgument("layer", expected=f"one of {', '.join(names) or 'none'}", found=layer)
    tried: list[tuple[str, str]] = []
    for reader in readers:
        others = [other.name for other in readers if other is not reader]
        try:
            if reader.reason is not None:
                raise Untraceable(reader.reason)
            if layer is not None and layer not in (reader.name, *reader.node.output):
                continue
            if others:
                raise Untraceable(f"the input also reaches {others[0]} around it")
            read = read_layer(reader.node, reader.traces, values.get, name=reader.name)
            read = _fold_behind(read, reader.node, nodes, values, _outputs(model.graph))
            return to_front(read, canvas)
        except Untraceable as reason:
            tried.append((reader.name, str(reason)))
    raise NoFront(tried)


def _walk(nodes: list[Any], traces: dict[str, Trace], values: Values, opsets: Any) -> list[_Reader]:
    """Follow the pixels in the graph's order, adding to `traces`; the nodes where they end."""
    readers = []
    for node in nodes:
        given = tuple(traces.get(name) for name in node.input)
        if all(trace is None for trace in given) or node.op_type in ("Shape", "Size"):
            continue
        reason: str | None = None
        if node.op_type not in LINEAR:
            try:
                traces.update(
                    zip(node.output, follow(node, given, values.get, opsets), strict=False)
                )
                continue
            except Untraceable as error:
                reason = str(error)
        name = node.name or (node.output[0] if node.output else node.op_type)
        readers.append(_Reader(node=node, name=name, traces=given, reason=reason))
    return readers


def _fold_behind(
    layer: Layer, node: Any, nodes: list[Any], values: Values, ends: set[str]
) -> Layer:
    """Fold BatchNormalization and per-channel arithmetic that alone read the layer's output."""
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return layer
    readers = Counter(name for one in nodes for name in one.input)
    name = node.output[0]
    while readers[name] == 1 and name not in ends:
        behind = next(one for one in nodes if name in one.input)
        try:
            factor, shift = _behind(behind, name, values, layer.channel_axis_from_end)
        except Untraceable:
            break
        folded = scale_layer(layer, factor, shift)
        if folded is None:
            break
        layer, name = folded, behind.output[0]
    return layer


def _behind(node: Any, name: str, values: Values, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """(factor, shift) a channel of the node behind a layer. Raises Untraceable."""
    if node.op_type == "BatchNormalization" and node.input[0] == name:
        return batch_norm(node, values.get)
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        raise Untraceable("not arithmetic")
    first = node.input[0] == name
    value = values.get(node.input[1 if first else 0])
    if value is None or (node.op_type == "Div" and (not first or not value.all())):
        raise Untraceable("not constant")
    value = _per_channel(value.astype(np.float32), axis)
    one, none = np.ones_like(value), np.zeros_like(value)
    if node.op_type == "Add":
        return one, value
    if node.op_type == "Sub":
        return (one, -value) if first else (-one, value)
    return (value, none) if node.op_type == "Mul" else (1 / value, none)


def _per_channel(value: np.ndarray, axis: int) -> np.ndarray:
    """A constant that varies along the channel axis alone, as a vector. Raises Untraceable."""
    if value.size == 1:
        return value.reshape(1)
    if value.ndim < axis or value.shape[value.ndim - axis] != value.size:
        raise Untraceable("it differs from place to place")
    return value.reshape(-1)


def _used_nodes(graph: Any) -> list[Any]:
    """The nodes some output depends on, in the graph's order."""
    needed = _outputs(graph)
    used = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            used.append(node)
            needed.update(node.input)
    return used[::-1]


def _outputs(graph: Any) -> set[str]:
    return {one.name for one in graph.output}


def _start(graph: Any, canvas: Canvas) -> tuple[str, Trace]:
    """The graph's input and its trace.

    Raises NoFront for several inputs or a large fixed batch, InvalidArgument for another canvas.
    """
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
    trace = input_trace(canvas.shape, batch=max(given.batch, 1))
    return given.name, trace.moved(0, 2, 3, 1) if given.channels_last else trace
