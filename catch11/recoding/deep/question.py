"""What a deep search asks of a point: every authorized model, on the file and on what becomes of it;
and, where asked, that models which shall not read it answer a class that the key draws."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.crypto.stream import KeyedStream
from catch11.recoding.deep.agreement import Agreement, lead
from catch11.recoding.deep.target import Precision, Reading, Target

# Where only inner maps are matched the answer still pulls a little: it is what stops the search.
ANSWER_BESIDE_MAPS = 0.1
# Who asks for one severity means the milder ones too.
JUDGED = (0.25, 0.5, 0.75, 1.0)


@runtime_checkable
class Change(Protocol):
    """Something that happens to a file on its way: a codec, a resize, a crop, a blur. Nothing here
    knows one; they are handed in from above (`catch11.recoding.codecs`)."""

    @property
    def name(self) -> str:
        """As it is written, for instance jpeg:75."""
        ...

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Whole pictures in [0, 1] after it, differentiable; severity from 0 (none) to 1 (in full)."""
        ...

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """Whole pictures after the real thing, 8-bit where it writes 8 bits; same shape."""
        ...


class Question:
    """The objective of one chunk of windows; see `descent.Objective`.

    canvas: places windows in whole pictures, on which changes act. streams: one a window; each draws
    how severe the soft changes are at each step. against: models that are led to a class drawn from
    the stream, the same whatever the picture shows. precision: of the gradients; what counts is
    judged in float32. exact: every step looks at the real changes, at the severity asked for alone,
    and descends the one that fails most; soft ones lend their gradient. smooth: what is descended is
    squared, as second-order steps need it.
    """

    def __init__(
        self,
        windows: Float[Tensor, "batch channel height width"],
        streams: Sequence[KeyedStream],
        *,
        targets: Sequence[Target],
        agreement: Agreement,
        survive: Sequence[Change],
        canvas: Canvas,
        against: Sequence[Target] = (),
        precision: Precision = "float32",
        exact: bool = False,
        smooth: bool = False,
    ) -> None:
        self._streams, self._targets, self._survive = streams, targets, survive
        self._exact, self._severities = exact, JUDGED[-1:] if exact else JUDGED
        self._smooth = smooth
        self._agreement, self._canvas = agreement, canvas
        self._precision: Precision = precision
        with torch.no_grad():
            self._clean = [target.clean(windows) for target in targets]
            self._against = [
                (target, _drawn(target.read(windows[:1]), streams)) for target in against
            ]

    def gap(
        self, points: Float[Tensor, "some channel height width"], rows: Int[Tensor, " some"]
    ) -> tuple[Float[Tensor, " some"], Float[Tensor, " some"]]:
        """The least gap over models and softened changes, and the sum of their pulls.

        Each change is descended by itself, so that one graph is held at a time; the sum comes back
        as a plane of the same slope.
        """
        if not self._survive:
            return self._ask(points, rows, self._precision)
        if self._exact:
            return self._worst(points, rows)
        gap, slope = self._slope(points, points, rows)
        for change in self._survive:
            drawn = [float(self._streams[row].uniform((1,))[0]) for row in rows.tolist()]
            # The square root favours the severe end, which decides.
            severity = torch.tensor(drawn, device=points.device).sqrt()
            changed = self._changed(points, change.soft, severity)
            its_gap, its_slope = self._slope(points, changed, rows)
            gap, slope = torch.minimum(gap, its_gap), slope + its_slope
        return gap, (points * slope).flatten(1).sum(1)

    def confirm(
        self,
        points: Float[Tensor, "some channel height width"],
        rows: Int[Tensor, " some"],
        gap: Float[Tensor, " some"],
    ) -> Float[Tensor, " some"]:
        """The least gap over the file itself and the real changes."""
        with torch.no_grad():
            if self._precision != "float32":
                gap = self._ask(points, rows)[0]
            for change, severity in product(self._survive, self._severities):
                changed = self._changed(points, change.real, severity)
                gap = torch.minimum(gap, self._ask(changed, rows)[0])
        return gap

    def _worst(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The least gap over the file and the real changes of it, and the pull where it is least."""
        with torch.no_grad():
            seen = torch.stack(
                [points, *(self._changed(points, v.real, 1.0) for v in self._survive)]
            )
            gap, worst = torch.stack([self._ask(one, rows)[0] for one in seen]).min(0)
        slope = torch.zeros_like(points)
        for place in worst.unique().tolist():
            some = worst == place
            mine = points[some].detach().requires_grad_(True)
            through = mine
            if place:
                full = torch.ones(len(mine), device=mine.device)
                soft = self._changed(mine, self._survive[place - 1].soft, full)
                through = soft + (seen[place][some] - soft).detach()
            slope[some] = self._slope(mine, through, rows[some])[1]
        return gap, (points * slope).flatten(1).sum(1)

    def _slope(self, points: Tensor, seen: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The gap of what is seen, and how its pull slopes at the points."""
        gap, pull = self._ask(seen, rows, self._precision)
        (slope,) = torch.autograd.grad(pull.sum(), points)
        return gap.detach(), slope

    def _ask(
        self, points: Tensor, rows: Tensor, precision: Precision = "float32"
    ) -> tuple[Tensor, Tensor]:
        gaps, pulls = [], []
        for target, clean in zip(self._targets, self._clean, strict=True):
            meant = clean.take(rows)
            made = target.read(points, precision=precision, words=meant.words)
            distance = target.distance(made, meant)
            gap, pull = self._judged(made, meant, distance)
            gaps.append(gap)
            pulls.append(
                self._squared(target, made, meant, pull)
                if self._smooth
                else distance + target.at.get("logits", ANSWER_BESIDE_MAPS) * pull
            )
        for target, drawn in self._against:
            logits, led = (
                target.read(points, precision=precision).logits,
                drawn.to(rows.device)[rows],
            )
            gaps.append(lead(logits, led[:, None]))
            pulls.append(F.cross_entropy(logits, led, reduction="none"))
        return torch.stack(gaps).amin(0), torch.stack(pulls).sum(0)

    @staticmethod
    def _squared(target: Target, made: Reading, clean: Reading, pull: Tensor) -> Tensor:
        """Of maps their distance, beside it the answer only where it is asked for: once nothing is left of
        the distance the answer is the clean one, and a pull of its own leads elsewhere first."""
        answer = target.at.get("logits", 0.0) * pull.square()
        return target.distance(made, clean, power=2) + answer

    def _judged(self, made: Reading, clean: Reading, distance: Tensor) -> tuple[Tensor, Tensor]:
        """The gap and pull of the answer: of one in words, the least gap and the sum of the pulls."""
        words, agreement = clean.words, self._agreement
        if words is None:
            gap = agreement.gap(made.logits, clean.logits, distance)
            return gap, agreement.pull(made.logits, clean.logits)
        behind, each = words.to(made.logits.device) < 0, words.shape[1]
        rows, meant = made.logits.flatten(0, 1), clean.logits.flatten(0, 1)
        gap = agreement.gap(rows, meant, distance.repeat_interleave(each)).view(-1, each)
        pull = agreement.pull(rows, meant).view(-1, each)
        return gap.masked_fill(behind, float("inf")).amin(1), pull.masked_fill(behind, 0.0).sum(1)

    def _changed(
        self, points: Tensor, change: Callable[..., Tensor], severity: Tensor | float
    ) -> Tensor:
        """Windows after a change of the whole picture around them."""
        if self._canvas.size == self._canvas.shape:
            return change(points, severity)
        background = points.new_full((len(points), *self._canvas.size), 0.5)
        return self._canvas.window(change(self._canvas.place(points, background), severity))


def _drawn(reading: Reading, streams: Sequence[KeyedStream]) -> Int[Tensor, " batch"]:
    """A class for each file, drawn evenly from its keyed stream."""
    count = reading.logits.shape[1]
    return torch.tensor([int(stream.integers(count, (1,))[0]) for stream in streams])
