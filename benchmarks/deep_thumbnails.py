"""Deep files of thumbnails: what they cost, who reads them, also after JPEG, and who learns to.

ResNet-20 authorized on CIFAR-10. Files are made within a radius, in a way that survives JPEG (--way), or by an idea
against learning or for keeping rivals out (--idea). Prints a line of each kind of files, with the share withheld and forward
passes an image; a line a form and reader, the files as PNG and after JPEG 90, 75 and 50: accuracy, and how often it answers as
ResNet-20 does of clean pictures; a line a run of learning, its best and last score, epochs run and training loss:
ResNet-32 fine-tuned on labelled files, or, with --sweep, it and a plain convolutional net trained here, from so many files, at
such rates, so long, from where. Withheld files are left out.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from benchmarks.frame import ASSETS, WORK, Assets, Work, among
from benchmarks.ideas import known_ideas
from benchmarks.learning import Course, Fronted, Score, fresh, learn, plain, reader, scratch
from benchmarks.lines import Lines, right
from benchmarks.thumbnails import (
    WAYS,
    Files,
    answers,
    files,
    forward_seconds,
    lessons,
    made_as,
    models,
    share,
    tests,
)  # fmt: skip
from catch11 import DeepRecoder
from catch11.errors import InvalidArgument
from catch11.lab import needed
from catch11.recoding.choose import radius_of
from catch11.recoding.codecs import Jpeg
from catch11.studies.nets.twin import Schooling
from catch11.studies.nets.twin import twin as trained_anew
from catch11.studies.place import Place

QUALITIES = (90, 75, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of learning from `count` labelled files."""

    rival: str = "ResNet-32"
    count: int
    course: Course
    begins: str = "pretrained"

    @property
    def line(self) -> dict[str, object]:
        course = self.course
        return {
            "rival": self.rival, "files": self.count, "from": self.begins, "rule": course.optimiser,
            "rate": course.rate, "epochs": course.epochs, "moved": course.augment,
        }  # fmt: skip


# The whole plan; what matters most comes first.
SWEEP = (
    Cell(count=3000, course=Course(rate=0.03, epochs=30)),
    Cell(rival="plain", count=3000, course=Course(rate=0.03, epochs=30)),
    Cell(count=1000, course=Course(rate=0.01, epochs=20)),
    Cell(rival="plain", count=3000, course=Course(rate=0.1, epochs=30)),
    Cell(rival="plain", count=10_000, course=Course(rate=0.03, epochs=10)),
    Cell(rival="plain", count=1000, course=Course(rate=0.03, epochs=30)),
    Cell(rival="plain", count=3000, course=Course(rate=0.003, epochs=16, optimiser="adamw")),
    Cell(count=10_000, course=Course(rate=0.01, epochs=6)),
    Cell(count=10_000, course=Course(rate=0.03, epochs=14)),
    Cell(count=3000, course=Course(rate=0.1, epochs=16)),
    Cell(count=3000, course=Course(rate=0.03, epochs=12), begins="front"),
    Cell(count=3000, course=Course(rate=0.1, epochs=24), begins="scratch"),
    Cell(count=3000, course=Course(rate=0.01, epochs=24), begins="scratch"),
    Cell(count=3000, course=Course(rate=0.03, epochs=16), begins="front, free net"),
    Cell(rival="plain", count=3000, course=Course(rate=0.03, epochs=30), begins="scratch"),
    Cell(count=3000, course=Course(rate=0.03, epochs=20, augment=True)),
    Cell(count=1000, course=Course(rate=0.1, epochs=20)),
    Cell(count=3000, course=Course(rate=0.001, epochs=15, optimiser="adamw")),
)


