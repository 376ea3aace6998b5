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

import catch11.models.onnx.blocks
import catch11.models.onnx.moves  # noqa: F401 - register their operators
from catch11.models.onnx.file import picture_input
from catch11.models.onnx.ops import OPS, Call, conv_pads, padded
from catch11.models.onnx.values import OPERATORS, Values, attributes

REMEMBERED = 8  # input shapes whose static values are kept


class Unsupported(Exception):
    """Why a graph cannot run in torch; one sentence."""


def onnx_to_torch(model: Any, *, output: str | None = None, exact: bool = False) -> nn.Module:
    """A module of an onnx.ModelProto with one picture input; gives the tensor of that name.

    Convolutions and dense layers become torch layers named after their nodes; the rest are
    functions. exact: quantisation does not round. Raises Unsupported with every operator
    on the way to the output that it does not know.
    """
    return GraphModule(model, output or model.graph.output[0].name, exact=exact)


class Step(NamedTuple):
    """One node to run: its layer's name where it has one, and the tensors nobody reads after it."""

    node: Any
    facts: dict[str, Any]
    layer: str | None
    spent: tuple[str, ...]


class GraphModule(nn.Module):
    """The nodes of a graph, run in order."""

    def __init__(self, model: Any, output: str, *, exact: bool = False) -> None:
        super().__init__()
        plan = schedule(model.graph, {output})
        unknown = sorted({node.op_type for node, _, _ in plan} - set(OPS))
        if unknown:
            raise Unsupported(f"torch cannot run its operators {', '.join(unknown)}.")
        try:
            self.given = picture_input(model.graph)
        except ValueError as error:
            raise Unsupported(f"{error}.") from None
        self.output, self.graph, self.exact = output, model, exact
        plain = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
        self.opset = max(plain, default=1)
        self.names: dict[str, str] = {}  # constant -> buffer
        self.memory: dict[tuple[int, ...], _Static] = {}
        fixed = Values(model, lambda name: None)
        self.steps = [
            Step(node, facts, self._add_layer(node, facts, fixed), spent)
            for node, facts, spent in plan
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
        made = self._once(torch.cat([part, filler]))
        return made[: len(made) * len(part) // batch]  # the batch may lie in a longer axis

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
        for name, tensor in zip(inputs, given, strict=True):
            if name and tensor is None:
                raise ValueError(
                    f"its {step.node.op_type} depends on {name}, which is not constant"
                )
        made = OPS[step.node.op_type](
            Call(
                tensors=tuple(given),
                static=static,
                facts=step.facts,
                opset=self.opset,
                outputs=len(step.node.output),
                exact=self.exact,
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
        layer = torch_layer(node, facts, fixed)
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


def schedule(graph: Any, outputs: set[str]) -> list[tuple[Any, dict[str, Any], tuple[str, ...]]]:
    """The nodes on the way from the pictures to the outputs, in order, each with its attributes and
    the tensors read there for the last time."""
    needed, seen = set(outputs), set(outputs)
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
        return self.conv(self.pad(x))

    def pad(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """What the convolution reads of an input. Raises ValueError for a negative padding."""
        conv = self.conv
        reach = [d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
        return padded(x, conv_pads(self.facts, x.shape[2:], conv.stride, reach))


def torch_layer(node: Any, facts: dict[str, Any], fixed: Values) -> nn.Module | None:
    """A torch layer for a node with constant weights, or None where a function will do."""
    given: list[Any] = [fixed.get(name) for name in node.input[1:] if name]
    if any(value is None for value in given):
        return None
    if node.op_type == "BatchNormalization":
        plain = not facts.get("training_mode", 0)
        return norm_layer(*given, epsilon=facts.get("epsilon", 1e-5)) if plain else None
    if node.op_type not in ("Conv", "FusedConv", "Gemm", "MatMul") or not given:
        return None
    weight, bias = given[0], given[1] if len(given) > 1 else None
    if node.op_type in ("Conv", "FusedConv"):
        return conv_layer(weight, bias, facts)
    if weight.ndim != 2 or facts.get("transA", 0) or fixed.get(node.input[0]) is not None:
        return None
    weight = weight if facts.get("transB", 0) else weight.T
    if bias is not None and bias.size not in (1, len(weight)):
        return None
    scaled = [weight * weight.dtype.type(facts.get("alpha", 1.0))]
    if bias is not None:
        wide = np.broadcast_to(bias.reshape(-1), len(weight))
        scaled.append(wide * wide.dtype.type(facts.get("beta", 1.0)))
    return linear_layer(*scaled)


class AnyNorm(nn.BatchNorm2d):
    """A batch norm in evaluation mode for inputs of any rank."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def norm_layer(
    scale: np.ndarray, lift: np.ndarray, mean: np.ndarray, variance: np.ndarray, *, epsilon: float
) -> AnyNorm:
    """A batch norm of these numbers a channel."""
    norm = AnyNorm(len(scale), eps=epsilon)
    norm.running_mean, norm.running_var = torch.tensor(mean), torch.tensor(variance)
    return _filled(norm, scale, lift).eval()


def linear_layer(weight: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """A dense layer of a weight (out, in)."""
    outputs, inputs = weight.shape
    return _filled(nn.Linear(inputs, outputs, bias=bias is not None), weight, bias)


def conv_layer(
    weight: np.ndarray, bias: np.ndarray | None, facts: dict[str, Any]
) -> nn.Module | None:
    """A convolution of a node's attributes; None where torch has none of its rank."""
    spatial = weight.ndim - 2
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
    return filled if even else PaddedConv(filled, facts)


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    layer.weight = nn.Parameter(torch.tensor(weight))  # the file's dtype
    if bias is not None:
        layer.bias = nn.Parameter(torch.tensor(bias.reshape(-1)))
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
