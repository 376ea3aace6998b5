"""How many questions give a patch front away: DeiT-tiny, whose front sees few directions of a tile.

Two oracles. The data owner's spectral recoder, asked to recode pictures: what it moves is insensitive, so
the insensitive directions are those of the differences (`attacks.probing`). And the authorized model, asked
for its logits: a picture is moved a little along random orthogonal directions of one tile, both ways, and
where hardly an answer comes is insensitive. A net is no linear map, so this is not exact as the first is.

Prints a line an oracle and count. found: dimensions of the estimate. share: of the true insensitive subspace,
the mean over its dimensions of the squared cosines of the principal angles, a missing one counting 0. true: the
same over the dimensions of the estimate. seen: over those that the rule keeps, of the complement. chance: share
of a random subspace of as many dimensions. Rivals read files that `attacks.tiles.conditional` inpaints from
what is seen.

Overlapping convolutions have no tile: `--attack probe` cuts them into tiles all the same, so noise that
runs across an edge counts as seen, and a direction of the estimate is no frequency of the front.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import right, show
from catch11 import SpectralRecoder
from catch11.attacks.frame import Attempt
from catch11.attacks.jury import window_jury
from catch11.attacks.probing import seen_by_queries
from catch11.attacks.tiles import conditional, cut, moments, paste
from catch11.models.frame import Model
from catch11.studies.place import Place
from catch11.studies.trial import Trial
from catch11.subspaces.rule import principal_angles
from catch11.subspaces.tiles import TileSubspace

FAMILY, PUBLIC, STEP = "photographs", 200, 0.02
QUERIES = (1, 2, 3, 4, 5, 8, 24)
QUESTIONS = (256, 512, 768)  # directions of a tile, two pictures each


def probing(
    assets: Assets = ASSETS,
    count: Annotated[int, typer.Option(help="Photographs judged.")] = 48,
) -> None:
    place = Place(assets=assets)
    authorized, *others = place.names(FAMILY)
    rivals = {name: place.model(FAMILY, name) for name in others}
    trial = Trial(place=place, family=FAMILY, authorized=authorized, n=count)
    subspace, released = trial.key.subspace, trial.made.windows
    assert isinstance(subspace, TileSubspace)
    kept, size = subspace.kept.double(), subspace.tile
    public = place.pictures(FAMILY, PUBLIC, part="train").windows(trial.model.canvas)
    jury = window_jury(
        trial.model.canvas, rivals=rivals, truth=dict.fromkeys(rivals, trial.truth), released=released,
        clean=trial.clean,
    )  # fmt: skip

    def judged(images: Tensor) -> dict[str, object]:
        made = Attempt(setting="restored", restored=images)
        return {name: right(jury.hits(name, made)) for name in rivals}

    facts = {"pixels": len(kept), "seen": kept.shape[1], "insensitive": len(kept) - kept.shape[1]}
    show({"n": count, **facts})
    show({"files": "clean", **judged(trial.clean)})
    show({"files": "as released", **judged(released)})
    mean, covariance = moments(cut(public, size).flatten(0, 1))
    rows = [*estimates(trial, public, kept, size), ("the front itself", 0, kept)]
    for oracle, asked, seen in rows:
        line = {"oracle": oracle, "pictures": asked, **overlap(seen, kept)}
        if 0 < seen.shape[1] < len(kept):
            gain = conditional(seen, covariance)
            line |= judged(paste((cut(released, size) - mean) @ gain.T + mean, released, size))
        show(line)


def beside(basis: Tensor) -> Tensor:
    """An orthonormal basis of what is orthogonal to orthonormal columns."""
    return torch.linalg.qr(basis, mode="complete").Q[:, basis.shape[1] :]


def squares(one: Tensor, other: Tensor) -> float:
    """The sum of the squared cosines of the principal angles."""
    if not min(one.shape[1], other.shape[1]):
        return 0.0
    return float(principal_angles(one, other).cos().square().sum())


def overlap(seen: Tensor, kept: Tensor) -> dict[str, object]:
    """An estimate of what is seen against what the rule keeps, and their complements."""
    inside, true = beside(seen), beside(kept)
    common, found = squares(inside, true), inside.shape[1]
    return {
        "found": found, "share": common / true.shape[1], "true": common / max(1, found),
        "seen": squares(seen, kept) / kept.shape[1], "chance": found / len(kept),
    }  # fmt: skip


def answered(model: Model, shown: Tensor, size: tuple[int, int], directions: Tensor) -> Tensor:
    """Change of the logits along each direction of a tile in the middle: (direction, class)."""
    rows = []
    for part in directions.split(16):
        tiles = cut(shown, size).expand(2 * len(part), -1, -1).clone()
        tiles[:, tiles.shape[1] // 2] += STEP * torch.cat([part, -part])
        logits = model.logits(model.canvas.normalise(paste(tiles, shown.expand(len(tiles), -1, -1, -1), size)))  # fmt: skip
        rows.append((logits[: len(part)] - logits[len(part) :]).double())
    return torch.cat(rows)


def seen_by_logits(answers: Tensor, directions: Tensor, *, noise: float = 1e-4) -> Tensor:
    """A basis of what may be seen: all that was not asked, and what of the rest was answered by more
    than `noise` of the loudest."""
    asked = torch.linalg.qr(directions.T).Q
    inner = torch.linalg.lstsq(directions @ asked, answers).solution
    vectors, values, _ = torch.linalg.svd(inner, full_matrices=True)
    loud = int((values > noise * values[0]).sum())
    return torch.linalg.qr(torch.cat([asked @ vectors[:, :loud], beside(asked)], dim=1)).Q


def estimates(trial: Trial, public: Tensor, kept: Tensor, size: tuple[int, int]) -> Iterator[tuple[str, int, Tensor]]:  # fmt: skip
    """(oracle, pictures asked for, what seems to be seen)."""
    recoder = SpectralRecoder(trial.key, psnr=7.0, tag="asked")
    made = recoder(public[: max(QUERIES)]).images
    for count in QUERIES:
        yield "recoder", count, seen_by_queries(public[:count], made[:count], size)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(kept), len(kept), generator=generator).double()
    directions = torch.linalg.qr(drawn).Q
    shown = 0.1 + 0.8 * public[:1]  # so that no step leaves the box
    answers = answered(trial.model, shown, size, directions)
    for count in QUESTIONS:
        yield "logits", 2 * count, seen_by_logits(answers[:count], directions[:count])
