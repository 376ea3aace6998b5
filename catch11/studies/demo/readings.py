"""A picture of who reads what: the original, the released file, and what each model says of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from catch11.lab import needed
from catch11.models.frame import Model

GREY, RIGHT, WRONG = "#b9bec5", "#1f5fa8", "#c0392b"
LETTERS = 20
LEGEND = (
    "Bars: how sure a model is. Grey: its answer to the original. "
    "Blue: the same answer to the released file. Red: another one."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A model's strongest class and the share, 0 to 1, that it gives it."""

    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An original with its released file, and what each model says of the two."""

    pictures: tuple[Image.Image, Image.Image]
    readings: tuple[tuple[Said, Said], ...]


def read_row(models: Sequence[Model], original: Image.Image, file: Image.Image) -> Row:
    """What each model says, through its own preprocessing."""
    pair = (original, file)
    return Row(pictures=pair, readings=tuple(_said(model, pair) for model in models))


def _said(model: Model, pair: tuple[Image.Image, Image.Image]) -> tuple[Said, Said]:
    shares, classes = model.logits(model.preprocess(pair)).softmax(1).max(1)
    first, second = (
        Said(name=model.labels[index].split(",")[0], share=share)
        for index, share in zip(classes.tolist(), shares.tolist(), strict=True)
    )
    return first, second


def draw_readings(path: Path, rows: Sequence[Row], heads: Mapping[str, str]) -> None:
    """A line a row: two pictures, then a column a model. heads: of the columns, name and role.

    Bars are the shares that a model gives its answer; blue where it reads the file as the original.
    """
    Figure = needed("matplotlib.figure").Figure

    widths = [1.15, 1.15, *([1.9] * len(heads))]
    figure = Figure(figsize=(sum(widths) + 0.4, 1.12 * len(rows) + 1.0), layout="constrained")
    axes = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
    titles = ["original\n", "released file\n", *(f"{name}\n{role}" for name, role in heads.items())]
    for cell, title in zip(axes[0], titles, strict=True):
        bold = title.startswith(next(iter(heads)))
        cell.set_title(title, fontsize=9.5, fontweight="bold" if bold else "normal")
    for line, row in zip(axes, rows, strict=True):
        for cell, picture in zip(line, row.pictures, strict=False):
            cell.imshow(_middle(picture))
        for cell, (original, file) in zip(line[2:], row.readings, strict=True):
            kept = file.name == original.name
            _bar(cell, 2.55, original, GREY, "black")
            _bar(cell, 0.75, file, *(RIGHT if kept else WRONG,) * 2)
            cell.set(xlim=(-0.04, 1.04), ylim=(0, 4.1))
        for cell in line:
            cell.axis("off")
    figure.supxlabel(LEGEND, fontsize=9, color="#555555")
    figure.savefig(path, dpi=110, facecolor="white")


def _bar(cell: Any, height: float, said: Said, colour: str, ink: str) -> None:
    cell.barh(height, 1.0, height=0.42, color="#f0f1f3")
    cell.barh(height, said.share, height=0.42, color=colour)
    name = said.name if len(said.name) <= LETTERS else f"{said.name[: LETTERS - 1]}…"
    cell.text(0, height + 0.36, name, va="bottom", fontsize=9, color=ink)
    percent = f"{said.share:.0%}"
    cell.text(1, height + 0.36, percent, va="bottom", ha="right", fontsize=9, color=ink)


def _middle(picture: Image.Image) -> Image.Image:
    """The square in the middle."""
    side = min(picture.size)
    left, top = ((size - side) // 2 for size in picture.size)
    return picture.crop((left, top, left + side, top + side)).resize((200, 200))
