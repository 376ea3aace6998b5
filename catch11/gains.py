"""Lipschitz constants of single operations, in evaluation mode: certain upper bounds, or infinity."""

import math
import operator
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from catch11.norms import convolution_norm

_GELU, _SILU, _HARDSWISH = 1.1290, 1.0999, 1.5  # largest slopes, rounded up

# --- one module -------------------------------------------------------------------------------


@singledispatch
def gain(module: nn.Module, given: Tensor) -> float:
    """A Lipschitz constant of a module, in evaluation mode, on inputs shaped as `given`; infinity
    where none is known."""
    return math.inf


@gain.register(nn.ReLU)
@gain.register(nn.ReLU6)
@gain.register(nn.Hardtanh)
@gain.register(nn.Tanh)
@gain.register(nn.Sigmoid)
@gain.register(nn.Identity)
@gain.register(nn.Flatten)
@gain.register(nn.Dropout)
def _(module: nn.Module, given: Tensor) -> float:
    return 1.0


@gain.register(nn.GELU)
def _(module: nn.GELU, given: Tensor) -> float:
    return _GELU


@gain.register(nn.SiLU)
def _(module: nn.SiLU, given: Tensor) -> float:
    return _SILU


@gain.register(nn.Hardswish)
def _(module: nn.Hardswish, given: Tensor) -> float:
    return _HARDSWISH


@gain.register(nn.BatchNorm1d)
@gain.register(nn.BatchNorm2d)
def _(module: nn.BatchNorm2d, given: Tensor) -> float:
    if module.running_var is None:
        return math.inf
    weight = torch.ones(()) if module.weight is None else module.weight.detach()
    return float((weight.double().abs() / (module.running_var.double() + module.eps).sqrt()).max())


@gain.register(nn.LayerNorm)
def _(module: nn.LayerNorm, given: Tensor) -> float:
    """The slope is at most |γ| over the deviation, which is at least √eps: true, and of little use."""
    weight = torch.ones(1) if module.weight is None else module.weight.detach()
    return float(weight.double().abs().max()) / math.sqrt(module.eps)


@gain.register(nn.Linear)
def _(module: nn.Linear, given: Tensor) -> float:
    return float(torch.linalg.matrix_norm(module.weight.detach().double(), 2))


@gain.register(nn.Conv2d)
def _(module: nn.Conv2d, given: Tensor) -> float:
    if module.padding_mode != "zeros":
        return math.inf
    return convolution_gain(
        module.weight.detach(), stride=(module.stride[0], module.stride[1]),
        dilation=(module.dilation[0], module.dilation[1]), groups=module.groups,
    )  # fmt: skip


