"""The front of a sealed copy as nodes of an ONNX graph: what `crypto.opening` is in torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from catch11.crypto.chacha import CONSTANTS, rounds, words_of
from catch11.crypto.opening import NONCE_BITS, Opener
from catch11.models.onnx.file import import_onnx, picture_input

OPSET, FORMAT = 20, 9  # of operators and of the file, at least
_PREFIX = "opening_"


def put_before(model: Any, opener: Opener) -> Any:
    """A model, an onnx.ModelProto of opset 20 or more, that reads sealed pictures; weights untouched.

    Raises ValueError, with a clause, for a graph whose input cannot be told.
    """
    onnx = import_onnx()
    given = picture_input(model.graph)
    made = type(model)()
    made.CopyFrom(model)
    made.ir_version = max(made.ir_version, FORMAT)
    graph = made.graph
    (entry,) = (one for one in graph.input if one.name == given.name)
    kind = entry.type.tensor_type.elem_type
    build = _Graph(onnx)
    end = _opening(build, opener, given.name, kind=kind, channels_last=given.channels_last)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == given.name:
                node.input[place] = end
    nodes = [*build.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(build.constants)
    return made


class _Graph:
    """Nodes as they are added; every name of them begins alike."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, **facts: Any) -> str:
        """A node of one output, whose name is returned."""
        name = f"{_PREFIX}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], name, **facts))
        return name

    def constant(self, values: Any, kind: Any) -> str:
        """A tensor of the graph's own."""
        name = f"{_PREFIX}constant_{len(self.constants)}"
        array = np.asarray(values, dtype=kind)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def cast(self, name: str, kind: str) -> str:
        """A tensor as another type: FLOAT, INT32, UINT32."""
        return self.add("Cast", name, to=getattr(self.onnx.TensorProto, kind))


class _Rows:
    """Rows of four words, int32, as the rounds take them."""

    def __init__(self, build: _Graph, name: str) -> None:
        self.build, self.name = build, name

    def __add__(self, other: "_Rows") -> "_Rows":
        return self._with("Add", other.name)

    def __xor__(self, other: "_Rows") -> "_Rows":
        return self._with("BitwiseXor", other.name)

    def rotated(self, by: int) -> "_Rows":
        """Words turned left by so many bits."""
        build = self.build
        up = build.add("Mul", self.name, build.constant(1 << by, np.int32))
        bits = build.constant(32 - by, np.uint32)
        down = build.add("BitShift", build.cast(self.name, "UINT32"), bits, direction="RIGHT")
        return _Rows(build, build.add("BitwiseOr", up, build.cast(down, "INT32")))

    def turned(self, by: int) -> "_Rows":
        """The row turned left by so many words."""
        order = self.build.constant(np.roll(np.arange(4), -by), np.int64)
        return _Rows(self.build, self.build.add("Gather", self.name, order, axis=0))

    def _with(self, kind: str, other: str) -> "_Rows":
        return _Rows(self.build, self.build.add(kind, self.name, other))


def _opening(build: _Graph, opener: Opener, given: str, *, kind: int, channels_last: bool) -> str:
    """The nodes, line by line those of `Opening.forward`; returns the opened input's name."""
    shape = (-1, *opener.canvas.shape)
    values = build.cast(given, "FLOAT")
    if channels_last:
        values = build.add("Transpose", values, perm=[0, 3, 1, 2])
    levels = _affine(build, values, opener.scale, opener.shift)
    levels = build.cast(build.add("Round", levels), "INT32")
    levels = _ordered(build, levels, opener.back)
    levels = build.add("Reshape", levels, build.constant([-1, opener.values], np.int64))
    words = build.add("Reshape", _stream(build, opener, levels), build.constant([-1, opener.blocks * 64], np.int64))  # fmt: skip
    if opener.blocks * 64 != opener.values:
        ends = [build.constant([value], np.int64) for value in (0, opener.values, 1)]
        words = build.add("Slice", words, *ends[:2], ends[2])
    opened = build.add("BitwiseXor", levels, words)
    opened = build.add("BitwiseAnd", opened, build.constant(opener.mask.numpy(), np.int32))
    opened = build.add("Reshape", build.cast(opened, "FLOAT"), build.constant(shape, np.int64))
    opened = build.add("Div", opened, build.constant(255.0, np.float32))
    opened = _ordered(build, opened, opener.canvas.order)
    made = _affine(build, opened, opener.canvas.gain, opener.canvas.offset)
    if channels_last:
        made = build.add("Transpose", made, perm=[0, 2, 3, 1])
    return build.add("Cast", made, to=kind)


def _stream(build: _Graph, opener: Opener, levels: str) -> str:
    """Key stream under the nonces in levels: (batch, block, word, byte), bytes not masked."""
    places = build.constant(opener.places, np.int64)
    bits = build.add("Gather", levels, places, axis=1)
    bits = build.add("BitwiseAnd", bits, build.constant(1, np.int32))
    bits = build.add("Reshape", bits, build.constant([-1, 3, NONCE_BITS // 3], np.int64))
    weights = (np.int64(1) << np.arange(NONCE_BITS // 3)).astype(np.uint32).astype(np.int32)
    bits = build.add("Mul", bits, build.constant(weights, np.int32))
    nonce = build.add("ReduceSum", bits, build.constant([2], np.int64), keepdims=0)
    fixed = build.add("Transpose", nonce, perm=[1, 0])
    fixed = build.add("Unsqueeze", fixed, build.constant([2], np.int64))  # (word, batch, 1)
    blocks = build.constant(np.arange(opener.blocks).reshape(1, 1, -1), np.int32)
    none = build.constant(0, np.int32)
    first = build.add(
        "Mul", build.add("Gather", fixed, build.constant([0], np.int64), axis=0), none
    )
    last = build.add(
        "Concat", build.add("Add", blocks, first),
        build.add("Add", fixed, build.add("Mul", blocks, none)), axis=0,
    )  # fmt: skip
    key = words_of(opener.key)
    thirds: tuple[Sequence[int], ...] = (CONSTANTS, key[:4], key[4:])
    rows = [build.constant(np.reshape(words, (4, 1, 1)), np.int32) for words in thirds]
    start = tuple(_Rows(build, name) for name in (*rows, last))
    ended = rounds(start, rotated=_Rows.rotated, turned=_Rows.turned)  # type: ignore[arg-type]
    names = [(row + begun).name for row, begun in zip(ended, start, strict=True)]
    words = build.add("Transpose", build.add("Concat", *names, axis=0), perm=[1, 2, 0])
    words = build.add("Unsqueeze", build.cast(words, "UINT32"), build.constant([3], np.int64))
    parts = build.add(
        "BitShift", words, build.constant([0, 8, 16, 24], np.uint32), direction="RIGHT"
    )
    return build.cast(parts, "INT32")


def _affine(build: _Graph, name: str, gain: Sequence[float], offset: Sequence[float]) -> str:
    """A gain and an offset a channel, in float32."""
    column = (1, -1, 1, 1)
    made = build.add("Mul", name, build.constant(np.reshape(gain, column), np.float32))
    return build.add("Add", made, build.constant(np.reshape(offset, column), np.float32))


def _ordered(build: _Graph, name: str, order: Sequence[int]) -> str:
    """Channels in another order."""
    if list(order) == sorted(order):
        return name
    return build.add("Gather", name, build.constant(list(order), np.int64), axis=1)
