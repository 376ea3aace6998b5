"""What released files kept, measured through the authorized model: scores, features, layers."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import Catch11Error
from catch11.evaluation.metrics import bootstrap
from catch11.evaluation.score import Measured, Tally
from catch11.models.frame import Model
from catch11.recoding.deep.kept import cosines, nats, readings
from catch11.recoding.deep.target import LOGITS, Target, parse_at
from catch11.recoding.keep import ALL, FEATURES, LAYER, SCORES, Keep

KL = "KL, nats"
Values = dict[str, list[float]]


def measures(
    model: Model,
    keep: Keep | None,
    made: Float[Tensor, "batch channel height width"],
    clean: Float[Tensor, "batch channel height width"],
) -> Values:
    """KL of the scores, distance and cosine of the features and of the layer that is kept, a number a
    window, each read by itself. What a model cannot give is left out.
    """
    found: Values = defaultdict(list)
    for a, b in zip(made.split(1), clean.split(1), strict=True):
        for name, value in _measured(model, keep, a, b).items():
            found[name].append(value)
    return found


def _measured(model: Model, keep: Keep | None, made: Tensor, clean: Tensor) -> dict[str, float]:
    promised = keep.at if keep is not None and keep.what in (FEATURES, LAYER) else ""
    found: dict[str, float] = {}
    usual = LOGITS if model.speaks else FEATURES
    for place in dict.fromkeys(one for one in (promised, usual) if one):
        try:
            target = Target(model, model.canvas, parse_at(place))
            meant, read = readings(target, made, clean)
        except Catch11Error:
            continue
        if target.names:
            found[f"distance of {place}"] = float(target.distance(read, meant))
            found[f"cosine of {place}"] = float(cosines(read, meant))
        found[KL] = float(nats(read, meant))
    return found


def broken(
    keep: Keep | None, files: Sequence[str], found: Values, alike: Iterable[bool]
) -> list[tuple[str, str]]:
    """Files that do not keep what the list says, each with the reason. alike: whether the authorized
    model answers each as it answers its source."""
    if keep is None or keep.what == ALL:
        return []
    name = KL if keep.what == SCORES else f"distance of {keep.at}"
    distances: Sequence[float | None] = found.get(name) or [None] * len(files)
    lines = []
    for file, distance, same in zip(files, distances, alike, strict=True):
        why = keep.broken(distance)
        if not same:
            why = "the authorized model answers otherwise than on the source"
        if why is not None:
            lines.append((file, f"{why}; the list says that {keep.near} is kept"))
    return lines


def kept_measures(tally: Tally, *, seed: int) -> list[Measured]:
    """Each measure of what was kept, its mean over the files with a bootstrap interval."""
    return [
        Measured(
            metric=name, n=len(values),
            value=bootstrap(np.mean, values, generator=torch.Generator().manual_seed(seed)),
        )
        for name, values in tally.kept.items()
    ]  # fmt: skip
