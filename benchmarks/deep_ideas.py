"""Ideas against learning from deep files, and for keeping rivals out, each at one rate of learning.

ResNet-20 authorized on CIFAR-10; ResNet-32 as it is and fine-tuned on 3,000 labelled files. JSON lines,
kept in WORK, where a second run goes on:

    python benchmarks/deep_ideas.py ASSETS --work WORK [--ideas NAME …]
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from cifar import Lines
from deep_adaptation import plain
from deep_dial import Scene, scene
from torch import Tensor

from catch11 import DeepRecoder
from catch11.crypto.stream import KeyedStream
from catch11.recoding.codecs import survival
from catch11.recoding.deep.agreement import lead
from catch11.recoding.deep.descent import Descended, descend
from catch11.recoding.deep.question import Question

STAGE = "layer3"


class Pushed(Question):
    """Beside the answer: the last stage is drawn towards that of another picture of the chunk."""

    def gap(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        gap, pull = super().gap(points, rows)
        target, clean = self._targets[0], self._clean[0]
        other = (rows + 1) % len(clean.logits)
        made = target.read(points)
        return gap, pull + target.distance(made, clean.take(other))


class Softened(Question):
    """Cross-entropy on .7 of the kept class and .3 of one that the key draws."""

    def gap(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        clean = self._clean[0].take(rows).logits
        made = self._targets[0].read(points).logits
        classes = clean.shape[1]
        drawn = [int(self._streams[row].integers(classes, (1,))[0]) for row in rows.tolist()]
        kept = clean.argmax(1)
        wanted = 0.7 * F.one_hot(kept, classes) + 0.3 * F.one_hot(torch.tensor(drawn), classes)
        return lead(made, kept[:, None]) - 0.5, F.cross_entropy(made, wanted, reduction="none")


class Asking(DeepRecoder):
    """A deep recoder with a question of another kind."""

    question: ClassVar[type[Question]] = Question

    def search(self, windows: Tensor, streams: Sequence[KeyedStream]) -> Descended:
        pairs = zip(windows, streams, strict=True)
        starts = torch.stack([self.begin.at(self.key, w, s) for w, s in pairs])
        question = self.question(
            windows, streams, targets=self.targets, agreement=self.agreed,
            survive=self.survive, canvas=self.key.canvas,
        )  # fmt: skip
        return descend(starts, question, self.schedule, self.domain.grid)


def ideas(place: Scene, assets: Path, work: Path) -> dict[str, Callable[[], DeepRecoder]]:
    """Recoders by name; each is built when it is measured."""
    model, key = place.model, place.key
    decoys = place.train[0][-100:]

    def deep(**settings: object) -> Callable[[], DeepRecoder]:
        return lambda: DeepRecoder(model, key, chunk=100, **settings)  # type: ignore[arg-type]

    def asking(kind: type[Question], **settings: object) -> Callable[[], DeepRecoder]:
        recoder = type(kind.__name__, (Asking,), {"question": kind})
        return lambda: recoder(model, key, chunk=100, **settings)

    def against(**settings: object) -> Callable[[], DeepRecoder]:
        def build() -> DeepRecoder:
            net = plain(assets, work, place.rival.canvas.normalise).eval().requires_grad_(False)
            return DeepRecoder(model, key, chunk=100, against=(net,), **settings)  # type: ignore[arg-type]

        return build

    jpeg, low, both = survival("jpeg:75"), survival("jpeg:50"), survival("jpeg:50,jpeg:75")
    return {
        "as it is": deep(),
        "against a plain net": against(),
        "decoys": deep(start=decoys, look="decoy"),
        "covered decoys": deep(start=decoys),
        "stage pushed to another picture": asking(Pushed, at=f"logits,{STAGE}"),
        "second class drawn": asking(Softened),
        "margin 2": deep(margin=2.0),
        "margin 0.1": deep(margin=0.1),
        "jpeg:75": deep(survive=jpeg),
        "jpeg:75 against a plain net": against(survive=jpeg),
        "jpeg:75 margin 0.1": deep(survive=jpeg, margin=0.1),
        "jpeg:50": deep(survive=low),
        "jpeg:50 within 8": deep(survive=low, radius=8.0),
        "jpeg:50 against a plain net": against(survive=low),
        "jpeg:50,jpeg:75 against a plain net": against(survive=both),
        "jpeg:50 margin 0.1": deep(survive=low, margin=0.1),
    }


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--ideas", nargs="*")
    ask.add_argument("--train", type=int, default=3000)
    ask.add_argument("--test", type=int, default=1000)
    given = ask.parse_args()
    lines = Lines(given.work / "ideas.jsonl")
    place = scene(given.assets, given.work, train=given.train, test=given.test)
    for name, build in ideas(place, given.assets, given.work).items():
        cell = {"idea": name, "test": given.test, "train": given.train}
        if (given.ideas is None or name in given.ideas) and not lines.has(**cell):
            lines.add({**cell, **place.measure(name.replace(" ", "-"), build())})


if __name__ == "__main__":
    main()
