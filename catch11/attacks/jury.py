"""Judging restored items by what rivals predict on them: the labels, or their own clean prediction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.attacks.frame import Attempt, Items, Jury, Windows
from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, psnr
from catch11.data.windows import as_sources
from catch11.errors import InvalidArgument
from catch11.evaluation.classes import same_classes
from catch11.evaluation.metrics import auc, balanced, ssim
from catch11.evaluation.score import Measured, share_of
from catch11.models.frame import Model

Quality = Callable[[Items, Items], tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassJury(Jury):
    """rivals: by name. truth: class of each released item, by rival. metric: by rival; accuracy where
    it is not stated. predict: a rival's classes of items. released: the items as they are; clean: what
    they were before, where the owner runs the attack. compare: restored and clean items to mean PSNR
    and SSIM. batch: items that are answered at a time."""

    rivals: Mapping[str, Any]
    truth: Mapping[str, Int[Tensor, " batch"]]
    predict: Callable[[Any, Items], Int[Tensor, " batch"]]
    released: Items
    clean: Items | None = None
    metric: Mapping[str, str] = field(default_factory=dict)
    compare: Quality | None = None
    batch: int = 32

    def answers(self, rival: Any, items: Items) -> Int[Tensor, " batch"]:
        """The rival's classes of items, through its own pipeline."""
        return torch.cat([self.predict(rival, part) for part in items.split(self.batch)])

    def classified(self, attempt: Attempt) -> Float[Tensor, "batch classes"]:
        """Logits of the attempt's own classifier on the items that it is judged on."""
        if attempt.logits is not None:
            return attempt.logits
        assert attempt.classify is not None
        items = self.clean if attempt.on == "clean" else self.released
        if items is None:
            raise InvalidArgument("source", expected="the clean pictures", found="none")
        with torch.no_grad():
            return torch.cat([attempt.classify(part) for part in items.split(self.batch)])

    def hits(self, name: str, attempt: Attempt) -> tuple[bool, ...]:
        """Whether the named rival, on this attempt, answers each item rightly."""
        if attempt.restored is not None:
            given = self.answers(self.rivals[name], attempt.restored)
        else:
            given = self.classified(attempt).argmax(1)
        return tuple(bool(hit) for hit in (given == self.truth[name]).tolist())

    def measures(self, name: str, attempt: Attempt) -> tuple[Measured, ...]:
        """The share of hits; of what a detector says of released and of public items, the area under
        the curve."""
        if attempt.read is not None:
            released, public = attempt.read
            return (Measured(metric="auc", value=auc(released, public), n=len(released)),)
        return (share_of(self.metric.get(name, "accuracy"), self.hits(name, attempt)),)

    def held(self) -> tuple[object, ...]:
        facts = [(name, self.metric.get(name, ""), right) for name, right in self.truth.items()]
        return self.released, self.clean, facts

    def quality(self, attempt: Attempt) -> tuple[float | None, float | None]:
        if attempt.restored is None or self.clean is None or self.compare is None:
            return None, None
        return self.compare(attempt.restored, self.clean)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuestionJury(ClassJury):
    """Judges answers no (0) or yes (1) by how they rank the items: rivals have two classes, and `score`
    gives their logits of items."""

    score: Callable[[Any, Items], Float[Tensor, "batch 2"]]

    def measures(self, name: str, attempt: Attempt) -> tuple[Measured, ...]:
        """The area under the curve, which decides, and balanced accuracy."""
        if attempt.read is not None:
            return super(QuestionJury, self).measures(name, attempt)
        if attempt.restored is not None:
            parts = attempt.restored.split(self.batch)
            logits = torch.cat([self.score(self.rivals[name], part) for part in parts])
        else:
            logits = self.classified(attempt)
        odds, yes = (logits[:, 1] - logits[:, 0]).double(), self.truth[name].bool()
        both = auc(odds[yes], odds[~yes]), balanced(odds, yes.tolist())
        names = ("auc", "balanced accuracy")
        return tuple(
            Measured(metric=one, value=value, n=len(yes))
            for one, value in zip(names, both, strict=True)
        )


def truths(
    models: Mapping[str, Any],
    labels: Int[Tensor, " batch"] | None,
    own: Callable[[Any], Int[Tensor, " batch"]] | None,
) -> tuple[dict[str, Int[Tensor, " batch"]], dict[str, str]]:
    """The truth and the metric by model: labels where they apply, which are classes of the first, else
    a model's own predictions on the clean items. Raises InvalidArgument where there is neither."""
    truth, metric = {}, {}
    first = next(iter(models.values()))
    for name, one in models.items():
        classes = same_classes(first.labels, one.labels)
        if labels is not None and classes is not None:
            truth[name], metric[name] = torch.tensor(classes)[labels], "accuracy"
        elif own is not None:
            truth[name], metric[name] = own(one), "agreement"
        else:
            expected = "labels or a source to judge answers by"
            raise InvalidArgument("labels", expected=expected, found="neither")
    return truth, metric


def window_jury(
    canvas: Canvas,
    *,
    rivals: Mapping[str, Model],
    truth: Mapping[str, Int[Tensor, " batch"]],
    released: Windows,
    clean: Windows | None = None,
    metric: Mapping[str, str] | None = None,
) -> ClassJury:
    """Judges windows: each as an 8-bit picture, or a clip, through a rival's own pipeline."""

    def predict(rival: Model, windows: Windows) -> Int[Tensor, " batch"]:
        return rival.answers(rival.preprocess(as_sources(windows, canvas)))

    grid = GRIDS["wav16" if canvas.sound else "png8"]
    return ClassJury(
        rivals=rivals,
        truth=truth,
        predict=predict,
        released=released,
        clean=clean,
        metric=metric or {},
        compare=lambda windows, wanted: alike(grid.round(windows.clamp(0, 1)), wanted),
    )


def alike(windows: Windows, clean: Windows) -> tuple[float, float | None]:
    """Mean PSNR, at most 100 dB a window, and mean SSIM where the windows are large enough for it."""
    decibels = psnr(windows, clean).clamp(max=100.0)  # an exact restoration is infinite
    small = min(windows.shape[-2:]) < 11
    return float(decibels.mean()), None if small else float(ssim(clean, windows).mean())
