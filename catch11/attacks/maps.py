"""What the licensee reads in files: maps of the authorized model, a vector a place of the picture."""

from collections.abc import Iterator, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from catch11.errors import Unsuited
from catch11.models.frame import Model
from catch11.models.stages import stages
from catch11.recoding.deep.target import FEATURES, LOGITS, Target

Windows = Float[Tensor, "_ channel height width"]
Map = Float[Tensor, "_ row column feature"]
TOGETHER = 16  # windows at a time


def maps_of(model: Model) -> tuple[str, ...]:
    """The maps of a model that its files may keep: its answer, its features, depths from the front on."""
    if model.module is None:
        raise Unsuited("licensee", f"{model.name} has no maps to read: torch does not run it")
    return (LOGITS, FEATURES, *stages(model, shown=4))


def read(model: Model, at: str, windows: Windows) -> Map:
    """A map of windows, see `maps_read`."""
    return torch.cat([part[at] for part in maps_read(model, (at,), windows)])


def summaries(model: Model, windows: Windows) -> dict[str, Float[Tensor, "batch number"]]:
    """Every map of windows in one pass, summarised."""
    ats = maps_of(model)
    parts = [{at: summary(part[at]) for at in ats} for part in maps_read(model, ats, windows)]
    return {at: torch.cat([part[at] for part in parts]) for at in ats}


def maps_read(model: Model, ats: Sequence[str], windows: Windows) -> Iterator[dict[str, Map]]:
    """Maps of some windows at a time, a vector a place: of convolutions and tokens where they lie in the
    picture (a class token is left out), of anything else one place. Windows of another size than the
    model's are resized, as by `Reader`."""
    target = Target(model, model.canvas, dict.fromkeys(ats, 1.0))
    size = model.canvas.shape[1:]
    for part in windows.split(TOGETHER):
        if part.shape[-2:] != size:
            part = functional.interpolate(part, size, mode="bilinear", antialias=True)
        with torch.no_grad():
            seen = target.read(part)
        found = {LOGITS: seen.logits, **dict(zip(target.names, seen.maps, strict=True))}
        yield {at: _places(found[at]).float() for at in ats}


def _places(found: Tensor) -> Tensor:
    if found.ndim == 4:
        return rearrange(found, "batch feature row column -> batch row column feature")
    if found.ndim == 3:
        for tokens in (found, found[:, 1:]):
            if (side := round(tokens.shape[1] ** 0.5)) ** 2 == tokens.shape[1] > 1:
                return rearrange(tokens, "batch (row column) d -> batch row column d", row=side)
    return found.flatten(1)[:, None, None]


def summary(found: Map) -> Float[Tensor, "batch number"]:
    """A map's mean over its places, and how it spreads over them where there are several."""
    flat = found.flatten(1, 2)
    return flat[:, 0] if flat.shape[1] == 1 else torch.cat([flat.mean(1), flat.std(1)], 1)
