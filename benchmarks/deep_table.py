"""Deep recoding on real models: who still reads the files, as they are and after codecs, and the cost.

Every picture is read back as a PNG holds it, through each model's own preprocessing. Prints a line of the files: how
many were withheld, steps, forward passes an image, PSNR; then a line a reader: its accuracy on clean pictures, on the
files, after each JPEG, and how often it answers as the authorized model.

For ResNet-20 the same architecture trained anew is one more rival: `python -m catch11.studies.nets.twin ASSETS`
prints what to call it.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import typer
from PIL import Image
from torch import Tensor

from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import show
from benchmarks.named import KNOWN, answers, as_files, model_of, pictures_of, whole
from benchmarks.thumbnails import share
from catch11 import DeepRecoder, build_key
from catch11.crypto.stream import KeyedStream
from catch11.data.pictures import open_picture
from catch11.models.frame import Model
from catch11.recoding.choose import radius_of
from catch11.recoding.codecs import Jpeg, survival
from catch11.recoding.deep.descent import Descended
from catch11.recoding.deep.start import Look
from catch11.recoding.deep.target import Precision


class Watched(DeepRecoder):
    """Notes where every search stopped."""

    notes: ClassVar[list[Descended]] = []

    def search(self, windows: Tensor, streams: Sequence[KeyedStream]) -> Descended:
        found = super().search(windows, streams)
        self.notes.append(found)
        return found


def deep_table(
    model: Annotated[str, typer.Argument(help=f"The authorized one: {KNOWN}.")] = "deit-tiny",
    rival: Annotated[list[str], typer.Option(help="A model that should not read them; repeatable.")] = [],
    also: Annotated[list[str], typer.Option(help="One more that should; repeatable.")] = [],
    release: Annotated[Path | None, typer.Option(help="Read the files of this release of photographs; make none.")] = None,
    count: Annotated[int, typer.Option(help="Pictures.")] = 64,
    survive: Annotated[str, typer.Option(help="Codecs, as recode takes them.")] = "",
    radius: Annotated[str, typer.Option(help="auto, least or 255ths.")] = "auto",
    margin: Annotated[float, typer.Option(help="By which the answer leads.")] = 0.5,
    steps: Annotated[int, typer.Option(help="At most.")] = 60,
    look: Annotated[Look, typer.Option(help="What people see.")] = "noise",
    decoys: Annotated[int, typer.Option(help="Start from so many further pictures.")] = 0,
    precision: Annotated[Precision, typer.Option(help="Of the search.")] = "float32",
    codec: Annotated[list[int], typer.Option(help="JPEG qualities read; repeatable.")] = [90, 75, 50],
    assets: Assets = ASSETS,
) -> None:  # fmt: skip
    own = model_of(assets, model)
    held = pictures_of(assets, model, count + decoys)
    sources, spare, truth = list(held.images[:count]), held.images[count:], held.labels[:count]
    others = [model_of(assets, name) for name in also]
    if release is not None:
        paths = [release / f"{name}.png" for name in held.names[:count]]
        there = [i for i, path in enumerate(paths) if path.is_file()]
        sources, truth = [sources[i] for i in there], truth[there]
        images = whole([open_picture(paths[i]) for i in there], own.canvas)
        show({"model": own.name, "asked": count, "written": len(there)})
        kept = torch.ones(len(there), dtype=torch.bool)
    else:
        limit: Any = radius_of(radius)
        start: Tensor | Literal["noise"] = "noise"
        if decoys:
            start = own.canvas.window(whole(spare, own.canvas))
        recoder = Watched(
            own, build_key(own, energy=0.01, secret=bytes(32)), steps=steps, margin=margin,
            radius=limit, survive=survival(survive),
            start=start, look=look, also=others, precision=precision, chunk=16,
        )  # fmt: skip
        images, kept = made(recoder, own, sources)
    clean = answers(own, sources)
    forms = {"png": as_files(images)}
    forms |= {f"jpeg {quality}": as_files(Jpeg(quality).real(images, 1.0)) for quality in codec}
    for reader in (own, *others, *(model_of(assets, name) for name in rival)):
        told = answers(reader, sources)
        line = {"reader": reader.name, "n": int(kept.sum()), "clean": share(told, truth)}
        for name, files in forms.items():
            read = answers(reader, files)[kept]
            line[name] = share(read, truth[kept])
            line[f"{name}, as the authorized"] = share(read, clean[kept])
            if reader in others:
                line[f"{name}, as its own"] = share(read, told[kept])
        show(line)


def made(recoder: Watched, model: Model, sources: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
    """The files, and which of them may be released; shows what they cost."""
    pictures = whole(sources, model.canvas)
    spent = time.process_time()
    recoded = recoder(pictures)
    spent = (time.process_time() - spent) / len(pictures)
    one = time.process_time()
    values = model.canvas.normalise(model.canvas.window(pictures[:64]))
    with torch.no_grad():
        for part in values.split(recoder.batch):
            model.forward(part)
    one = (time.process_time() - one) / len(values)
    steps = [int(s) for found in recoder.notes for s in found.steps]
    show({
        "model": model.name, "count": len(pictures), **recoder.settings,
        "withheld": sum(reason is not None for reason in recoded.reasons),
        "steps_median": statistics.median(steps), "steps_most": max(steps),
        "forward_s": one, "forwards_an_image": spent / one,
        "psnr_median": statistics.median(recoded.psnr),
    })  # fmt: skip
    return recoded.images, torch.tensor([reason is None for reason in recoded.reasons])
