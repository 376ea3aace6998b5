"""Fine-tuning on labelled deep files: how many, how fast a rate, how long, from where, which family.

ResNet-20 authorized on CIFAR-10. Rivals: ResNet-32, and a plain convolutional net trained here on the
clean training pictures. A cell is one run of learning; JSON lines, kept in WORK, where a second run
goes on. From the project's root:

    python benchmarks/deep_adaptation.py ASSETS --work WORK [--way least]
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from cifar import (
    WAYS,
    Course,
    Fronted,
    Lines,
    Vgg,
    answers,
    files,
    fresh,
    learn,
    lessons,
    made_as,
    models,
    reader,
    scratch,
    share,
    tests,
)  # fmt: skip
from torch import nn


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


def plain(assets: Path, work: Path, normalise: object) -> nn.Module:
    """The net of another family, trained on the clean training pictures once."""
    net, held = Vgg(), work / "plain.pt"
    if held.exists():
        net.load_state_dict(torch.load(held, weights_only=True))
        return net
    torch.manual_seed(0)
    net = scratch(Vgg())
    images, labels = lessons(assets, 10_000)
    course = Course(rate=0.1, epochs=15, augment=True, low=0.0)
    learn(net, normalise(images), labels, course, lambda _: 0.0)  # type: ignore[operator]
    torch.save(net.state_dict(), held)
    return net


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--test", type=int, default=1000)
    ask.add_argument("--cells", type=int, default=len(sweep()))
    ask.add_argument("--most", type=int, default=10_000, help="Leave cells with more files out.")
    ask.add_argument("--way", choices=WAYS, default="as it is", help="How the files are made.")
    given = ask.parse_args()
    torch.set_num_threads(1)
    home = given.work if given.way == "as it is" else given.work / given.way.replace(" ", "-")
    home.mkdir(parents=True, exist_ok=True)
    model, key, other = models(given.assets)
    normalise = other.canvas.normalise
    recoder = made_as(given.way, model, key)
    test, truth = tests(given.assets, given.test)
    judged = files(recoder, test, home / "test.npz")
    clean = answers(model, test)
    lines = Lines(home / "adaptation.jsonl")
    score = reader(normalise(judged.images), truth)
    if not lines.has(what="files"):
        net = plain(given.assets, given.work, normalise)
        own = reader(normalise(test), truth)
        lines.add({
            "what": "files", "way": given.way, "count": given.test, "authorized, clean": share(clean, truth),
            "same answers": share(answers(model, judged.images), clean),
            "withheld": int((~judged.kept).sum()),
            "ResNet-32, clean": share(answers(other, test), truth),
            "ResNet-32, as is": share(answers(other, judged.images), truth),
            "plain, clean": own(net.eval()), "plain, as is": score(net),
        })  # fmt: skip
    train, labels = lessons(given.assets, 10_000)
    for cell in sweep()[: given.cells]:
        if cell.count > given.most or lines.has(**cell.line):
            continue
        got = files(recoder, train[: cell.count], home / "train.npz")
        net = (
            fresh(other)
            if cell.rival == "ResNet-32"
            else plain(given.assets, given.work, normalise)
        )
        if cell.begins != "pretrained":
            net = (
                scratch(net)
                if cell.begins == "scratch"
                else Fronted(net, free=cell.begins != "front")
            )
        begun = time.time()
        state = home / ("-".join(str(v) for v in cell.line.values()) + ".pt")
        learnt = learn(net, normalise(got.images), labels[: cell.count], cell.course, score, state)
        lines.add({
            **cell.line, "best": learnt.best, "last": learnt.curve[-1][2], "ran": learnt.curve[-1][0],
            "loss": learnt.curve[-1][1], "minutes": round((time.time() - begun) / 60, 2),
        })  # fmt: skip


if __name__ == "__main__":
    main()
