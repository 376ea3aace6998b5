"""Saved programs (torch.export, TorchScript) as modules whose layers are torch layers again.

A saved program runs, but its convolutions are bare operators, so nothing in it can be named or
hooked. Layers are put back: for torch.export in its graph, for TorchScript by way of ONNX.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from catch11.models.onnx.convert import Unsupported, onnx_to_torch

_CONVS: dict[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
}
_NORMS: dict[int, type[nn.Module]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


def layered(module: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """A module as it takes float32 windows of that shape, its layers torch layers."""
    module = _single(module, shape)
    if isinstance(module, torch.jit.ScriptModule):
        return layered_script(module.eval(), shape)
    return layered_export(module) if isinstance(module, fx.GraphModule) else module


def _single(module: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """The module in float32, where it was kept in another precision and so takes no such window."""
    kinds = {one.dtype for one in module.parameters() if one.is_floating_point()}
    if kinds <= {torch.float32}:
        return module
    try:
        with torch.no_grad():
            module(torch.zeros(1, *shape))
    except RuntimeError:
        return module.float()
    return module


def layered_export(module: fx.GraphModule) -> nn.Module:
    """An exported program's graph with its conv, linear and batch-norm operators as layers.

    A layer takes the place of the holder of its tensors, so that the state dict keeps its names.
    """
    graph = module.graph
    for node in list(graph.nodes):
        layer = _layer(node, module)
        if layer is None:
            continue
        name = _home(node.args[1], module) or f"layer_{node.name}"
        module.add_submodule(name, layer)
        with graph.inserting_before(node):
            call = graph.call_module(name, (node.args[0],))
        call.meta = node.meta
        node.replace_all_uses_with(call)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


def layered_script(module: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """A TorchScript program rebuilt from its ONNX export, or itself where that is not possible.

    The rebuilt module must answer noise of that window shape as the program does.
    """
    noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(3))
    # A program traced with one picture may take no two.
    return _rebuilt(module, noise) or _rebuilt(module, noise[:1]) or module


def _rebuilt(module: nn.Module, probe: Tensor) -> nn.Module | None:
    """The program by way of ONNX, where that answers the probe as it does."""
    try:
        import onnx

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / "program.onnx"
            torch.onnx.export(
                module, (probe,), path, dynamo=False, input_names=["x"], output_names=["y"],
                dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
            )  # fmt: skip
            rebuilt = onnx_to_torch(onnx.load(path))
        with torch.no_grad():
            same = torch.allclose(rebuilt(probe), module(probe), rtol=1e-3, atol=1e-3)
    except (ImportError, RuntimeError, ValueError, TypeError, Unsupported):
        return None
    return rebuilt if same else None


def _layer(node: fx.Node, module: fx.GraphModule) -> nn.Module | None:
    """A torch layer for one operator whose tensors are the program's own."""
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    name = str(node.target).split(".")[1] if str(node.target).startswith("aten.") else ""
    tensors = [_tensor(arg, module) for arg in node.args[1:5]]
    weight, bias = (*tensors, None, None)[:2]
    if name == "linear" and weight is not None:
        return _with(nn.Linear(1, 1, bias=False), weight=weight, bias=bias)
    if name in _CONVS and weight is not None:
        return _conv(_CONVS[name], node, weight, bias)
    if name == "batch_norm" and len(tensors) == 4 and not node.args[5]:
        given = node.args[0].meta.get("val")
        kind = _NORMS.get(given.dim()) if isinstance(given, Tensor) else None
        if kind is not None and tensors[2] is not None and tensors[3] is not None:
            norm: Any = kind(len(tensors[2]), eps=node.args[7], affine=False)
            counted = {"weight": weight, "bias": tensors[1]}
            return _with(norm, **counted, running_mean=tensors[2], running_var=tensors[3])
    return None


def _conv(
    kind: type[nn.Module], node: fx.Node, weight: Tensor, bias: Tensor | None
) -> nn.Module | None:
    settings = dict(zip(("stride", "padding", "dilation", "groups"), node.args[3:], strict=False))
    settings |= {
        k: v for k, v in node.kwargs.items() if k in ("stride", "padding", "dilation", "groups")
    }
    if any(isinstance(value, fx.Node) for value in settings.values()):
        return None
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    groups = plain.get("groups", 1)
    size = tuple(weight.shape[2:])
    whole = len(size)
    for name in ("stride", "padding", "dilation"):
        if isinstance(plain.get(name), tuple) and len(plain[name]) == 1:
            plain[name] = plain[name] * whole
    conv = kind(weight.shape[1] * groups, weight.shape[0], size, bias=False, **plain)
    return _with(conv, weight=weight, bias=bias)


def _with(layer: nn.Module, **tensors: Tensor | None) -> nn.Module:
    """The layer holding these very tensors."""
    for name, value in tensors.items():
        if isinstance(value, nn.Parameter) or value is None:
            layer.register_parameter(name, value)
        elif name in ("running_mean", "running_var"):
            layer.register_buffer(name, value)
        else:
            layer.register_parameter(name, nn.Parameter(value, requires_grad=False))
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        layer.affine = layer.weight is not None
    return layer.eval()


def _tensor(arg: object, module: fx.GraphModule) -> Tensor | None:
    """The program's own tensor behind an argument, or None."""
    if not isinstance(arg, fx.Node) or arg.op != "get_attr":
        return None
    value: Any = module
    for part in str(arg.target).split("."):
        value = getattr(value, part, None)
    return value if isinstance(value, Tensor) else None


def _home(arg: object, module: fx.GraphModule) -> str | None:
    """The path of the empty holder a weight lies in: "stem.conv" of "stem.conv.weight"."""
    if not isinstance(arg, fx.Node):
        return None
    path, _, last = str(arg.target).rpartition(".")
    if not path or last != "weight":
        return None
    holder = module.get_submodule(path)
    bare = type(holder) is nn.Module and not list(holder.children())
    known = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    held = {name for name, _ in [*holder.named_parameters(), *holder.named_buffers()]}
    return path if bare and held <= known else None
