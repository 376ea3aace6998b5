"""Ideas against learning from deep files, and for keeping rivals out: recoders by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catch11 import DeepRecoder, Key
from catch11.crypto.stream import KeyedStream
from catch11.models.frame import Model
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


def known_ideas(
    model: Model, key: Key, *, decoys: Tensor, plain: Callable[[], nn.Module]
) -> Mapping[str, Callable[[], DeepRecoder]]:
    """Each is built when it is measured. plain: a net of another family."""

    def deep(**settings: object) -> Callable[[], DeepRecoder]:
        return lambda: DeepRecoder(model, key, chunk=100, **settings)  # type: ignore[arg-type]

    def asking(kind: type[Question], **settings: object) -> Callable[[], DeepRecoder]:
        recoder = type(kind.__name__, (Asking,), {"question": kind})
        return lambda: recoder(model, key, chunk=100, **settings)

    def against(**settings: object) -> Callable[[], DeepRecoder]:
        return lambda: deep(against=(plain(),), **settings)()

    jpeg, low = survival("jpeg:75"), survival("jpeg:50")
    return {
        "as it is": deep(),
        "decoys": deep(start=decoys, look="decoy"),
        "covered decoys": deep(start=decoys),
        "stage pushed to another picture": asking(Pushed, at=f"logits,{STAGE}"),
        "second class drawn": asking(Softened),
        "margin 2": deep(margin=2.0),
        "jpeg:75": deep(survive=jpeg),
        "jpeg:50": deep(survive=low),
        "jpeg:50 against a plain net": against(survive=low),
        "jpeg:50 margin 0.1": deep(survive=low, margin=0.1),
    }
