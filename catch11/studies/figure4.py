"""Figure 4: what releases look like. A grid of pictures: clean, by each method, and attacked."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from catch11.attacks.blind import BlindSubspace
from catch11.attacks.frame import Material
from catch11.attacks.projection import ProjectInpaint
from catch11.data.windows import to_pixels
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Record
from catch11.studies.frame import Scale, Study
from catch11.studies.grid import draw_grid
from catch11.studies.place import Place
from catch11.studies.tables import pivot, setting
from catch11.studies.trial import Method, Trial

FAMILY = "photographs"
METHODS: tuple[Method, ...] = ("spectral", "clipped", "gaussian", "deep")
ATTACKS = (ProjectInpaint, BlindSubspace)
PUBLIC = 60  # pictures that the attacked row's attackers learn from


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    n = {"quick": 5, "full": 8}[scale]
    facts: dict[str, Value] = {"family": FAMILY, "authorized": place.names(FAMILY)[0]}
    return [Cell(name=m, settings={**facts, "method": m, "n": n}) for m in METHODS]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """PSNR and SSIM of the pictures in the grid."""
    trial = Trial.of(cell, place)
    quality = trial.quality(trial.made.windows)
    return [
        Record(
            model=trial.authorized, role="authorized", condition="nte", metric=metric, value=value,
            low=value, high=value, n=len(trial.made.kept), seed=0, psnr=quality.get("psnr"),
        )
        for metric, value in quality.items()
    ]  # fmt: skip


def draw(records: Sequence[Record], place: Place, path: Path) -> None:
    n = max(int(r.settings["n"]) for r in records)
    base = Trial(place=place, family=FAMILY, authorized=place.names(FAMILY)[0], n=n)
    rows: dict[str, torch.Tensor] = {"clean": base.clean}
    for method in METHODS:
        trial = replace(base, method=method)
        blank = torch.ones_like(base.clean)
        blank[list(trial.made.kept)] = trial.made.windows
        rows[method] = blank
    rows |= attacked(base)
    draw_grid(path, {title: list(map(to_pixels, row)) for title, row in rows.items()}, side=1.5)


def attacked(base: Trial) -> dict[str, torch.Tensor]:
    """The spectral files after the attacks that get most out of them."""
    others = replace(base, part="train", n=PUBLIC)
    both = torch.cat([base.made.windows, others.made.windows])
    held = Material(
        canvas=base.model.canvas, released=both, public=others.clean, front=base.key.front,
        subspace=base.key.subspace,
    )  # fmt: skip
    rows = {}
    for attack in ATTACKS:
        one = attack()
        generator = torch.Generator().manual_seed(0)
        attempt = next(iter(one.run(held.cut(one.knowledge), generator=generator)))
        assert attempt.restored is not None
        rows[f"spectral,\n{one.name}"] = attempt.restored[: len(base.clean)]
    return rows


STUDY = Study(
    name="figure4",
    title="What releases look like",
    source="paper, Figure 4",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row=setting("method"),
        column=lambda r: r.metric,
        head="files",
        caption="means over the pictures of the figure",
    ),
    draw=draw,
)