def deep_thumbnails(
    radius: Annotated[list[str], typer.Option(help="auto, or 255ths; repeatable.")] = ["auto", "16", "4", "8", "32", "255"],
    way: Annotated[list[str], typer.Option(callback=among(WAYS), help=f"Instead of radii: {', '.join(WAYS)}; repeatable.")] = [],
    idea: Annotated[list[str], typer.Option(help="Instead of radii: an idea by name, or all; repeatable.")] = [],
    steps: Annotated[int, typer.Option(help="Of the search within a radius, at most.")] = 60,
    margin: Annotated[float, typer.Option(help="By which the answer leads, within a radius.")] = 0.5,
    test: Annotated[int, typer.Option(help="Files to judge by.")] = 1000,
    train: Annotated[int, typer.Option(help="Files to learn from; 0 for no learning; the most with --sweep.")] = 3000,
    sweep: Annotated[int, typer.Option(help="Learn so many times, the first of 18 plans, not once.")] = 0,
    twin: Annotated[int, typer.Option(help="Ask a twin of so many epochs and the plain net too.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the lines of the radii there.")] = None,
    assets: Assets = ASSETS,
    work: Work = WORK,
) -> None:  # fmt: skip
    limits = {text: radius_of(text) for text in radius}
    scene = Scene(assets, work, test, train)
    ball: Any = partial(DeepRecoder, scene.model, scene.key, steps=steps, margin=margin, chunk=100)
    recoders: dict[str, Callable[[], DeepRecoder]]
    kind, recoders = "radius", {text: partial(ball, radius=r) for text, r in limits.items()}
    if way:
        kind, recoders = "way", {one: partial(made_as, one, scene.model, scene.key) for one in way}
    if idea:
        kind, recoders = "idea", scene.ideas(idea)
    readers = scene.readers(plain=bool(twin or sweep), twin=twin)
    for name, build in recoders.items():
        scene.measure(kind, name, build(), readers, sweep)
    if plot is not None:
        draw([one for one in scene.lines.held if one["test"] == test], radius, train, plot)


class Scene:
    """ResNet-20 authorized and ResNet-32 the rival, pictures to judge by and to learn from."""

    def __init__(self, assets: Path, work: Path, test: int, train: int) -> None:
        self.assets, self.work = assets, work
        self.model, self.key, self.other = models(assets)
        self.pictures, self.truth = tests(assets, test)
        self.clean = answers(self.model, self.pictures)
        self.forward = forward_seconds(self.model, self.pictures)
        nothing = self.pictures[:0], self.truth[:0]
        self.taught, self.labels = lessons(assets, train) if train else nothing
        self.normalise = self.other.canvas.normalise
        self.lines = Lines(work / "thumbnails.jsonl")

    def plain(self) -> nn.Module:
        return plain(self.assets, self.work, self.normalise)

    def ideas(self, names: list[str]) -> dict[str, Callable[[], DeepRecoder]]:
        net = lambda: self.plain().eval().requires_grad_(False)  # noqa: E731
        known = known_ideas(self.model, self.key, decoys=self.taught[-100:], plain=net)
        if unknown := set(names) - {*known, "all"}:
            raise InvalidArgument("idea", expected=f"all, {', '.join(known)}", found=min(unknown))
        return {name: build for name, build in known.items() if {name, "all"} & set(names)}

    def readers(self, *, plain: bool, twin: int) -> dict[str, nn.Module]:
        assert self.model.module is not None
        assert self.other.module is not None
        found = {"ResNet-20": self.model.module, "ResNet-32": self.other.module}
        if plain:
            found["plain"] = self.plain().eval()
        if twin:
            place, schooling = Place(assets=self.assets), Schooling(epochs=twin)
            found["twin"] = trained_anew(place, "resnet20", schooling, keep=True)
        return found

    def measure(
        self, kind: str, name: str, recoder: DeepRecoder, readers: dict[str, nn.Module], sweep: int
    ) -> None:
        """The lines of one kind of files."""
        cell = {kind: name, "test": len(self.pictures)}
        file = f"{kind}-{name}.pt".replace(" ", "-")
        made = files(recoder, self.pictures, self.work / f"test-{file}")
        kept = made.kept
        if not self.lines.has(**cell, what="files"):
            self.lines.add({
                **cell, "what": "files", "withheld": float((~kept).float().mean()),
                "forwards": made.seconds / self.forward, "margin": recoder.margin,
            })  # fmt: skip
        forms = {"clean": self.pictures, "png": made.images}
        forms |= {f"jpeg {quality}": Jpeg(quality).real(made.images, 1.0) for quality in QUALITIES}
        for form, seen in forms.items():
            for who, network in readers.items():
                if self.lines.has(**cell, form=form, reader=who):
                    continue
                with torch.no_grad():
                    told = torch.cat(
                        [network(self.normalise(v)).argmax(1) for v in seen.split(200)]
                    )
                self.lines.add({
                    **cell, "form": form, "reader": who, **right((told == self.truth)[kept]),
                    "as authorized": share(told[kept], self.clean[kept]),
                })  # fmt: skip
        score = reader(self.normalise(made.images[kept]), self.truth[kept])
        train = len(self.taught)
        for plan in SWEEP[:sweep] or (Cell(count=train, course=Course(rate=0.01, epochs=4)),):
            if 0 < plan.count <= train and not self.lines.has(**cell, **plan.line):
                got = files(recoder, self.taught[: plan.count], self.work / f"train-{file}")
                self.lines.add({**cell, **plan.line, **self.adapted(plan, got, score)})

    def adapted(self, plan: Cell, got: Files, score: Score) -> dict[str, float]:
        """What a rival comes to that learns from files."""
        rival = fresh(self.other) if plan.rival == "ResNet-32" else self.plain()
        if plan.begins == "scratch":
            rival = scratch(rival)
        elif plan.begins != "pretrained":
            rival = Fronted(rival, free=plan.begins != "front")
        begun, labels = time.time(), self.labels[: plan.count][got.kept]
        learnt = learn(rival, self.normalise(got.images[got.kept]), labels, plan.course, score)
        ran, loss, last = learnt.curve[-1]
        minutes = (time.time() - begun) / 60
        return {"best": learnt.best, "last": last, "ran": ran, "loss": loss, "minutes": minutes}


