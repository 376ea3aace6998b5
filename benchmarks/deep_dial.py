"""The radius of the deep recoder: what it costs, who reads the files, who learns to, what JPEG leaves.

ResNet-20 authorized on CIFAR-10, ResNet-32 fine-tuned on labelled files. Prints a line a radius: the share
withheld; of the rest, the same answers, also after JPEG that nobody asked to survive, what ResNet-32 reads as it
is and adapted; forward passes an image. With --idea the same of ideas against learning, and for keeping rivals out.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.frame import ASSETS, WORK, Assets, Work
from benchmarks.ideas import known_ideas
from benchmarks.learning import Course, fresh, learn, plain, reader
from benchmarks.lines import Lines
from benchmarks.thumbnails import (
    answers,
    files,
    forward_seconds,
    lessons,
    models,
    share,
    tests,
)  # fmt: skip
from catch11 import DeepRecoder
from catch11.errors import InvalidArgument
from catch11.lab import needed
from catch11.recoding.choose import radius_of
from catch11.recoding.codecs import Jpeg

QUALITIES = (90, 75, 50)
COURSE = Course(rate=0.01, epochs=4)


def deep_dial(
    radius: Annotated[list[str], typer.Option(help="auto, or 255ths; repeatable.")] = ["auto", "16", "4", "8", "32", "255"],
    idea: Annotated[list[str], typer.Option(help="An idea by name, or all, instead of radii; repeatable.")] = [],
    train: Annotated[int, typer.Option(help="Files to learn from; 0 for no learning.")] = 3000,
    test: Annotated[int, typer.Option(help="Files to judge by.")] = 1000,
    steps: Annotated[int, typer.Option(help="Of the search within a radius, at most.")] = 60,
    margin: Annotated[float, typer.Option(help="By which the answer leads, within a radius.")] = 0.5,
    plot: Annotated[Path | None, typer.Option(help="Draw the lines of the radii there.")] = None,
    assets: Assets = ASSETS,
    work: Work = WORK,
) -> None:  # fmt: skip
    limits = {text: radius_of(text) for text in radius}
    model, key, rival = models(assets)
    pictures, truth = tests(assets, test)
    clean, forward = answers(model, pictures), forward_seconds(model, pictures)
    taught, labels = lessons(assets, train) if train else (pictures[:0], truth[:0])
    normalise = rival.canvas.normalise

    def ball(limit: Any) -> DeepRecoder:
        return DeepRecoder(model, key, radius=limit, steps=steps, margin=margin, chunk=100)

    def measured(name: str, recoder: DeepRecoder) -> dict[str, Any]:
        made = files(recoder, pictures, work / f"test-{name}.npz")
        kept = made.kept
        line: dict[str, Any] = {
            "same": share(answers(model, made.images)[kept], clean[kept]),
            "withheld": float((~kept).float().mean()),
            "forwards": made.seconds / forward,
            "rival": share(answers(rival, made.images)[kept], truth[kept]),
        }
        for quality in QUALITIES:
            coded = Jpeg(quality).real(made.images, 1.0)
            line[f"jpeg {quality}"] = share(answers(model, coded)[kept], clean[kept])
        if not train:
            return line
        shown = files(recoder, taught, work / f"train-{name}.npz")
        learnt = learn(
            fresh(rival), normalise(shown.images[shown.kept]), labels[shown.kept], COURSE,
            reader(normalise(made.images[kept]), truth[kept]),
        )  # fmt: skip
        return {**line, "adapted": learnt.best, "adapted, last": learnt.curve[-1][2]}

    if idea:
        net = lambda: plain(assets, work, normalise).eval().requires_grad_(False)  # noqa: E731
        known = known_ideas(model, key, decoys=taught[-100:], plain=net)
        if unknown := set(idea) - {*known, "all"}:
            raise InvalidArgument("idea", expected=f"all, {', '.join(known)}", found=min(unknown))
        recoders = {name: build for name, build in known.items() if {name, "all"} & set(idea)}
    else:
        recoders = {text: partial(ball, limit) for text, limit in limits.items()}
    lines = Lines(work / "dial.jsonl")
    for name, build in recoders.items():
        cell = {"idea" if idea else "radius": name, "test": test, "train": train}
        if not lines.has(**cell):
            lines.add({**cell, **measured(name.replace(" ", "-"), build())})
    if plot is not None:
        here = {"test": test, "train": train}.items()
        draw(
            [one for one in lines.held if one.get("radius") in radius and here <= one.items()], plot
        )


def draw(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Shares and cost against the radius: fixed balls in order, auto at the left."""
    rows = sorted(lines, key=lambda v: -1.0 if v["radius"] == "auto" else float(v["radius"]))
    names = ["auto" if row["radius"] == "auto" else f"{float(row['radius']):g}" for row in rows]
    places = range(len(rows))
    figure = needed("matplotlib.figure").Figure(figsize=(11, 4), layout="tight")
    left, right = figure.subplots(1, 2)
    for field, label in (
        ("same", "authorized, same answers"), ("withheld", "withheld"),
        ("adapted", "ResNet-32 fine-tuned on 3,000 files"), ("rival", "ResNet-32 as it is"),
    ):  # fmt: skip
        left.plot(places, [row.get(field, math.nan) for row in rows], marker="o", label=label)
    for quality in QUALITIES:
        shares = [row[f"jpeg {quality}"] for row in rows]
        right.plot(places, shares, marker="o", label=f"same answers after JPEG {quality}")
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
    figure.savefig(path, dpi=120)