def convolution_gain(
    weight: Float[Tensor, "out channel kernel_h kernel_w"],
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> float:
    """A certain upper bound on the norm of a zero-padded convolution on pictures of any size: the
    upper end of `convolution_norm`."""
    return convolution_norm(weight, stride=stride, dilation=dilation, groups=groups).high


@gain.register(nn.MaxPool2d)
def _(module: nn.MaxPool2d, given: Tensor) -> float:
    return math.sqrt(_shared(module.kernel_size, module.stride, module.dilation))


@gain.register(nn.AvgPool2d)
def _(module: nn.AvgPool2d, given: Tensor) -> float:
    return _average(
        module.kernel_size, module.stride, module.padding,
        ceil=module.ceil_mode, divisor=module.divisor_override,
    )  # fmt: skip


@gain.register(nn.AdaptiveAvgPool2d)
def _(module: nn.AdaptiveAvgPool2d, given: Tensor) -> float:
    return _whole(given) if module.output_size in (1, (1, 1)) else math.inf


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _shared(kernel: Any, stride: Any, dilation: Any = 1) -> int:
    """How many windows a pixel is in, at most: of dilated ones, as many as a window has pixels."""
    sizes, steps = _pair(kernel), _pair(stride if stride is not None else kernel)
    if _pair(dilation) != (1, 1):
        return math.prod(sizes)
    return math.prod(math.ceil(k / s) for k, s in zip(sizes, steps, strict=True))


def _average(
    kernel: Any, stride: Any = None, padding: Any = 0, *, ceil: bool = False, divisor: Any = None
) -> float:
    """A window that reaches over the border may be the mean of a single pixel."""
    if divisor is not None:
        return math.inf
    size = 1 if ceil or any(_pair(padding)) else math.prod(_pair(kernel))
    return math.sqrt(_shared(kernel, stride) / size)


def _whole(given: Tensor) -> float:
    return 1.0 / math.sqrt(given.shape[-1] * given.shape[-2])


# --- functions and methods: factors of what they read, their arguments --------------------------

Arguments = tuple[Any, ...]
Rule = Callable[[list[float], Arguments, Mapping[str, Any]], float]


def _same(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    return given[0]


def _sum(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    """Of terms as large as the sum; see `stretch` for smaller ones."""
    return math.inf if kwargs.get("alpha", 1) != 1 else math.fsum(given)


def stretch(target: Any, term: Any, made: Any) -> float:
    """How much longer a term of a sum gets where it is repeated to the size of the sum; 1 of any
    other operation."""
    if RULES.get(target) is not _sum or not isinstance(made, Tensor):
        return 1.0
    return math.sqrt(max(1.0, made.numel() / term.numel()))


def _join(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    return math.sqrt(math.fsum(g * g for g in given))


def _scaled(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    numbers = [a for a in args if isinstance(a, int | float)]
    return given[0] * abs(numbers[0]) if len(numbers) == 1 else math.inf


def _part(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    """A slice; a list of places could take one twice."""
    places = args[1] if isinstance(args[1], tuple) else (args[1],)
    return given[0] if all(p is None or isinstance(p, slice | int | type(...)) for p in places) else math.inf  # fmt: skip


def _padded(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    return given[0] if mode == "constant" else math.inf


def _mean(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    """Of a picture's places; any other mean moves no further than what it is of."""
    where = args[1] if len(args) > 1 else kwargs.get("dim")
    places = isinstance(where, list | tuple) and {int(w) % 4 for w in where} == {2, 3}
    return given[0] * (_whole(args[0]) if places and args[0].dim() == 4 else 1.0)


def _pooled(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "", "divisor_override")
    found = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    return given[0] * _average(
        found["kernel_size"], found.get("stride") or None, found.get("padding", 0),
        ceil=found.get("ceil_mode", False), divisor=found.get("divisor_override"),
    )  # fmt: skip


def _largest(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    names = ("kernel_size", "stride", "padding", "dilation")
    found = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    shared = _shared(found["kernel_size"], found.get("stride") or None, found.get("dilation", 1))
    return given[0] * math.sqrt(shared)


def _adaptive(given: list[float], args: Arguments, kwargs: Mapping[str, Any]) -> float:
    size = args[1] if len(args) > 1 else kwargs.get("output_size")
    return given[0] * _whole(args[0]) if size in (1, (1, 1), [1, 1]) else math.inf


RULES: dict[Any, Rule] = {
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _sum),
    **dict.fromkeys((operator.sub, torch.sub, "sub"), _sum),
    **dict.fromkeys((operator.mul, torch.mul, "mul"), _scaled),
    **dict.fromkeys(
        (torch.relu, functional.relu, torch.flatten, functional.dropout, torch.tanh, "relu",
         "relu_", "flatten", "view", "reshape", "contiguous", "squeeze", "transpose", "permute",
         "unsqueeze", "detach", "clone"),
        _same,
    ),
    **dict.fromkeys((torch.mean, "mean"), _mean),
    torch.cat: _join,
    operator.getitem: _part,
    functional.pad: _padded,
    functional.avg_pool2d: _pooled,
    functional.max_pool2d: _largest,
    functional.adaptive_avg_pool2d: _adaptive,
}  # fmt: skip
