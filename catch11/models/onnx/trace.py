"""What each tensor on an ONNX graph's data path is made of, as long as it is pixels moved and scaled.

A trace says for every element which pixel of the window it is (or that it is padding), and the
affine map applied to it. Transposes, reshapes, pads, slices and channel swaps all become the same
thing, a rearranged array of pixel numbers, computed by the operator's own reference implementation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catch11.models.onnx.values import attributes, evaluate

PADDING = -1


class Untraceable(Exception):
    """Why the path of the pixels ends at a node."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Element e is gain[e] * input.flat[source[e]] + offset[e]; source -1: the constant offset[e]."""

    source: np.ndarray
    gain: np.ndarray
    offset: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor, its batch axis included."""
        return tuple(self.source.shape)

    def moved(self, *axes: int) -> "Trace":
        """The trace with its axes in another order."""
        fields = (self.source, self.gain, self.offset)
        source, gain, offset = (field.transpose(axes) for field in fields)
        return Trace(source=source, gain=gain, offset=offset)


def input_trace(shape: tuple[int, int, int], *, batch: int = 1) -> Trace:
    """The trace of the graph's input (batch, channel, height, width); the first window is 0, 1, …"""
    size = (batch, *shape)
    source = np.arange(math.prod(size), dtype=np.int64).reshape(size)
    return Trace(source=source, gain=np.ones(size), offset=np.zeros(size))


Constant = Callable[[str], np.ndarray | None]
Step = Callable[[Any, Sequence[Trace | None], Constant, Any], list[Trace]]
STEPS: dict[str, Step] = {}


def _steps(*names: str) -> Callable[[Step], Step]:
    def register(step: Step) -> Step:
        STEPS.update(dict.fromkeys(names, step))
        return step

    return register


