"""The radius of the deep recoder: what it costs, who reads the files, who learns to, what JPEG leaves.

ResNet-20 authorized on CIFAR-10, ResNet-32 fine-tuned on labelled files. One JSON line a radius, kept
in WORK, where a second run goes on; one plot with --plot FILE:

    python benchmarks/deep_dial.py ASSETS --work WORK --plot docs/pictures/deep.png
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from cifar import (
    Course,
    Lines,
    answers,
    files,
    forward_seconds,
    fresh,
    learn,
    lessons,
    models,
    reader,
    share,
    tests,
)  # fmt: skip
from torch import Tensor

from catch11 import DeepRecoder
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.codecs import Jpeg

QUALITIES = (90, 75, 50)
COURSE = Course(rate=0.01, epochs=4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """ResNet-20 authorized and ResNet-32 the rival, pictures to judge by and to learn from."""

    model: Model
    rival: Model
    key: Key
    test: tuple[Tensor, Tensor]
    train: tuple[Tensor, Tensor]
    clean: Tensor
    forward: float
    work: Path | None

    def measure(self, name: str, recoder: DeepRecoder, course: Course = COURSE) -> dict[str, Any]:
        """One line: the authorized model's and the rival's answers, JPEG unasked, cost, adaptation."""
        test = files(recoder, self.test[0], self.work and self.work / f"test-{name}.npz")
        truth, kept = self.test[1], test.kept
        line: dict[str, Any] = {
            "same": share(answers(self.model, test.images)[kept], self.clean[kept]),
            "withheld": round(float((~kept).float().mean()), 4),
            "forwards": round(test.seconds / self.forward, 1),
            "rival": share(answers(self.rival, test.images)[kept], truth[kept]),
        }
        for quality in QUALITIES:
            coded = Jpeg(quality).real(test.images, 1.0)
            line[f"jpeg {quality}"] = share(answers(self.model, coded)[kept], self.clean[kept])
        if not len(self.train[0]):
            return line
        train = files(recoder, self.train[0], self.work and self.work / f"train-{name}.npz")
        normalise, taught = self.rival.canvas.normalise, train.kept
        learnt = learn(
            fresh(self.rival), normalise(train.images[taught]), self.train[1][taught], course,
            reader(normalise(test.images[kept]), truth[kept]),
            self.work and self.work / f"{name}.pt",
        )  # fmt: skip
        return {**line, "adapted": learnt.best, "adapted, last": learnt.curve[-1][2]}


def scene(assets: Path, work: Path | None, *, train: int = 3000, test: int = 1000) -> Scene:
    """Everything a measurement works with."""
    torch.set_num_threads(1)
    model, key, rival = models(assets)
    judged = tests(assets, test)
    clean = answers(model, judged[0])
    return Scene(
        model=model, rival=rival, key=key, test=judged, clean=clean, work=work,
        train=lessons(assets, train) if train else (judged[0][:0], judged[1][:0]),
        forward=forward_seconds(model, judged[0]),
    )  # fmt: skip


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--radii", nargs="+", default=["auto", "16", "4", "8", "32", "255"])
    ask.add_argument("--train", type=int, default=3000)
    ask.add_argument("--test", type=int, default=1000)
    ask.add_argument("--steps", type=int, default=60)
    ask.add_argument("--margin", type=float, default=0.5)
    ask.add_argument("--plot", type=Path)
    given = ask.parse_args()
    lines = Lines(given.work / "dial.jsonl")
    if not all(lines.has(radius=text) for text in given.radii):
        place = scene(given.assets, given.work, train=given.train, test=given.test)
        for text in given.radii:
            if not lines.has(radius=text):
                recoder = DeepRecoder(
                    place.model, place.key, radius=text if text == "auto" else float(text),
                    steps=given.steps, margin=given.margin, chunk=100,
                )  # fmt: skip
                lines.add({"radius": text, **place.measure(text, recoder)})
    if given.plot is not None:
        plot([line for line in lines if line["radius"] in given.radii], given.plot)


def plot(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """Shares and cost against the radius: fixed balls in order, auto at the left."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = sorted(lines, key=lambda v: -1.0 if v["radius"] == "auto" else float(v["radius"]))
    names = ["auto" if row["radius"] == "auto" else f"{float(row['radius']):g}" for row in rows]
    places = range(len(rows))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for field, label in (
        ("same", "authorized, same answers"), ("withheld", "withheld"),
        ("adapted", "ResNet-32 fine-tuned on 3,000 files"), ("rival", "ResNet-32 as it is"),
    ):  # fmt: skip
        left.plot(places, [row.get(field, math.nan) for row in rows], marker="o", label=label)
    for quality in QUALITIES:
        right.plot(
            places,
            [row[f"jpeg {quality}"] for row in rows],
            marker="o",
            label=f"same answers after JPEG {quality}",
        )
    for axis in (left, right):
        axis.axhline(0.1, color="grey", linestyle=":", label="chance")
        axis.set_xticks(list(places), names)
        axis.set(xlabel="radius, 255ths", ylabel="share", ylim=(-0.02, 1.05))
    cost = right.twinx()
    cost.plot(places, [row["forwards"] for row in rows], "k--", label="cost")
    most = max(row["forwards"] for row in rows)
    cost.set(ylabel="forward passes an image (dashed)", ylim=(0, 10 * math.ceil(most / 10)))
    left.legend(loc="upper left", bbox_to_anchor=(0.0, 0.93), fontsize=8)
    right.legend(loc="upper left", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
