"""The parts of an ONNX graph that do not depend on the picture, evaluated where they are needed."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from catch11.models.onnx.file import import_onnx

LARGEST = 1 << 28  # elements of one value; a graph may ask for any number

# Shape arithmetic and dequantised weights; control flow and random operators stay out.
ELEMENTWISE = frozenset((
    "Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mod", "Mul", "Or", "Pow",
    "Sub", "Where",
))  # fmt: skip
OPERATORS = ELEMENTWISE | frozenset((
    "Abs", "Cast", "CastLike", "Ceil", "Clip", "Concat", "ConstantOfShape", "DequantizeLinear",
    "Exp", "Expand", "Flatten", "Floor", "Gather", "Identity", "Log", "Neg", "Not",
    "QuantizeLinear", "Range", "Reciprocal", "ReduceProd", "ReduceSum", "Reshape", "Round",
    "Sign", "Slice", "Split", "Sqrt", "Squeeze", "Tile", "Transpose", "Unsqueeze",
))  # fmt: skip

ShapeOf = Callable[[str], tuple[int, ...] | None]


class Values:
    """Constant values by name; `shape_of` tells the shapes of tensors that depend on the picture."""

    def __init__(self, model: Any, shape_of: ShapeOf) -> None:
        self.opsets = model.opset_import
        self.shape_of = shape_of
        self.tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = {
            name: (place, node)
            for place, node in enumerate(model.graph.node)
            for name in node.output
            if name
        }
        self.known: dict[str, np.ndarray | None] = {}

    def get(self, name: str) -> np.ndarray | None:
        """The value of a tensor, or None where it depends on more than shapes."""
        pending = [name]
        while pending:
            top = pending[-1]
            missing = [] if top in self.known else self._prepare(top)
            if missing:
                pending += missing
            else:
                pending.pop()
        return self.known[name]

    def _prepare(self, name: str) -> list[str]:
        """Settle one name, or return the names that must be settled first."""
        onnx = import_onnx()
        if name in self.tensors:
            self.known[name] = np.array(onnx.numpy_helper.to_array(self.tensors[name]))
            return []
        place, node = self.makers.get(name, (-1, None))
        if node is None:
            self.known[name] = None
            return []
        if node.op_type == "Constant":
            self.known[name] = constant_value(node)
            return []
        if node.op_type in ("Shape", "Size"):
            shape = self.shape_of(node.input[0])
            if shape is not None:
                self.known[name] = _shape_value(node, shape)
                return []
        elif node.op_type not in OPERATORS:
            self.known[name] = None
            return []
        missing = [one for one in node.input if one and one not in self.known]
        late = [one for one in missing if self.makers.get(one, (-1, None))[0] >= place]
        if late:  # nodes stand in the order of their use; a cycle ends here
            self.known.update(dict.fromkeys((*late, *node.output), None))
            return []
        if not missing:
            self._settle(node)
        return missing

    def _settle(self, node: Any) -> None:
        given = [self.known[one] if one else None for one in node.input]
        blocked = any(one and value is None for one, value in zip(node.input, given, strict=True))
        if blocked or (count := result_size(node, given)) is None or count > LARGEST:
            results: Sequence[np.ndarray | None] = [None] * len(node.output)
        elif node.op_type == "Shape" and given[0] is not None:
            results = [_shape_value(node, given[0].shape)]
        else:
            results = self._evaluate(node, given)
        for output, value in zip(node.output, results, strict=False):
            self.known[output] = value

    def _evaluate(
        self, node: Any, given: Sequence[np.ndarray | None]
    ) -> Sequence[np.ndarray | None]:
        opsets = self.opsets
        if node.op_type in ("DequantizeLinear", "QuantizeLinear"):
            # The reference knows these from version 19; older graphs mean the same by them.
            opsets = [import_onnx().helper.make_opsetid("", 21)]
        try:
            return evaluate(node, given, opsets)
        except Exception:  # noqa: BLE001 - what the reference cannot compute is not known
            return [None] * len(node.output)


def evaluate(node: Any, given: Sequence[np.ndarray | None], opsets: Any) -> list[np.ndarray]:
    """Run one node on arrays by the standard's reference implementation."""
    onnx = import_onnx()
    from onnx.reference import ReferenceEvaluator

    names = [f"i{index}" if value is not None else "" for index, value in enumerate(given)]
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[:]
    alone.input.extend(names)
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None)
        for name in names
        if name
    ]
    outputs = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.UNDEFINED, None) for n in node.output
    ]
    graph = onnx.helper.make_graph([alone], "one", infos, outputs)
    one = onnx.helper.make_model(graph, opset_imports=opsets)
    feeds = {name: value for name, value in zip(names, given, strict=True) if name}
    return [np.asarray(value) for value in ReferenceEvaluator(one).run(None, feeds)]


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as Python values; text decoded."""
    onnx = import_onnx()
    plain = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return {name: v.decode() if isinstance(v, bytes) else v for name, v in plain.items()}


def constant_value(node: Any) -> np.ndarray | None:
    """The value of a Constant node, in any of the forms the standard has."""
    onnx = import_onnx()
    for name, value in attributes(node).items():
        if name == "value":
            return np.array(onnx.numpy_helper.to_array(value))
        if name in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    return None


def result_size(node: Any, given: Sequence[np.ndarray | None]) -> int | None:
    """Elements a node's result will have, before it is computed; None where that is unknown."""
    sizes = [value.size for value in given if value is not None]
    second = given[1] if len(given) > 1 else None
    if node.op_type == "ConstantOfShape" and given[0] is not None:
        return math.prod(int(side) for side in given[0].flatten())
    if node.op_type == "Expand" and given[0] is not None and second is not None:
        return _broadcast_size([given[0].shape, tuple(int(side) for side in second.flatten())])
    if node.op_type == "Tile" and given[0] is not None and second is not None:
        return given[0].size * math.prod(int(side) for side in second.flatten())
    if node.op_type == "Range":
        start, limit, step = (float(value) for value in given if value is not None)
        return int(abs(limit - start) / max(abs(step), 1e-9)) + 1
    if node.op_type == "Gather" and second is not None:
        return sizes[0] * max(second.size, 1)
    if node.op_type in ELEMENTWISE:
        return _broadcast_size([value.shape for value in given if value is not None])
    return sum(sizes)


def _broadcast_size(shapes: Sequence[tuple[int, ...]]) -> int | None:
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:
        return None


def _shape_value(node: Any, shape: Sequence[int]) -> np.ndarray:
    if node.op_type == "Size":
        return np.array(math.prod(shape), dtype=np.int64)
    facts = attributes(node)
    return np.array(shape[facts.get("start", 0) : facts.get("end")], dtype=np.int64)
