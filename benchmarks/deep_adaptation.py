"""Fine-tuning on labelled deep files: how many, how fast a rate, how long, from where, which family.

ResNet-20 authorized on CIFAR-10. Rivals: ResNet-32, and a plain convolutional net trained here on the
clean training pictures. Prints a line of the files themselves, then a line a run of learning: its best and its
last score, epochs run, training loss.
"""

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from benchmarks.frame import ASSETS, WORK, Assets, Work
from benchmarks.learning import Course, Fronted, fresh, learn, plain, reader, scratch
from benchmarks.lines import Lines
from benchmarks.thumbnails import WAYS, answers, files, lessons, made_as, models, share, tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of learning from `count` labelled files."""

    rival: str
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


def sweep() -> list[Cell]:
    """The whole plan; what matters most comes first."""
    pre, vgg = "ResNet-32", "plain"
    return [
        Cell(rival=pre, count=3000, course=Course(rate=0.03, epochs=30)),
        Cell(rival=vgg, count=3000, course=Course(rate=0.03, epochs=30)),
        Cell(rival=pre, count=1000, course=Course(rate=0.01, epochs=20)),
        Cell(rival=vgg, count=3000, course=Course(rate=0.1, epochs=30)),
        Cell(rival=vgg, count=10_000, course=Course(rate=0.03, epochs=10)),
        Cell(rival=vgg, count=1000, course=Course(rate=0.03, epochs=30)),
        Cell(rival=vgg, count=3000, course=Course(rate=0.003, epochs=16, optimiser="adamw")),
        Cell(rival=pre, count=10_000, course=Course(rate=0.01, epochs=6)),
        Cell(rival=pre, count=10_000, course=Course(rate=0.03, epochs=14)),
        Cell(rival=pre, count=3000, course=Course(rate=0.1, epochs=16)),
        Cell(rival=pre, count=3000, course=Course(rate=0.03, epochs=12), begins="front"),
        Cell(rival=pre, count=3000, course=Course(rate=0.1, epochs=24), begins="scratch"),
        Cell(rival=pre, count=3000, course=Course(rate=0.01, epochs=24), begins="scratch"),
        Cell(rival=pre, count=3000, course=Course(rate=0.03, epochs=16), begins="front, free net"),
        Cell(rival=vgg, count=3000, course=Course(rate=0.03, epochs=30), begins="scratch"),
        Cell(rival=pre, count=3000, course=Course(rate=0.03, epochs=20, augment=True)),
        Cell(rival=pre, count=1000, course=Course(rate=0.1, epochs=20)),
        Cell(rival=pre, count=3000, course=Course(rate=0.001, epochs=15, optimiser="adamw")),
    ]


def deep_adaptation(
    test: Annotated[int, typer.Option(help="Files to judge by.")] = 1000,
    cells: Annotated[int, typer.Option(help="Runs of learning, the first ones.")] = len(sweep()),
    most: Annotated[int, typer.Option(help="Leave runs on more files out.")] = 10_000,
    way: Annotated[
        str, typer.Option(help=f"How the files are made: {', '.join(WAYS)}.")
    ] = "as it is",
    assets: Assets = ASSETS,
    work: Work = WORK,
) -> None:
    home = work if way == "as it is" else work / way.replace(" ", "-")
    home.mkdir(parents=True, exist_ok=True)
    model, key, other = models(assets)
    normalise = other.canvas.normalise
    recoder = made_as(way, model, key)
    pictures, truth = tests(assets, test)
    judged = files(recoder, pictures, home / "test.npz")
    clean = answers(model, pictures)
    lines = Lines(home / "adaptation.jsonl")
    score = reader(normalise(judged.images), truth)
    if not lines.has(what="files"):
        net = plain(assets, work, normalise).eval()
        lines.add({
            "what": "files", "way": way, "count": test, "authorized, clean": share(clean, truth),
            "same answers": share(answers(model, judged.images), clean),
            "withheld": int((~judged.kept).sum()),
            "ResNet-32, clean": share(answers(other, pictures), truth),
            "ResNet-32, as is": share(answers(other, judged.images), truth),
            "plain, clean": reader(normalise(pictures), truth)(net), "plain, as is": score(net),
        })  # fmt: skip
    train, labels = lessons(assets, 10_000)
    for cell in sweep()[:cells]:
        if cell.count > most or lines.has(**cell.line):
            continue
        got = files(recoder, train[: cell.count], home / "train.npz")
        net = fresh(other) if cell.rival == "ResNet-32" else plain(assets, work, normalise)
        if cell.begins == "scratch":
            net = scratch(net)
        elif cell.begins != "pretrained":
            net = Fronted(net, free=cell.begins != "front")
        begun = time.time()
        learnt = learn(net, normalise(got.images), labels[: cell.count], cell.course, score)
        lines.add({
            **cell.line, "best": learnt.best, "last": learnt.curve[-1][2], "ran": learnt.curve[-1][0],
            "loss": learnt.curve[-1][1], "minutes": (time.time() - begun) / 60,
        })  # fmt: skip
