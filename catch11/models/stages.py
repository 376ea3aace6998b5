"""Depths of a model worth looking at: its front, and blocks evenly spaced behind it."""

from contextlib import suppress

from torch import nn

from catch11.errors import NoFront
from catch11.fronts.front import NO_LAYER
from catch11.models.frame import Model

SHOWN = 6


def stages(model: Model, *, shown: int = SHOWN) -> dict[str, nn.Module]:
    """The front, a few depths and nothing else, by name, in the order of the forward pass; at most
    so many, and none of a model that torch cannot run."""
    module = model.module
    if module is None:
        return {}
    chains = [
        (name, part)
        for name, part in module.named_modules()
        if isinstance(part, nn.ModuleList | nn.Sequential) and len(part) > 1
    ]
    outer = [c for c in chains if not any(c[0] != o[0] and _inside(c[0], o[0]) for o in chains)]
    blocks = [
        (f"{name}.{child}".strip("."), part)
        for name, chain in outer
        for child, part in chain.named_children()
    ]
    front = NO_LAYER
    with suppress(NoFront):
        front = model.front().layer
    rest = [block for block in blocks if block[0] != front]
    places = sorted({round(i * (len(rest) - 1) / max(1, shown - 2)) for i in range(shown - 1)})
    first = {name: part for name, part in module.named_modules() if name == front}
    return {**first, **dict(rest[i] for i in places if 0 <= i < len(rest))}


def _inside(name: str, outer: str) -> bool:
    return outer == "" or name.startswith(f"{outer}.")
