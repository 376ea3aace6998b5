"""What averaging many releases of the same pictures gives back: 1, 2, 4, 8 and 16 of them.

DeiT-tiny with spectral files of photographs, ResNet-20 with deep files of thumbnails; each release is for
another client (its name is mixed into the noise), or made with another key. Prints a line for the clean
pictures and for each number of releases, way and reader: means and medians as `--attack average` makes them,
read by each rival through its own preprocessing. Deep pictures that any release withholds are left out of all.
With --filters one release and the means of 4 and of 16 are filtered too, by attacks that train nothing. Of each
filter the setting is printed that served a reader best on the very pictures counted: more than an attacker could
choose.
"""

from dataclasses import replace
from typing import Annotated, Literal

import torch
import typer
from torch import Tensor

from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import right, show
from catch11 import DeepRecoder, SpectralRecoder, build_key
from catch11.attacks.frame import Attempt, Material, attack_of
from catch11.attacks.jury import window_jury
from catch11.canvas.grid import psnr
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.studies.place import Place

By = Literal["client", "key"]
COUNTS = (1, 2, 4, 8, 16)
FILTERED = (1, 4, 16)
FILTERS = (
    "blur",
    "non-local-means",
    "total-variation",
    "resize",
    "blind-wiener",
    "frequency-wiener",
)


def averaging(
    assets: Assets = ASSETS,
    photographs: Annotated[int, typer.Option(help="So many, spectral; 0 for none.")] = 48,
    thumbnails: Annotated[int, typer.Option(help="So many, deep; 0 for none.")] = 200,
    by: Annotated[By, typer.Option(help="What differs between releases.")] = "client",
    filters: Annotated[bool, typer.Option(help="Filter the means as well.")] = False,
) -> None:
    place = Place(assets=assets)
    if photographs:
        curve(place, "photographs", "spectral", photographs, by, filters=filters)
    if thumbnails:
        curve(place, "thumbnails", "deep", thumbnails, by, filters=filters)


def recoder(model: Model, method: str, number: int, by: By) -> Recoder:
    """The recoder of one release: of a client's, or with a key of its own."""
    tag, secret = ("", bytes([number] * 32)) if by == "key" else (f"client {number}", bytes(32))
    if method == "spectral":
        return SpectralRecoder(build_key(model, energy=5e-4, secret=secret), psnr=7.0, tag=tag)
    return DeepRecoder(model, build_key(model, secret=secret), tag=tag, chunk=64)


def releases(model: Model, clean: Tensor, method: str, by: By) -> tuple[Tensor, Tensor]:
    """Windows of every release (release, batch, …) and which pictures all of them hold."""
    made, kept = [], torch.ones(len(clean), dtype=torch.bool)
    for number in range(max(COUNTS)):
        one = recoder(model, method, number, by)
        parts = [one(windows) for windows in clean.split(64 if method == "deep" else 16)]
        made.append(torch.cat([part.images for part in parts]))
        kept &= torch.tensor([reason is None for part in parts for reason in part.reasons])
    return torch.stack(made), kept


def curve(place: Place, family: str, method: str, count: int, by: By, *, filters: bool) -> None:
    """One family's lines."""
    readers = place.models(family)
    authorized, model = next(iter(readers.items()))
    pictures = place.pictures(family, count)
    clean = pictures.windows(model.canvas)
    made, kept = releases(model, clean, method, by)
    made, clean, truth = made[:, kept], clean[kept], pictures.labels[kept]
    jury = window_jury(
        model.canvas, rivals=readers, truth=dict.fromkeys(readers, truth), released=made[0], clean=clean,
    )  # fmt: skip

    def lines(what: str, number: int, attempt: Attempt) -> None:
        for name in readers:
            line(what, number, attempt, name)

    def line(what: str, number: int, attempt: Attempt, reader: str) -> None:
        assert attempt.restored is not None
        decibels = float(psnr(attempt.restored, clean).mean()) if number else None
        show({
            "for": authorized, "method": method, "by": by, "releases": number, "tried": what,
            "reader": reader, **right(jury.hits(reader, attempt)), "psnr": decibels,
        })  # fmt: skip

    def filtered(what: str, number: int, attempt: Attempt) -> None:
        assert attempt.restored is not None
        for name in FILTERS:
            given = replace(held, released=attempt.restored)
            found = list(attack_of(name)().run(given, generator=torch.Generator().manual_seed(0)))
            for reader in readers if found else ():  # none where tiles are too few
                best = max(found, key=lambda one: sum(jury.hits(reader, one)))
                line(f"{what}, then {name}, {best.setting}", number, best, reader)

    lines("clean", 0, Attempt(setting="clean", restored=clean))
    average = attack_of("average")()
    public = place.pictures(family, 200, part="train").windows(model.canvas)
    held = Material(canvas=model.canvas, released=made[0], public=public, rivals=readers)
    for number in COUNTS:
        given = replace(held, others=tuple(made[1:number]))
        seed = torch.Generator().manual_seed(0)
        for attempt in average.run(given, generator=seed):
            what = "as released" if number == 1 else attempt.setting.split()[0]
            lines(what, number, attempt)
            if filters and number in FILTERED and what != "median":
                filtered(what, number, attempt)
