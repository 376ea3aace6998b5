"""ONNX operators as differentiable torch functions, one short function each.

An operator sees its call: tensors that depend on the pictures, values that do not, attributes.
Integer inputs such as axes and shapes have moved between attributes and inputs over the versions of
the standard; `Call.whole` finds them in either place.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One use of an operator: its inputs as tensors, its static inputs as arrays, its attributes."""

    tensors: tuple[Tensor | None, ...]
    static: Callable[[int], np.ndarray | None]
    facts: dict[str, Any]
    opset: int
    outputs: int = 1
    exact: bool = False  # nothing is rounded

    @property
    def x(self) -> Tensor:
        """The first input."""
        first = self.tensors[0]
        assert first is not None
        return first

    def given(self, index: int) -> Tensor | None:
        """An input that may be left out."""
        return self.tensors[index] if index < len(self.tensors) else None

    def whole(self, index: int, name: str) -> list[int] | None:
        """Whole numbers that stand in an attribute or, in newer versions, in an input."""
        if name in self.facts:
            value = self.facts[name]
            return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]
        value = self.static(index)
        return None if value is None else [int(v) for v in np.asarray(value).reshape(-1)]

    def number(self, index: int, name: str, default: float | None) -> float | None:
        """One number that stands in an attribute or an input."""
        if name in self.facts:
            return float(self.facts[name])
        value = self.static(index)
        return default if value is None else float(np.asarray(value).reshape(-1)[0])


