"""The deep recoder: a point near keyed noise that the authorized model answers as it answers the input.

Near the start the level set {v : φ(v) = φ(x)} already holds such points, because a network is far
more sensitive to its own directions than to noise. What is printed on the noise is small, differs
from file to file, and means nothing to other weights.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import Format
from catch11.copies.personalize import CopySecret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.deep.agreement import parse_agreement
from catch11.recoding.deep.descent import Descended, Schedule, descend
from catch11.recoding.deep.question import Question
from catch11.recoding.deep.quiet import Quiet, quiet_of
from catch11.recoding.deep.start import FINE, Look, start_of
from catch11.recoding.deep.survival import Change
from catch11.recoding.deep.target import (
    LOGITS,
    Answering,
    Precision,
    Target,
    check_target,
    parse_at,
)
from catch11.recoding.frame import Facts, Recoder

# In 255ths. "auto" opens the ball from the first to the last over the steps, so that an image stops
# in about the smallest ball that holds an answer, and the few stubborn ones still find theirs.
AUTO = (2.0, 16.0)
# Root mean square, in 255ths, of "least": short steps along the gradient, no momentum.
LEAST = (1.0, 8.0)
# Matched maps are met closely by short steps: a third of the distance, and less, at as many steps.
CLOSELY = 3.0


class DeepRecoder(Recoder):
    """Finds for each window a picture near a keyed start that the authorized model answers alike.

    model: the one the key was built from, loaded or as a torch module in evaluation mode. at: what
    is matched: the answer ("logits"), "features", any module by its name, or several with weights
    ("features,layer3*0.5"). radius: largest change of the start in any pixel, in 255ths; "auto" takes
    about the smallest that answers; "least" looks for less still, by short steps (give it 160) that
    the real changes judge one by one, and survives exactly those that are named.
    agreement: top1, topk:K, kl<V or match<V, with `margin` logits to
    spare. start, look: see `recode.start`; psnr: of a faint look, in dB. survive: changes after
    which the answer must still stand.
    also: further authorized models that must agree too. against: models that shall not read the
    files: each is led to a class that the key draws. tag: a client or release name, so that each
    gets files of its own. chunk: images that a step works on together; answers do not depend on it.
    precision: of the gradients; bfloat16 halves the time where the machine has it. copy: see
    `Recoder`. quiet: noise that hides what many files together print; see the method.

    With noise to start from and agreement top1, a file depends on its source through the answer and
    the keyed stream alone. Raises InvalidArgument, KeyMismatch.
    """

    method: ClassVar[str] = "deep"

    def __init__(
        self,
        model: nn.Module | Answering,
        key: Key,
        *,
        at: str | Mapping[str, float] = LOGITS,
        start: Literal["noise", "spectral"] | Tensor = "noise",
        look: Look = "noise",
        psnr: float = 10.0,
        steps: int = 60,
        radius: float | Literal["auto", "least"] = "auto",
        agreement: str = "top1",
        margin: float = 0.5,
        survive: Sequence[Change] = (),
        also: Sequence[nn.Module | Answering] = (),
        against: Sequence[nn.Module | Answering] = (),
        tag: str = "",
        format: Format = "png8",
        chunk: int = 16,
        precision: Precision = "float32",
        copy: CopySecret | None = None,
        quiet: Quiet | None = None,
    ) -> None:
        super().__init__(key, format=format, copy=copy)
        check_target(key, model)
        if chunk < 1:
            raise InvalidArgument("chunk", expected="at least 1", found=chunk)
        self.batch = chunk
        self.at = parse_at(at)
        first = Target(model, key.canvas, self.at)
        self.targets = (first, *_targets("also", also, key))
        self.against = _targets("against", against, key)
        self.agreement = parse_agreement(agreement, margin=margin)
        if self.agreement.kind == "match" and not first.names:
            raise InvalidArgument("agreement", expected="maps to match, named by at", found="none")
        self.radius = radius
        closely = self.agreement.kind == "match"
        self.schedule = schedule_of(steps, radius, fall=CLOSELY if closely else 1.0)
        self.start = start_of(start, look, key, psnr=psnr, quiet=quiet)
        self.survive, self.tag = tuple(survive), tag
        self.precision: Precision = precision

    @property
    def settings(self) -> Facts:
        return {
            "method": self.method,
            "format": self.format,
            "at": ",".join(f"{name}*{weight:g}" for name, weight in self.at.items()),
            "start": self.start.text,
            "look": self.start.look,
            "steps": self.schedule.steps,
            "radius": self.radius,
            "agreement": self.agreement.text,
            "margin": self.agreement.margin,
            "survive": ",".join(change.name for change in self.survive),
            "models": len(self.targets),
            # Named only where there are any: files made without stay the files they were.
            **({"against": len(self.against)} if self.against else {}),
            **({"psnr": self.start.psnr} if self.start.look == "faint" else {}),
            "tag": self.tag,
            "precision": self.precision,
            **({"quiet": self.start.quiet.name} if self.start.quiet else {}),
        }

    def run(
        self,
        windows: Float[Tensor, "batch channel height width"],
        streams: Sequence[KeyedStream],
    ) -> tuple[Float[Tensor, "batch channel height width"], Sequence[str | None]]:
        made: list[Tensor] = []
        reasons: list[str | None] = []
        for low in range(0, len(windows), self.batch):
            some = slice(low, low + self.batch)
            found = self.search(windows[some], streams[some])
            made.append(found.points.to(windows.device))
            reasons += [self._reason(gap) for gap in found.gaps.tolist()]
        return torch.cat(made), reasons

    def search(
        self,
        windows: Float[Tensor, "batch channel height width"],
        streams: Sequence[KeyedStream],
    ) -> Descended:
        """One chunk: where each image stopped, with its gap and the steps it took."""
        device = self.targets[0].device
        pairs = zip(windows, streams, strict=True)
        starts = torch.stack([self.start.at(self.key, w, s) for w, s in pairs]).to(device)
        question = Question(
            windows.to(device), streams, targets=self.targets, agreement=self.agreement,
            survive=self.survive, canvas=self.key.canvas, against=self.against,
            precision=self.precision, exact=self.radius == "least",
        )  # fmt: skip
        return descend(starts, question, self.schedule, self.grid)

    def quiet(self, images: Float[Tensor, "batch channel height width"]) -> Quiet:
        """The quiet noise that hides what this recoder prints, learned on windows of the model, or
        whole pictures; a hundred give what is hidden to a few hundredths. For fronts of tiles.

        Give it to a second recoder of the same settings. Raises InvalidArgument.
        """
        front = self.key.front
        if not front.patched:
            raise InvalidArgument("quiet", expected="a front of tiles", found=front.geometry)
        windows = self._checked(images)
        windows = windows if self.scramble is None else self.scramble(windows)
        changes = []
        for part in windows.split(self.batch):
            points = self.search(part, [self._stream("quiet", w) for w in part]).points.cpu()
            for window, point in zip(part, points, strict=True):
                changes.append(
                    point - self.start.at(self.key, window, self._stream("quiet", window))
                )
        return quiet_of(torch.stack(changes), front.kernel, variance=FINE**2)

    def _reason(self, gap: float) -> str | None:
        if gap >= 0.0:
            return None
        names = ", ".join(change.name for change in self.survive)
        return (
            f"no agreement ({self.agreement.text}, margin {self.agreement.margin:g})"
            f"{f' after {names}' if names else ''} within {self.schedule.last:g}/255 in "
            f"{self.schedule.steps} steps: short by {-gap:.3g}"
        )


def schedule_of(steps: int, radius: float | str, *, fall: float = 1.0) -> Schedule:
    """The balls of a search: of a fixed radius in 255ths, "auto" or "least". Raises InvalidArgument."""
    if radius == "least":
        return Schedule(
            steps=steps, first=LEAST[0], last=LEAST[1], pace=0.1, momentum=0.0, norm="mean"
        )
    if isinstance(radius, str):
        if radius != "auto":
            raise InvalidArgument("radius", expected="auto, least or 255ths", found=repr(radius))
        return Schedule(steps=steps, first=AUTO[0], last=AUTO[1], fall=fall)
    return Schedule(steps=steps, first=float(radius), last=float(radius), fall=fall)


def _targets(name: str, models: Sequence[nn.Module | Answering], key: Key) -> tuple[Target, ...]:
    """Further models, matched by their answer alone."""
    return tuple(Target(model, _canvas_of(name, model, key), {LOGITS: 1.0}) for model in models)


def _canvas_of(name: str, model: nn.Module | Answering, key: Key) -> Canvas:
    """The canvas by which a further model reads the key's files. Raises InvalidArgument."""
    if isinstance(model, nn.Module):
        return key.canvas
    mine, its = key.canvas, model.canvas
    if (mine.size, mine.top, mine.left, mine.shape) != (its.size, its.top, its.left, its.shape):
        raise InvalidArgument(
            name, expected=f"models that see {mine.shape} at {mine.top}, {mine.left} of {mine.size}",
            found=f"{its.shape} at {its.top}, {its.left} of {its.size}",
        )  # fmt: skip
    return its