def draw(lines: Sequence[Mapping[str, Any]], radii: Sequence[str], train: int, path: Path) -> None:
    """Shares and cost against the radius: fixed balls in order, auto at the left."""
    radii = sorted(radii, key=lambda text: -1.0 if text == "auto" else float(text))
    places = range(len(radii))

    def values(field: str, **wanted: object) -> list[float]:
        """Of the lines of what is wanted, one a radius."""
        return [
            next((one[field] for one in lines if {"radius": text, **wanted}.items() <= one.items()), math.nan)
            for text in radii
        ]  # fmt: skip

    figure = needed("matplotlib.figure").Figure(figsize=(11, 4), layout="tight")
    left, right = figure.subplots(1, 2)
    for label, shares in {
        "authorized, same answers": values("as authorized", reader="ResNet-20", form="png"),
        "withheld": values("withheld", what="files"),
        f"ResNet-32 fine-tuned on {train:,} files": values("best", files=train, epochs=4),
        "ResNet-32 as it is": values("accuracy", reader="ResNet-32", form="png"),
    }.items():
        left.plot(places, shares, marker="o", label=label)
    for quality in QUALITIES:
        shares = values("as authorized", reader="ResNet-20", form=f"jpeg {quality}")
        right.plot(places, shares, marker="o", label=f"same answers after JPEG {quality}")
    for axis in (left, right):
        axis.axhline(0.1, color="grey", linestyle=":", label="chance")
        axis.set_xticks(list(places), radii)
        axis.set(xlabel="radius, 255ths", ylabel="share", ylim=(-0.02, 1.05))
    forwards = values("forwards", what="files")
    cost = right.twinx()
    cost.plot(places, forwards, "k--", label="cost")
    most = 10 * math.ceil(max(forwards) / 10)
    cost.set(ylabel="forward passes an image (dashed)", ylim=(0, most))
    left.legend(loc="upper left", bbox_to_anchor=(0.0, 0.93), fontsize=8)
    right.legend(loc="upper left", fontsize=8)
    figure.savefig(path, dpi=120)
