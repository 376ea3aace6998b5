"""How far a shift of the first layer can get: a Lipschitz chain over depth (paper, App. C.3).

Every node of a traced torch module gets a factor g with ‖h(x̃) − h(x)‖₂ ≤ g·‖front(x̃) − front(x)‖₂ for
all x and x̃: certain, and loose, since the worst cases of all layers would have to meet. An operation
without a known bound (attention, whose softmax of products has none) makes the factor infinite from
there on. Measured deviations stand beside it.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from catch11.conditions import clean_window
from catch11.data.folder import walk
from catch11.data.pictures import open_picture
from catch11.errors import InvalidArgument
from catch11.gains import RULES, gain, stretch
from catch11.grid import Format
from catch11.key import Key
from catch11.models.frame import Model
from catch11.recode.noise import Noise
from catch11.recode.spectral import SpectralRecoder
from catch11.written import random_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One node of the chain. ceiling: the factor g, from the front's output on. moved: measured
    ‖h(x̃) − h(x)‖₂, one a picture; relative: the same over ‖h(x)‖₂. bound: g times the front's
    largest measured shift, which no picture's `moved` exceeds."""

    name: str
    kind: str
    ceiling: float
    moved: tuple[float, ...] = ()
    relative: tuple[float, ...] = ()
    bound: float = math.nan

    def to_dict(self) -> dict[str, object]:
        """A JSON object; an infinite ceiling is null."""
        ends = {"ceiling": self.ceiling, "bound": self.bound}
        return {
            "name": self.name,
            "kind": self.kind,
            **{name: value if math.isfinite(value) else None for name, value in ends.items()},
            "moved": list(self.moved),
            "relative": list(self.relative),
        }


def chain(
    model: Model,
    *,
    layer: str,
    clean: Float[Tensor, "batch channel height width"],
    released: Float[Tensor, "batch channel height width"],
) -> tuple[Link, ...]:
    """The chain from the front on, and what these windows, in pixel units, do on the way.

    layer: the front's module; with a BatchNorm right behind it, as in a key, the chain starts
    there. Raises InvalidArgument for a model that torch cannot trace.
    """
    graph = traced(model)
    start = _start(graph, layer)
    with torch.no_grad():
        before = _Values(graph).of(model.canvas.normalise(clean))
        after = _Values(graph).of(model.canvas.normalise(released))
    factors = _factors(graph, start, before)
    links: list[Link] = []
    for node, factor in factors.items():
        one, other = before[node.name], after[node.name]
        if not isinstance(one, Tensor) or not one.is_floating_point() or len(one) != len(clean):
            continue
        moved = (other - one).flatten(1).double().norm(dim=1)
        size = one.flatten(1).double().norm(dim=1).clamp(min=1e-30)
        shift = max(links[0].moved) if links else float(moved.max())
        links.append(
            Link(
                name=node.name,
                kind=_kind(graph, node),
                ceiling=factor,
                moved=tuple(moved.tolist()),
                relative=tuple((moved / size).tolist()),
                bound=factor * shift,
            )
        )
    return tuple(links)


def chain_of_key(
    key: Key,
    model: Model,
    *,
    psnr: float,
    source: str | Path | None = None,
    count: int = 8,
    noise: Noise = "content",
    format: Format = "png8",
) -> tuple[Link, ...]:
    """The chain of a key's model, with pictures of a folder, or random fields with the spectrum of
    photographs, recoded at a PSNR (dB, peak 1). Raises KeyMismatch, InvalidArgument."""
    key.check_reader(model)
    if source is None:
        generator = torch.Generator().manual_seed(0)
        clean = random_fields(key.canvas.shape, count, generator=generator)
    else:
        files = walk(source).files[:count]
        if not files:
            raise InvalidArgument("source", expected="pictures", found="none")
        paths = [os.path.join(source, file) for file in files]
        clean = torch.cat([clean_window(open_picture(path), key.canvas) for path in paths])
    released = SpectralRecoder(key, psnr=psnr, noise=noise, format=format)(clean).images
    return chain(model, layer=key.front.layer, clean=clean, released=released)


def traced(model: Model) -> fx.GraphModule:
    """The model's module as a graph of operations. Raises InvalidArgument."""
    expected = "a torch module that torch.fx can trace"
    if model.module is None:
        raise InvalidArgument("model", expected=expected, found=f"{model.name}, a graph")
    try:
        return fx.symbolic_trace(model.module)
    except Exception as error:  # noqa: BLE001 - tracing a stranger's forward fails in many ways
        reason = " ".join(str(error).split())[:100]
        raise InvalidArgument("model", expected=expected, found=f"{model.name}: {reason}") from None


def _kind(graph: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        return type(graph.get_submodule(str(node.target))).__name__
    return str(getattr(node.target, "__name__", node.target))


def _start(graph: fx.GraphModule, layer: str) -> fx.Node:
    found = [n for n in graph.graph.nodes if n.op == "call_module" and n.target == layer]
    if len(found) != 1:
        raise InvalidArgument("layer", expected="a module called once", found=layer)
    users = list(found[0].users)
    after = users[0] if len(users) == 1 else None
    if after is not None and after.op == "call_module":
        norm = graph.get_submodule(str(after.target))
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            return after
    return found[0]


class _Values(fx.Interpreter):
    """Every node's value on a batch."""

    def of(self, values: Tensor) -> dict[str, Any]:
        self.held: dict[str, Any] = {}
        self.run(values)
        return self.held

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        # A copy: a later operation in place must not rewrite what was seen here.
        self.held[n.name] = made.clone() if isinstance(made, Tensor) else made
        return made


def _factors(
    graph: fx.GraphModule, start: fx.Node, values: Mapping[str, Any]
) -> dict[fx.Node, float]:
    """A factor for every node from the start on. What reaches a node past the front is unbounded."""
    factors: dict[fx.Node, float] = {}
    for node in graph.graph.nodes:
        if node is start:
            factors[node] = 1.0
            continue
        given = [n for n in _inputs(node) if _moves(n, factors, values)]
        if node.op in ("placeholder", "get_attr", "output") or not given:
            continue
        if any(n not in factors for n in given):
            continue  # before the front, or beside it
        terms = [
            factors[n] * stretch(node.target, values[n.name], values[node.name]) for n in given
        ]
        factors[node] = _factor(graph, node, terms, values)
    return factors


def _inputs(node: fx.Node) -> list[fx.Node]:
    """The nodes a node reads, each as often as it reads it: x + x moves twice as far as x."""
    found: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), lambda one: found.append(one) or one)  # type: ignore[func-returns-value]
    return found


def _moves(node: fx.Node, factors: Mapping[fx.Node, float], values: Mapping[str, Any]) -> bool:
    """Whether a node's value depends on the picture: parameters and sizes do not."""
    if node.op == "get_attr" or not isinstance(values.get(node.name), Tensor):
        return False
    if node in factors or node.op == "placeholder":
        return True
    return any(_moves(parent, factors, values) for parent in node.all_input_nodes)


def _factor(
    graph: fx.GraphModule, node: fx.Node, given: Sequence[float], values: Mapping[str, Any]
) -> float:
    args: Any
    kwargs: Any
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda one: values[one.name])
    if node.op == "call_module":
        return given[0] * gain(graph.get_submodule(str(node.target)), args[0])
    rule = RULES.get(node.target)
    return math.inf if rule is None else rule(list(given), args, kwargs)
