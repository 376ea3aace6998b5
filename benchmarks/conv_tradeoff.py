"""What noise under a convolution front costs the authorized model, and what it does to rivals.

Prints a line a file: clean; Gaussian noise clipped to the box at the PSNR of the release (control); noise of the
subspace, clipped (what not to do); released. Accuracy and its paired drop with their intervals, the
rivals' accuracy, the shift of the front. Every model reads the same windows, those on the grid of the format.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks.frame import ASSETS, Assets, among
from benchmarks.lines import right, show
from catch11 import Key, SpectralRecoder
from catch11.baselines.published import at_strength
from catch11.canvas.grid import Format, grid_of
from catch11.canvas.grid import psnr as decibels
from catch11.evaluation.interval import paired_difference
from catch11.keys.key import default_rule, key_of
from catch11.lab import needed
from catch11.models.frame import Model
from catch11.recoding.spectral.noise import Noise
from catch11.studies.place import Place
from catch11.studies.trial import SECRET
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.rule import Rule

NAMES = ("resnet20", "resnet32", "squeezenet", "mobilenet")


def conv_tradeoff(
    names: Annotated[
        list[str], typer.Argument(callback=among(NAMES), metavar="NAME", help="CIFAR-10: resnet20, resnet32; ImageNet: squeezenet, mobilenet.")
    ] = ["resnet20"],
    assets: Assets = ASSETS,
    images: Annotated[int, typer.Option(help="So many pictures.")] = 200,
    psnr: Annotated[list[float], typer.Option(help="Strengths in dB; repeatable.")] = [14.0, 13.0, 12.0],
    energy: Annotated[float | None, typer.Option(help="The key's rule; its usual one without.")] = None,
    noise: Annotated[Noise, typer.Option(help="What the released files hold.")] = "content",
    format: Annotated[Format, typer.Option(help="Of the files.")] = "png8",
    plot: Annotated[Path | None, typer.Option(help="Draw the released files there.")] = None,
) -> None:  # fmt: skip
    place, lines = Place(assets=assets), []
    for name in names:
        family = "thumbnails" if name in NAMES[:2] else "photographs"
        models = place.models(family)
        model = models[name]
        pictures = place.pictures(family, images)
        windows, labels = pictures.windows(model.canvas), pictures.labels
        front = model.front()
        rule = default_rule(front) if energy is None else Rule(kind="energy", value=energy)
        key = key_of(front, canvas=model.canvas, rule=rule, secret=SECRET)
        clean = hits(model, windows, labels)
        for method, made in files(key, windows, psnr, format, noise):
            own = hits(model, made, labels)
            drop = paired_difference(clean, own)
            lines.append(show({
                "authorized": name, "method": method, "psnr": float(decibels(made, windows).mean()), **right(own),
                "drop": drop.estimate, "drop low": drop.low, "drop high": drop.high,
                "rivals": {n: sum(hits(m, made, labels)) / images for n, m in models.items() if n != name},
                "shift": float(key.front.relative_shift(made, windows).mean()),
            }))  # fmt: skip
    if plot is not None:
        draw(lines, plot)


def hits(model: Model, windows: Tensor, labels: Tensor) -> list[bool]:
    """Right answers of a model on windows in pixel units."""
    answers = model.logits(model.canvas.normalise(windows), batch=50).argmax(1)
    found: list[bool] = (answers == labels).tolist()
    return found


def files(
    key: Key, windows: Tensor, strengths: Sequence[float], format: Format, noise: Noise
) -> Iterator[tuple[str, Tensor]]:
    """What is read, by its name."""
    yield "clean", windows
    assert isinstance(key.subspace, ConvSubspace)
    drawn = torch.randn(windows.shape, generator=torch.Generator().manual_seed(0))
    rays = {"gaussian": drawn, "subspace, clipped": key.subspace.start(drawn)}
    for strength in strengths:
        for name, ray in rays.items():
            yield name, at_strength(windows, ray, strength, grid=grid_of(format))
        recode = SpectralRecoder(key, psnr=strength, format=format, noise=noise)
        yield f"released {format}", recode(windows).images


def draw(lines: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Accuracy over PSNR, one panel an authorized model, released files only."""
    names = list(dict.fromkeys(line["authorized"] for line in lines))
    figure = needed("matplotlib.figure").Figure(figsize=(4.5 * len(names), 3.6), layout="tight")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        rows = [r for r in lines if r["authorized"] == name and r["method"].startswith("released")]
        rows.sort(key=lambda row: row["psnr"])
        x = [row["psnr"] for row in rows]
        ends = [[abs(r["accuracy"] - r[end]) for r in rows] for end in ("low", "high")]
        shares = [r["accuracy"] for r in rows]
        axis.errorbar(x, shares, yerr=ends, label=f"{name} (authorized)", marker="o")
        for rival in rows[0]["rivals"]:
            axis.plot(x, [row["rivals"][rival] for row in rows], marker="s", ls="--", label=rival)
        axis.set(xlabel="PSNR of the files (dB)", ylabel="top-1", ylim=(0, 1))
        axis.legend(fontsize=8)
    figure.savefig(file, dpi=150)
