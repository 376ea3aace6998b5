"""What the licensee reads in files: maps of the authorized model, a vector a place of the picture."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Unsuited
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
    """A map, a vector a place: of convolutions and tokens where they lie in the picture (a class token
    is left out), of anything else one place."""
    target = Target(model, model.canvas, {at: 1.0})
    parts = []
    with torch.no_grad():
        for part in windows.split(TOGETHER):
            seen = target.read(part)
            parts.append(_places(seen.logits if at == LOGITS else seen.maps[0]).float())
    return torch.cat(parts)


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
