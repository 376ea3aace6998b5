"""Pictures side by side: a row a way of making them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catch11.lab import needed


def draw_grid(path: Path, rows: Mapping[str, Sequence[Any]], *, side: float) -> None:
    """Rows of pictures under their titles. side: of a picture, in inches."""
    Figure = needed("matplotlib.figure").Figure

    columns = max(map(len, rows.values()))
    size = side * columns + 2, 1.02 * side * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (title, pictures) in zip(axes, rows.items(), strict=True):
        for cell, picture in zip(line, pictures, strict=False):
            cell.imshow(picture, interpolation="nearest")
        for cell in line:
            cell.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=120)
