"""The frontier of searches that keep features: fidelity across, what an adapted rival learns up, forwards as size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catch11.evaluation.interval import wilson
from catch11.lab import needed

CHANCE, CLEAN = 0.1, 0.82  # of ten classes; of ResNet-32 on clean thumbnails
AREA = 2.5  # square points that a forward pass takes


def draw(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One circle a search, numbered, and named beside."""
    figure = needed("matplotlib.figure").Figure(figsize=(9, 4.5), layout="tight")
    axis = figure.subplots()
    names: list[str] = []
    most = max(line["lessons"] for line in lines)
    places = {within: i for i, within in enumerate(sorted({row["within"] for row in lines}))}
    for place in places.values():
        rows = [row for row in lines if places[row["within"]] == place]
        for beside, row in enumerate(sorted(rows, key=lambda row: float(row["adapted"]))):
            across = place + 0.6 * (beside + 0.5) / len(rows)
            ends = wilson(round(row["adapted"] * row["tests"]), row["tests"])
            axis.plot([across, across], [ends.low, ends.high], color="grey", linewidth=1, zorder=1)
            axis.scatter(
                across, row["adapted"], s=AREA * row["forwards"], zorder=2, edgecolors="C0",
                color="C0" if row["lessons"] == most else "white",
            )  # fmt: skip
            names.append(f"{len(names) + 1}  {row['search']}, {row['forwards']:g}")
            axis.annotate(
                str(len(names)), (across, ends.high), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=8,
            )  # fmt: skip
    axis.text(1.03, 1.0, "\n".join(["search, forwards an image", *names]), va="top", fontsize=8,
              transform=axis.transAxes)  # fmt: skip
    for level, name in ((CHANCE, "chance"), (CLEAN, "clean")):
        axis.axhline(level, color="grey", linestyle=":")
        axis.annotate(name, (0.0, level), fontsize=7, color="grey", xytext=(-28, 2),
                      textcoords="offset points")  # fmt: skip
    axis.set_xticks([place + 0.3 for place in places.values()], [f"{w:g}" for w in places])
    axis.set(
        xlabel="features kept within", ylabel="ResNet-32 fine-tuned on the files", ylim=(0, 1),
        xlim=(-0.15, len(places)),
    )  # fmt: skip
    figure.savefig(path, dpi=120)
