"""An ONNX graph as a differentiable torch module, so that it can be searched by gradient.

Whatever depends on the pictures runs in torch. Shapes, and all that follows from them, are computed
once for each input shape by the standard's reference implementation and remembered.
"""

import re
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

import catch11.models.onnx.moves  # noqa: F401 - registers its operators
from catch11.models.onnx.file import picture_input
from catch11.models.onnx.layer import conv_pads
from catch11.models.onnx.ops import OPS, Call, padded
from catch11.models.onnx.values import OPERATORS, Values, attributes

REMEMBERED = 8  # input shapes whose static values are kept


class Unsupported(Exception):
    """Why a graph cannot run in torch; one sentence."""


def onnx_to_torch(model: Any, *, output: str | None = None) -> nn.Module:
    """A module of an onnx.ModelProto with one picture input; gives the output of that name.

    Convolutions and dense layers become torch layers named after their nodes; the rest are
    functions. Raises Unsupported with every operator it does not know.
    """
    unknown = sorted({node.op_type for node in _dynamic(model.graph)} - set(OPS))
    if unknown:
        raise Unsupported(f"torch cannot run its operators {', '.join(unknown)}.")
    kinds = {node.op_type for node in model.graph.node for a in node.attribute if a.HasField("g")}
    if kinds:
        raise Unsupported(f"torch cannot run its control flow ({', '.join(sorted(kinds))}).")
    return GraphModule(model, output or model.graph.output[0].name)


class Step(NamedTuple):
    """One node to run: its layer's name where it has one, and the tensors nobody reads after it."""

    node: Any
    facts: dict[str, Any]
    layer: str | None
    spent: tuple[str, ...]


class GraphModule(nn.Module):
    """The nodes of a graph, run in order."""

    def __init__(self, model: Any, output: str) -> None:
        super().__init__()
        try:
            self.given = picture_input(model.graph)
        except ValueError as error:
            raise Unsupported(f"{error}.") from None
        self.output, self.graph = output, model
        plain = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
        self.opset = max(plain, default=1)
        self.names: dict[str, str] = {}  # constant -> buffer
        self.memory: dict[tuple[int, ...], _Static] = {}
        fixed = Values(model, lambda name: None)
        self.steps = [
            Step(node, facts, self._add_layer(node, facts, fixed), spent)
            for node, facts, spent in _schedule(model.graph, output)
        ]

    def forward(self, pixel_values: Float[Tensor, "batch ..."]) -> Float[Tensor, "..."]:
        """Normalised windows to the graph's output; a fixed batch is filled up and cut."""
        if self.given.channels_last:
            pixel_values = pixel_values.permute(0, 2, 3, 1)
        batch = self.given.batch
        if not batch or len(pixel_values) == batch:
            return self._once(pixel_values)
        return torch.cat([self._filled(part, batch) for part in pixel_values.split(batch)])

    def _filled(self, part: Tensor, batch: int) -> Tensor:
        missing = batch - len(part)
        filler = part[-1:].detach().expand(missing, *part.shape[1:])
        return self._once(torch.cat([part, filler]))[: len(part)]

    def _once(self, pixel_values: Tensor) -> Tensor:
        values, shapes = self._static(tuple(pixel_values.shape))
        tensors: dict[str, Tensor] = {self.given.name: pixel_values}
        for step in self.steps:
            made = self._run(step, tensors, values)
            for name, value in zip(step.node.output, made, strict=False):
                tensors[name] = value
                shapes[name] = tuple(value.shape)
            for name in step.spent:
                tensors.pop(name, None)
        return tensors[self.output]

    def _run(self, step: Step, tensors: dict[str, Tensor], values: Values) -> tuple[Tensor, ...]:
        inputs = step.node.input
        if step.layer is not None:
            return (self.get_submodule(step.layer)(tensors[inputs[0]]),)

        def static(index: int) -> np.ndarray | None:
            return values.get(inputs[index]) if index < len(inputs) and inputs[index] else None

        like = next(tensors[name] for name in inputs if name in tensors)
        given = [
            tensors[name] if name in tensors else self._constant(name, values, like)
            for name in inputs
        ]
        made = OPS[step.node.op_type](
            Call(
                tensors=tuple(given),
                static=static,
                facts=step.facts,
                opset=self.opset,
                outputs=len(step.node.output),
            )
        )
        return (made,) if isinstance(made, Tensor) else tuple(made)

    def _constant(self, name: str, values: Values, like: Tensor) -> Tensor | None:
        if name in self.names:
            return self.get_buffer(self.names[name])
        value = values.get(name) if name else None
        if value is None:
            return None
        tensor = torch.from_numpy(np.array(value)).to(like.device)
        return tensor.to(like.dtype) if tensor.is_floating_point() else tensor

    def _static(self, shape: tuple[int, ...]) -> "_Static":
        held = self.memory.get(shape)
        if held is None:
            shapes = {self.given.name: shape}
            held = Values(self.graph, shapes.get), shapes
            if len(self.memory) >= REMEMBERED:
                self.memory.clear()
            self.memory[shape] = held
        return held

    def _add_layer(self, node: Any, facts: dict[str, Any], fixed: Values) -> str | None:
        """The name of the torch layer made for a node; None, its constants kept, where none is."""
        layer = _layer(node, facts, fixed)
        if layer is None:
            self._keep_constants(node, fixed)
            return None
        plain = re.sub(r"\W+", "_", node.name or node.output[0]).strip("_") or node.op_type
        name, count = plain, 1
        while hasattr(self, name):
            name, count = f"{plain}_{count}", count + 1
        self.add_module(name, layer)
        return name

    def _keep_constants(self, node: Any, fixed: Values) -> None:
        """Float constants become buffers, so that they move with the module."""
        for given in node.input:
            value = fixed.get(given) if given and given not in self.names else None
            if value is not None and np.issubdtype(value.dtype, np.floating):
                self.names[given] = f"constant{len(self.names)}"
                self.register_buffer(self.names[given], torch.from_numpy(np.array(value)))