def follow(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    """Traces of a node's outputs from those of its inputs. Raises Untraceable."""
    if node.op_type not in STEPS:
        raise Untraceable(f"a {node.op_type} changes the pixels before any linear layer")
    return STEPS[node.op_type](node, traces, constant, opsets)


@_steps("Identity", "Dropout")
def _same(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    return [_only(node, traces)]


@_steps("Cast")
def _cast(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    if attributes(node).get("to") not in (1, 10, 11, 16):  # float, float16, double, bfloat16
        raise Untraceable("a Cast rounds the pixels")
    return [_only(node, traces)]


@_steps("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "GatherND", "Split", "Concat",
        "SpaceToDepth", "DepthToSpace", "Expand")  # fmt: skip
def _move(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    """Run the operator on the pixel numbers, the gains and the offsets instead of the pixels."""
    others = [
        None if trace is not None or not name else constant(name)
        for name, trace in zip(node.input, traces, strict=True)
    ]
    for name, trace, value in zip(node.input, traces, others, strict=True):
        if name and trace is None and value is None:
            raise Untraceable(f"the {node.op_type} depends on {name}, which is not constant")
    if node.op_type in ("Gather", "GatherND") and traces[0] is None:
        raise Untraceable("a Gather looks values up by pixel")
    fields = []
    for name in ("source", "gain", "offset"):
        given = [
            getattr(trace, name) if trace is not None else _constant_part(node, name, value)
            for trace, value in zip(traces, others, strict=True)
        ]
        try:
            fields.append(evaluate(node, given, opsets))
        except Exception as error:  # noqa: BLE001 - the reference raises whatever numpy does
            raise Untraceable(f"the {node.op_type} does not fit the window ({error})") from None
    return [Trace(source=s, gain=g, offset=o) for s, g, o in zip(*fields, strict=True)]


def _constant_part(node: Any, name: str, value: np.ndarray | None) -> np.ndarray | None:
    """A Concat's constant part counts as padding; the other operators' inputs are positions."""
    if node.op_type != "Concat" or value is None:
        return value
    if name == "source":
        return np.full(value.shape, PADDING, dtype=np.int64)
    return np.zeros(value.shape) if name == "gain" else value.astype(np.float64)


@_steps("Pad")
def _pad(node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any) -> list[Trace]:
    trace = _only(node, traces)
    facts = attributes(node)
    if facts.get("mode", "constant") != "constant":
        raise Untraceable(f"it pads with {facts['mode']}, not with a constant")
    pads = np.array(facts["pads"]) if "pads" in facts else _need(node, 1, constant)
    fill = float(facts.get("value", 0.0))
    if len(node.input) > 2 and node.input[2]:
        fill = float(_need(node, 2, constant).reshape(-1)[0])
    axes = range(len(trace.shape))
    if len(node.input) > 3 and node.input[3]:
        axes = [int(axis) % len(trace.shape) for axis in _need(node, 3, constant)]  # type: ignore[assignment]
    half = len(pads) // 2
    sides = [(0, 0)] * len(trace.shape)
    for axis, before, after in zip(axes, pads[:half], pads[half:], strict=True):
        sides[axis] = (int(before), int(after))
    if min(min(side) for side in sides) < 0:
        raise Untraceable("a Pad crops the window")
    if max(max(side) for side in sides) > 1 << 12:
        raise Untraceable("a Pad adds more than 4096 pixels")
    return [
        Trace(
            source=np.pad(trace.source, sides, constant_values=PADDING),
            gain=np.pad(trace.gain, sides),
            offset=np.pad(trace.offset, sides, constant_values=fill),
        )
    ]


@_steps("Add", "Sub", "Mul", "Div", "Neg")
def _arithmetic(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    """One operand is pixels, the other constant: another affine map."""
    if node.op_type == "Neg":
        return [_affine(_only(node, traces), np.array(-1.0), np.array(0.0))]
    trace = _only(node, traces)
    first = traces[0] is not None
    value = _need(node, 1 if first else 0, constant).astype(np.float64)
    if node.op_type == "Add":
        return [_affine(trace, np.array(1.0), value)]
    if node.op_type == "Sub":
        return [_affine(trace, np.array(1.0 if first else -1.0), -value if first else value)]
    if node.op_type == "Mul":
        return [_affine(trace, value, np.array(0.0))]
    if not first:
        raise Untraceable("a Div divides by pixels")
    if not value.all():
        raise Untraceable("a Div divides by zero")
    return [_affine(trace, 1.0 / value, np.array(0.0))]


@_steps("BatchNormalization")
def _normalise(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    factor, shift = batch_norm(node, constant)
    trace = _only(node, traces)
    shape = (1, -1, *(1,) * (len(trace.shape) - 2))
    return [_affine(trace, factor.reshape(shape), shift.reshape(shape))]


@_steps("QuantizeLinear", "DequantizeLinear")
def _quantise(
    node: Any, traces: Sequence[Trace | None], constant: Constant, opsets: Any
) -> list[Trace]:
    """The rounding of a quantised input is smaller than any pixel level that matters; the map stays."""
    trace = _only(node, traces)
    scale = _need(node, 1, constant).astype(np.float64)
    zero = np.zeros(1)
    if len(node.input) > 2 and node.input[2]:
        zero = _need(node, 2, constant).astype(np.float64)
    axis = int(attributes(node).get("axis", 1)) % len(trace.shape)
    shape = [1] * len(trace.shape)
    if scale.size > 1:
        shape[axis] = scale.size
    scale, zero = scale.reshape(shape), np.broadcast_to(zero.reshape(-1), scale.size).reshape(shape)
    if node.op_type == "QuantizeLinear":
        return [_affine(trace, 1.0 / scale, zero)]
    return [_affine(trace, scale, -zero * scale)]


def batch_norm(node: Any, constant: Constant) -> tuple[np.ndarray, np.ndarray]:
    """(factor, shift) a channel of a BatchNormalization, float32 as exporters fold it."""
    facts = attributes(node)
    if facts.get("training_mode", 0):
        raise Untraceable("a BatchNormalization is in training mode")
    scale, lift, mean, variance = (_need(node, index, constant) for index in (1, 2, 3, 4))
    epsilon = np.float32(facts.get("epsilon", 1e-5))
    factor = scale.astype(np.float32) / np.sqrt(variance.astype(np.float32) + epsilon)
    return factor, lift.astype(np.float32) - mean.astype(np.float32) * factor


def _affine(trace: Trace, factor: np.ndarray, shift: np.ndarray) -> Trace:
    try:
        gain, offset = trace.gain * factor, trace.offset * factor + shift
    except ValueError:
        raise Untraceable(
            f"a constant of shape {np.shape(factor)} does not fit {trace.shape}"
        ) from None
    if gain.shape != trace.shape or offset.shape != trace.shape:
        raise Untraceable("a constant repeats the pixels")
    return Trace(source=trace.source, gain=gain, offset=offset)


def _only(node: Any, traces: Sequence[Trace | None]) -> Trace:
    found = [trace for trace in traces if trace is not None]
    if len(found) != 1:
        raise Untraceable(f"a {node.op_type} combines the pixels with themselves")
    return found[0]


def _need(node: Any, index: int, constant: Constant) -> np.ndarray:
    value = constant(node.input[index])
    if value is None:
        raise Untraceable(
            f"the {node.op_type} depends on {node.input[index]}, which is not constant"
        )
    return value
