"""Assumption 2: are the directions a first layer hardly sees those in which the data hardly varies?

Tiles of pictures, centred; their principal components against the layer's right singular vectors. If
data varied only where the layer looks, noise elsewhere would leave the data's own subspace and could
be told, and projected out, without the layer: the blind attacks live on exactly this.
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.tiles import cut
from catch11.evaluation.cells import Cell
from catch11.evaluation.metrics import bootstrap
from catch11.evaluation.record import Record
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import pivot
from catch11.studies.trial import Trial
from catch11.subspaces.rule import spectrum

IMAGES = {"quick": {"photographs": 60, "thumbnails": 300}, "full": {"photographs": 500, "thumbnails": 2000}}  # fmt: skip
SHARE = 0.99  # of the front's energy, in the directions counted as seen
RESAMPLES = 200


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    return [
        Cell(name=f"{family}: {name}", settings={"family": family, "authorized": name, "n": n})
        for family, n in IMAGES[scale].items()
        for name in place.names(family)
    ]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    trial = Trial.of(cell, place)
    front = trial.model.front()
    clean = trial.pictures.windows(trial.model.canvas)
    if front.kernel == front.shape[1:]:
        tiles = clean.double().flatten(1)[:, None]
    else:
        tiles = cut(clean, front.kernel)
    tiles = tiles - tiles.mean((0, 1), keepdim=True)
    values, vectors = spectrum(front.weight.flatten(1))
    energy = values.flip(0).square().cumsum(0) / values.square().sum()
    count = min(int((energy < SHARE).sum()) + 1, vectors.shape[1])
    seen = vectors[:, vectors.shape[1] - count :]
    pixels = tiles.shape[-1]
    total = tiles.square().sum((1, 2))
    inside = (tiles @ seen).square().sum((1, 2))
    components = principal(tiles, count)
    overlap = float((seen.T @ components).square().sum()) / count

    def ratio(a: object, b: object) -> float:
        return float(sum(a) / sum(b))  # type: ignore[call-overload]

    held = bootstrap(
        ratio, inside.numpy(), total.numpy(), resamples=RESAMPLES,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    facts = {
        "directions seen": (float(count), float(count), float(count)),
        "by chance": (count / pixels,) * 3,
        "data variance there": (held.estimate, held.low, held.high),
        "overlap with as many components": (overlap,) * 3,
    }
    return [
        Record(
            model=trial.authorized, role="authorized", condition="clean", metric=metric,
            value=value, low=low, high=high, n=len(tiles), seed=0,
        )
        for metric, (value, low, high) in facts.items()
    ]  # fmt: skip


def principal(
    tiles: Float[Tensor, "batch tile pixel"], count: int
) -> Float[Tensor, "pixel component"]:
    """The leading principal components of centred tiles."""
    flat = tiles.flatten(0, 1)
    return torch.linalg.eigh(flat.T @ flat)[1][:, -count:]


STUDY = Study(
    name="assumption2",
    title="Singular vectors against the data's principal components",
    source="paper, Assumption 2",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row=lambda r: r.model,
        column=lambda r: r.metric,
        head="front",
        caption=(
            f"directions that hold {SHARE:.0%} of a front's energy; by chance: their share of all, "
            "which is also the overlap of random subspaces; variance: bootstrap over pictures"
        ),
    ),
)