_Static = tuple[Values, dict[str, tuple[int, ...]]]


def _schedule(graph: Any, output: str) -> list[tuple[Any, dict[str, Any], tuple[str, ...]]]:
    """The nodes the output needs, in order, each with the tensors read there for the last time."""
    needed, seen = {output}, {output}
    plan = []
    for node in reversed(_dynamic(graph)):
        if needed.intersection(node.output):
            spent = tuple({name for name in (*node.input, *node.output) if name not in seen})
            seen.update(node.input)
            needed.update(node.input)
            plan.append((node, attributes(node), spent))
    return plan[::-1]


class PaddedConv(nn.Module):
    """A convolution whose padding differs by side or follows from the input's size."""

    def __init__(self, conv: nn.Conv1d | nn.Conv2d | nn.Conv3d, facts: dict[str, Any]) -> None:
        super().__init__()
        self.conv, self.facts = conv, facts

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Pad, then convolve."""
        conv = self.conv
        reach = [d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
        return conv(padded(x, conv_pads(self.facts, x.shape[2:], conv.stride, reach)))


def _layer(node: Any, facts: dict[str, Any], fixed: Values) -> nn.Module | None:
    """A torch layer for a node with constant weights, or None where a function will do."""
    if node.op_type == "BatchNormalization":
        return _norm_layer([fixed.get(name) for name in node.input[1:]], facts)
    if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
        return None
    weight = fixed.get(node.input[1])
    bias = fixed.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if weight is None or (len(node.input) > 2 and node.input[2] and bias is None):
        return None
    if node.op_type == "Conv":
        return _conv_layer(torch.from_numpy(weight), bias, facts)
    plain = (
        facts.get("alpha", 1.0) == 1.0
        and facts.get("beta", 1.0) == 1.0
        and not facts.get("transA", 0)
    )
    if not plain or weight.ndim != 2 or fixed.get(node.input[0]) is not None:
        return None
    if not (node.op_type == "Gemm" and facts.get("transB", 0)):
        weight = weight.T
    if bias is not None and bias.size != len(weight):
        return None
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(linear, torch.from_numpy(np.ascontiguousarray(weight)), bias)


class AnyNorm(nn.BatchNorm2d):
    """A batch norm in evaluation mode for inputs of any rank."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def _norm_layer(tensors: list[np.ndarray | None], facts: dict[str, Any]) -> nn.Module | None:
    if any(value is None for value in tensors) or facts.get("training_mode", 0):
        return None
    scale, lift, mean, variance = (torch.from_numpy(np.array(value)) for value in tensors)
    norm = AnyNorm(len(scale), eps=facts.get("epsilon", 1e-5))
    norm.running_mean, norm.running_var = mean, variance
    return _filled(norm, scale, lift.numpy()).eval()


def _conv_layer(weight: Tensor, bias: np.ndarray | None, facts: dict[str, Any]) -> nn.Module | None:
    spatial = weight.dim() - 2
    if spatial not in (1, 2, 3):
        return None
    pads = facts.get("pads", [0] * 2 * spatial)
    even = (
        facts.get("auto_pad", "NOTSET") in ("NOTSET", "", "VALID")
        and pads[:spatial] == pads[spatial:]
    )
    if facts.get("auto_pad") == "VALID":
        pads = [0] * 2 * spatial
    groups = facts.get("group", 1)
    kind: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[spatial]
    conv = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=tuple(facts.get("strides", (1,) * spatial)),
        dilation=tuple(facts.get("dilations", (1,) * spatial)),
        padding=tuple(pads[:spatial]) if even else 0,
        groups=groups,
        bias=bias is not None,
    )
    filled = _filled(conv, weight, bias)
    return filled if even else PaddedConv(filled, facts)  # type: ignore[arg-type]


def _filled(layer: nn.Module, weight: Tensor, bias: np.ndarray | None) -> nn.Module:
    with torch.no_grad():
        layer.weight = nn.Parameter(weight.clone())  # the file's dtype
        if bias is not None:
            layer.bias = nn.Parameter(torch.from_numpy(np.array(bias).reshape(-1)))
    return layer


def _dynamic(graph: Any) -> list[Any]:
    """The nodes that depend on the pictures themselves, not only on their shape."""
    static = {tensor.name for tensor in graph.initializer} | {""}
    nodes = []
    for node in graph.node:
        still = all(name in static for name in node.input) and node.op_type in OPERATORS
        if still or node.op_type in ("Constant", "Shape", "Size"):
            static.update(node.output)
        else:
            nodes.append(node)
    return nodes
