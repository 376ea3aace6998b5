"""What released files kept, measured through the authorized model: scores, features, layers."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import Catch11Error, InvalidArgument
from catch11.evaluation.metrics import bootstrap
from catch11.evaluation.score import Measured, Tally
from catch11.keys.authorized import seal_of
from catch11.models.frame import Model
from catch11.recoding.deep.agreement import Agreement, Kind
from catch11.recoding.deep.kept import cosines, nats, readings
from catch11.recoding.deep.target import LOGITS, Reading, Target, parse_at
from catch11.recoding.keep import ALL, FEATURES, LAYER, SCORES, Keep

KL = "KL, nats"
SHIFT = "front shift"  # of the first layer's response, which is measured where `all` is asked for
_SCORE = 0.1  # how far a score may lie from the clean one, where nothing else is said
_MEASURED = {SCORES: KL, ALL: SHIFT}
Values = dict[str, list[float]]
# How the distance of answers is measured, by the outputs of a head, and what it is called.
_HEADS: dict[int, tuple[Kind, str]] = {
    0: ("cosine", f"distance of {FEATURES}"),
    1: ("score", "distance of scores"),
}


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
    if keep is not None and keep.what == ALL and keep.tolerance is not None:
        found[SHIFT] = float(model.front().relative_shift(made, clean))
    usual = LOGITS if model.speaks else FEATURES
    for place in dict.fromkeys(one for one in (promised, usual) if one):
        with suppress(Catch11Error):
            found |= _of_maps(model, place, made, clean)
    if KL not in found and not model.speaks:  # no maps can be read, answers can
        read, meant = (_scores(model, windows) for windows in (made, clean))
        found[KL] = float(nats(read, meant))
    return found


def _of_maps(model: Model, place: str, made: Tensor, clean: Tensor) -> dict[str, float]:
    target = Target(model, model.canvas, parse_at(place))
    meant, read = readings(target, made, clean)
    found = {KL: float(nats(read, meant))}
    if target.names:
        found[f"distance of {place}"] = float(target.distance(read, meant))
        found[f"cosine of {place}"] = float(cosines(read, meant))
    return found


def _scores(model: Model, windows: Tensor) -> Reading:
    """The answer alone, by whatever runs the model; it takes no gradient."""
    return Reading(logits=model.logits(model.canvas.normalise(windows)), maps=())


def refusal(model: Model, keep: Keep | None) -> Catch11Error | None:
    """Why this model cannot say how near files are to what they keep; None where it can."""
    if keep is None or keep.tolerance is None or keep.what == SCORES:
        return None
    if seal_of(model):
        return InvalidArgument(
            "keep", expected="answer or scores of a sealed copy, which shows nothing else", found=keep.text,
            remedy="give --secret with the model that was sealed",
        )  # fmt: skip
    grey = torch.full((1, *model.canvas.shape), 0.5)
    try:
        _measured_by(model, keep, grey)
    except InvalidArgument as error:
        return error.called("keep")
    except Catch11Error as error:
        return error
    return None


def _measured_by(model: Model, keep: Keep, grey: Tensor) -> None:
    """Raises where a model does not show what is kept."""
    if keep.what == ALL:
        model.front()
    else:
        _of_maps(model, keep.at, grey, grey)


def answers_kept(
    keep: Keep | None,
    made: Float[Tensor, "item output"],
    clean: Float[Tensor, "item output"],
    *,
    classes: int,
) -> tuple[Values, list[bool]]:
    """Of answers that are all a model gives of an item: how far they are from the clean ones, in the
    measure of its head, and whether they are alike. classes: none is an embedding, one a score, which
    is alike within .1 or what is kept of it."""
    kind, name = _HEADS.get(classes, ("kl", KL))
    far = Agreement(kind=kind, value=_SCORE).distance(made.float(), clean.float())
    assert far is not None
    near = max(_SCORE, (keep and keep.tolerance) or 0.0) if classes else math.inf
    alike = made.argmax(1) == clean.argmax(1) if classes > 1 else far <= near
    return {name: far.clamp_min(0.0).tolist()}, alike.tolist()


def unsourced(keep: Keep | None) -> tuple[str, ...]:
    """That nothing can be said without the sources of files that keep something within a tolerance."""
    if keep is None or keep.tolerance is None:
        return ()
    return (not_measured(keep, "that takes the sources (--source)"),)


def not_measured(keep: Keep, why: object) -> str:
    """The warning of a verification."""
    return f"whether {keep.near} is kept was not measured: {str(why).removesuffix('.')}"


def broken(
    keep: Keep | None,
    files: Sequence[str],
    found: Values,
    alike: Iterable[bool],
    *,
    measure: str = "",
    said: str = "the list says that it keeps",
) -> list[tuple[str, str]]:
    """Files that do not keep what they should, each with the reason. alike: whether the authorized
    model answers each as it answers its source. measure: the distance that counts, where what is kept
    does not name it. said: who says that it is kept."""
    if keep is None or (keep.what == ALL and SHIFT not in found):
        return []
    name = measure or _MEASURED.get(keep.what, f"distance of {keep.at}")
    distances: Sequence[float | None] = found.get(name) or [None] * len(files)
    lines = []
    for file, distance, same in zip(files, distances, alike, strict=True):
        # Of silence and blank pictures nothing is near anything: their own response is zero.
        why = keep.broken(distance if distance is not None and math.isfinite(distance) else None)
        if not same and keep.what != ALL:
            why = "the authorized model answers otherwise than on the source"
        if why is not None:
            lines.append((file, f"{why}; {said} {keep.near}"))
    return lines


def kept_measures(tally: Tally, *, seed: int) -> list[Measured]:
    """Each measure of what was kept, its mean over the files with a bootstrap interval."""
    return [
        Measured(
            metric=name, n=len(finite),
            value=bootstrap(np.mean, finite, generator=torch.Generator().manual_seed(seed)),
        )
        for name, values in tally.kept.items()
        if (finite := [value for value in values if math.isfinite(value)])
    ]  # fmt: skip