Operator = Callable[[Call], Tensor | Sequence[Tensor]]
OPS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Register a function for operators; a second one for a name is a programming error."""

    def register(function: Operator) -> Operator:
        for name in names:
            if name in OPS:
                raise KeyError(f"operator {name} is registered twice")
            OPS[name] = function
        return function

    return register


def _simple(name: str, function: Callable[[Tensor], Tensor]) -> None:
    operator(name)(lambda call: function(call.x))


_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "Relu": F.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Softplus": F.softplus,
    "Mish": F.mish,
    "HardSwish": F.hardswish,
    "Identity": lambda x: x,
    "Dropout": lambda x: x,
    "GlobalAveragePool": lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax(dim=tuple(range(2, x.dim())), keepdim=True),
}
for _name, _function in _PLAIN.items():
    _simple(_name, _function)

for _name, _binary in {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Pow": torch.pow,
    "MatMul": torch.matmul,
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x),
}.items():
    operator(_name)(lambda call, f=_binary: f(call.x, call.tensors[1]))  # type: ignore[misc]


@operator("LeakyRelu")
def _leaky_relu(call: Call) -> Tensor:
    return F.leaky_relu(call.x, call.facts.get("alpha", 0.01))


@operator("Elu")
def _elu(call: Call) -> Tensor:
    return F.elu(call.x, call.facts.get("alpha", 1.0))


@operator("HardSigmoid")
def _hard_sigmoid(call: Call) -> Tensor:
    return (call.x * call.facts.get("alpha", 0.2) + call.facts.get("beta", 0.5)).clamp(0, 1)


@operator("Gelu")
def _gelu(call: Call) -> Tensor:
    return F.gelu(call.x, approximate=call.facts.get("approximate", "none"))


@operator("Clip")
def _clip(call: Call) -> Tensor:
    low, high = call.number(1, "min", None), call.number(2, "max", None)
    return call.x if low is None and high is None else call.x.clamp(low, high)


def _soft(function: Callable[..., Tensor]) -> Operator:
    def run(call: Call) -> Tensor:
        if call.opset >= 13:
            return function(call.x, dim=call.facts.get("axis", -1))
        axis = call.facts.get("axis", 1) % call.x.dim()  # all axes from this one on, as one
        return function(call.x.flatten(axis), dim=axis).reshape(call.x.shape)

    return run


operator("Softmax")(_soft(torch.softmax))
operator("LogSoftmax")(_soft(torch.log_softmax))


@operator("LayerNormalization")
def _layer_norm(call: Call) -> Tensor:
    axis = call.facts.get("axis", -1) % call.x.dim()
    shape = call.x.shape[axis:]
    return F.layer_norm(
        call.x, shape, call.given(1), call.given(2), call.facts.get("epsilon", 1e-5)
    )


@operator("BatchNormalization")
def _batch_norm(call: Call) -> Tensor:
    scale, lift, mean, variance = call.tensors[1:5]
    return F.batch_norm(call.x, mean, variance, scale, lift, eps=call.facts.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def _instance_norm(call: Call) -> Tensor:
    return F.instance_norm(
        call.x, weight=call.given(1), bias=call.given(2), eps=call.facts.get("epsilon", 1e-5)
    )


@operator("Conv")
def _conv(call: Call) -> Tensor:
    weight = call.tensors[1]
    assert weight is not None
    spatial = weight.dim() - 2
    strides = tuple(call.facts.get("strides", (1,) * spatial))
    dilations = tuple(call.facts.get("dilations", (1,) * spatial))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, weight.shape[2:], strict=True)]
    x = padded(call.x, conv_pads(call.facts, call.x.shape[2:], strides, reach))
    run = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[spatial]
    return run(
        x,
        weight,
        call.given(2),
        stride=strides,
        dilation=dilations,
        groups=call.facts.get("group", 1),
    )


@operator("Gemm")
def _gemm(call: Call) -> Tensor:
    a, b, c = call.x, call.tensors[1], call.given(2)
    assert b is not None
    a = a.T if call.facts.get("transA", 0) else a
    product = call.facts.get("alpha", 1.0) * (a @ (b.T if call.facts.get("transB", 0) else b))
    return product if c is None else product + call.facts.get("beta", 1.0) * c


@operator("MaxPool")
def _max_pool(call: Call) -> Tensor:
    kernel, strides, dilations, pads = _pool(call)
    x = padded(call.x, pads, fill=float("-inf")) if any(map(any, pads)) else call.x
    run = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(kernel)]
    return run(
        x, kernel, strides, dilation=dilations, ceil_mode=bool(call.facts.get("ceil_mode", 0))
    )


@operator("AveragePool")
def _average_pool(call: Call) -> Tensor:
    kernel, strides, _, pads = _pool(call)
    ceil = bool(call.facts.get("ceil_mode", 0))
    run: Any = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(kernel)]
    pooled = run(padded(call.x, pads), kernel, strides, ceil_mode=ceil)
    if call.facts.get("count_include_pad", 0) or not any(map(any, pads)):
        return pooled
    ones = torch.ones_like(call.x[:1, :1])
    return pooled / run(padded(ones, pads), kernel, strides, ceil_mode=ceil)


def _pool(call: Call) -> tuple[list[int], list[int], list[int], list[tuple[int, int]]]:
    kernel = list(call.facts["kernel_shape"])
    strides = list(call.facts.get("strides", (1,) * len(kernel)))
    dilations = list(call.facts.get("dilations", (1,) * len(kernel)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    return kernel, strides, dilations, conv_pads(call.facts, call.x.shape[2:], strides, reach)


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
            raise ValueError("its padding is negative")
        return pairs
    if mode == "VALID":
        return [(0, 0)] * len(sizes)
    pairs = []
    for size, stride, span in zip(sizes, strides, reach, strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return pairs


def padded(x: Tensor, pads: Sequence[tuple[int, int]], *, fill: float = 0.0) -> Tensor:
    """The last axes padded by (before, after) each."""
    if not any(map(any, pads)):
        return x
    return F.pad(x, [side for pair in reversed(pads) for side in pair], value=fill)


def _reduce(function: Callable[..., Tensor]) -> Operator:
    def run(call: Call) -> Tensor:
        axes = call.whole(1, "axes")
        if not axes:
            if call.facts.get("noop_with_empty_axes", 0):
                return call.x
            axes = list(range(call.x.dim()))
        return function(call.x, dim=axes, keepdim=bool(call.facts.get("keepdims", 1)))

    return run


_REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "ReduceMean": torch.mean,
    "ReduceSum": torch.sum,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceL2": lambda x, dim, keepdim: x.norm(dim=dim, keepdim=keepdim),
}
for _name, _reduction in _REDUCTIONS.items():
    operator(_name)(_reduce(_reduction))
