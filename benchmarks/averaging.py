"""What averaging many releases of the same pictures gives back: 1, 2, 4, 8 and 16 of them.

DeiT-tiny with spectral files of photographs, ResNet-20 with deep files of thumbnails; each release is for
another client (its name is mixed into the noise), or made with another key. Means and medians as
`--attack average` makes them, read by each rival through its own preprocessing; Wilson's intervals. Deep
pictures that any release withholds are left out of all. JSON lines; from the project's root:

    python benchmarks/averaging.py ASSETS [--photographs 48] [--thumbnails 200] [--by client|key]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from catch11 import build_key
from catch11.attacks.frame import Attempt, Material, attack_of
from catch11.attacks.jury import window_jury
from catch11.canvas.grid import psnr
from catch11.evaluation.metrics import accuracy
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.place import Place

COUNTS = (1, 2, 4, 8, 16)
CASES = {"photographs": "spectral", "thumbnails": "deep"}


def recoder(model: Model, method: str, number: int, by: str) -> Recoder:
    """The recoder of one release: of a client's, or with a key of its own."""
    tag, secret = ("", bytes([number] * 32)) if by == "key" else (f"client {number}", bytes(32))
    if method == "spectral":
        return SpectralRecoder(build_key(model, energy=5e-4, secret=secret), psnr=7.0, tag=tag)
    return DeepRecoder(model, build_key(model, secret=secret), tag=tag, chunk=64)


def releases(model: Model, clean: Tensor, method: str, by: str) -> tuple[Tensor, Tensor]:
    """Windows of every release (release, batch, …) and which pictures all of them hold."""
    made, kept = [], torch.ones(len(clean), dtype=torch.bool)
    for number in range(max(COUNTS)):
        one = recoder(model, method, number, by)
        parts = [one(windows) for windows in clean.split(64 if method == "deep" else 16)]
        made.append(torch.cat([part.images for part in parts]))
        kept &= torch.tensor([reason is None for part in parts for reason in part.reasons])
    return torch.stack(made), kept


def curve(place: Place, family: str, count: int, by: str) -> None:
    """Prints a line for the clean pictures and for each number of releases, way and reader."""
    authorized, *rivals = place.names(family)
    model, method = place.model(family, authorized), CASES[family]
    pictures = place.pictures(family, count)
    clean = pictures.windows(model.canvas)
    made, kept = releases(model, clean, method, by)
    made, clean, truth = made[:, kept], clean[kept], pictures.labels[kept]
    readers = {name: place.model(family, name) for name in (authorized, *rivals)}
    jury = window_jury(model.canvas, rivals=readers, truth=dict.fromkeys(readers, truth), released=made[0], clean=clean,
    )  # fmt: skip

    def lines(what: str, number: int, attempt: Attempt) -> None:
        assert attempt.restored is not None
        decibels = float(psnr(attempt.restored, clean).mean()) if number else None
        for name in readers:
            share = accuracy(jury.hits(name, attempt))
            print(json.dumps({
                "for": authorized, "method": method, "by": by, "releases": number, "tried": what,
                "reader": name, "accuracy": round(share.estimate, 3), "low": round(share.low, 3),
                "high": round(share.high, 3), "n": len(clean),
                "psnr": None if decibels is None else round(decibels, 2),
            }), flush=True)  # fmt: skip

    lines("clean", 0, Attempt(setting="clean", restored=clean))
    average = attack_of("average")()
    held = Material(canvas=model.canvas, released=made[0], rivals=readers)
    for number in COUNTS:
        if number == 1:
            lines("as released", 1, Attempt(setting="none", restored=made[0]))
            continue
        given = replace(held, others=tuple(made[1:number]))
        for attempt in average.run(given, generator=torch.Generator().manual_seed(0)):
            lines(attempt.setting.split()[0], number, attempt)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--photographs", type=int, default=48)
    ask.add_argument("--thumbnails", type=int, default=200)
    ask.add_argument("--by", choices=("client", "key"), default="client")
    given = ask.parse_args()
    torch.set_num_threads(1)
    place = Place(assets=given.assets)
    for family in CASES:
        if getattr(given, family):
            curve(place, family, getattr(given, family), given.by)


if __name__ == "__main__":
    main()
