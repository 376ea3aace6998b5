"""The deep recoder: a point near keyed noise that the authorized model answers as it answers the input.

Near the start the level set {v : φ(v) = φ(x)} already holds such points, because a network is far
more sensitive to its own directions than to noise. What is printed on the noise is small, differs
from file to file, and means nothing to other weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import Format
from catch11.copies.secretfile import Secret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.kinds import IMAGE
from catch11.recoding.deep.agreement import Agreement, parse_agreement
from catch11.recoding.deep.approach import Approach
from catch11.recoding.deep.closing import Closing
from catch11.recoding.deep.descent import LARGEST, Descended, Schedule, descend
from catch11.recoding.deep.kept import distances
from catch11.recoding.deep.question import Change, Question
from catch11.recoding.deep.quiet import Quiet, quiet_of
from catch11.recoding.deep.start import FINE, Look, Start, grain_of, start_of
from catch11.recoding.deep.target import LOGITS, Answering, Precision, Target, parse_at, written
from catch11.recoding.frame import Facts, Recoder
from catch11.recoding.keep import ANSWER, FEATURES, Keep, keep_asked
from catch11.recoding.registry import registered
from catch11.recoding.windows import WindowDomain

# In 255ths. "auto" opens the ball from the first to the last over the steps, so that an image stops
# in about the smallest ball that holds an answer, and the few stubborn ones still find theirs.
AUTO = (2.0, 16.0)
# Root mean square, in 255ths, of "least": short steps along the gradient, no momentum.
LEAST = (1.0, 8.0)
WIDEST = 32.0  # of the ball where scores or maps are kept: few images need so much
STEPS, NEAR_STEPS = 60, 300  # at most: to an answer, and to scores or maps that are met closely


@registered(IMAGE)
@dataclass(frozen=True, eq=False)
class DeepRecoder(Recoder[Tensor]):
    """Finds for each window a picture near a keyed start that the authorized model answers alike.

    model: the one the key was built from, loaded or as a torch module in evaluation mode. keep: what
    files hold on to: "answer", "scores", "features" or "layer:NAME", within `tolerance`; see
    `recoding.keep`. Experts say the same by `at` and `agreement`. at: what is matched: the answer
    ("logits"), "features", any module by its name, or several with weights ("features,layer3*0.5"). radius: largest change of the start in any pixel, in 255ths; "auto" takes
    about the smallest that answers; "least" looks for less still, by short steps (give it 160) that
    the real changes judge one by one, and survives exactly those that are named.
    agreement: top1, topk:K, kl<V or match<V, with `margin` logits to
    spare. start, look: see `deep.start`; psnr: of a faint look, in dB. survive: changes after
    which the answer must still stand.
    also: further authorized models that must agree too. against: models that shall not read the
    files: each is led to a class that the key draws. tag: a client or release name, so that each
    gets files of its own. chunk: images that a step works on together; answers do not depend on it.
    precision: of the gradients; bfloat16 halves the time where the machine has it. copy: see
    `WindowDomain`. quiet: noise that hides what many files together print; see `learn_quiet`.

    With noise to start from and agreement top1, a file depends on its source through the answer and
    the keyed stream alone. Raises InvalidArgument, KeyMismatch.
    """

    method: ClassVar[str] = "deep"

    model: nn.Module | Answering = field(repr=False)
    key: Key
    _: KW_ONLY
    keep: str | None = None
    tolerance: float | None = None
    at: str | Mapping[str, float] = LOGITS
    start: Literal["noise", "spectral"] | Tensor = "noise"
    look: Look = "noise"
    psnr: float = 10.0
    steps: int | None = None
    radius: float | Literal["auto", "least"] = "auto"
    agreement: str = "top1"
    margin: float = 0.5
    survive: Sequence[Change] = ()
    also: Sequence[nn.Module | Answering] = ()
    against: Sequence[nn.Module | Answering] = ()
    tag: str = ""
    format: Format = "png8"
    chunk: int = 16
    precision: Precision = "float32"
    copy: Secret | None = None
    quiet: Quiet | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key.check_model(self.model)
        if self.chunk < 1:
            raise InvalidArgument("chunk", expected="at least 1", found=self.chunk)
        # Each checks its options.
        _ = self.keeps, self.targets, self.opposed, self.schedule, self.begin
        if self.agreed.kind == "match" and not self.targets[0].names:
            raise InvalidArgument("agreement", expected="maps to match, named by at", found="none")

    @cached_property
    def domain(self) -> WindowDomain:
        return WindowDomain(self.key, format=self.format, copy=self.copy)

    @property
    def batch(self) -> int:
        return self.chunk

    @cached_property
    def keeps(self) -> Keep:
        return keep_asked(
            self.keep, self.tolerance, agreement=parse_agreement(self.agreement, margin=self.margin),
            at=self.at if isinstance(self.at, str) else written(self.at),
            usual=(self.at, self.agreement) == (LOGITS, "top1"),
        )  # fmt: skip

    def distances(self, made: Tensor, seen: Tensor) -> Sequence[float | None]:
        return distances(self.keeps, self.targets[0], made, seen)

    @cached_property
    def agreed(self) -> Agreement:
        """What of the answer must stay."""
        if self._plain:
            return parse_agreement(self.agreement, margin=self.margin)
        return self.keeps.agreement(margin=self.margin)

    @property
    def _plain(self) -> bool:
        """Whether at and agreement say what is asked for."""
        return self.keep is None or self.keeps.what == ANSWER

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The authorized models with what is matched of them; the key's own first."""
        at = self.at if self._plain else self.keeps.at
        try:
            first = Target(self.model, self.key.canvas, parse_at(at))
        except InvalidArgument as error:
            raise error if self._plain or error.name != "at" else error.called("keep") from None
        return (first, *_targets("also", self.also, self.key))

    @cached_property
    def opposed(self) -> tuple[Target, ...]:
        """The models that shall not read the files."""
        return _targets("against", self.against, self.key)

    @cached_property
    def schedule(self) -> Schedule | Approach | Closing:
        """The balls of the search: to an answer along momentum, to scores and features by `Approach`, to
        other maps by `Closing`, where nothing but them is asked for."""
        if self.agreed.kind not in ("kl", "match") or self.radius == "least":
            return schedule_of(STEPS if self.steps is None else self.steps, self.radius)
        last = WIDEST if self.radius == "auto" else float(self.radius)
        steps = NEAR_STEPS if self.steps is None else self.steps
        if self.agreed.kind == "match" and not (self._featured or self.survive or self.against):
            return Closing(steps=steps, last=LARGEST if self.radius == "auto" else last)
        return Approach(steps=steps, bound=self.agreed.value, last=last, flat=self._featured)

    @cached_property
    def begin(self) -> Start:
        """Where searches begin."""
        fine = grain_of(self.keeps.tolerance) if self._featured else FINE
        return start_of(
            self.start, self.look, self.key, psnr=self.psnr, quiet=self.quiet, fine=fine
        )

    @property
    def _featured(self) -> bool:
        """Whether what the last linear layer reads is matched, and nothing else."""
        return self.keeps.what == FEATURES and self.agreed.kind == "match"

    def facts(self) -> Facts:
        return {
            "format": self.format,
            "at": written(self.targets[0].at),
            "start": self.begin.text,
            "look": self.look,
            "steps": self.schedule.steps,
            "radius": self.radius,
            "agreement": self.agreed.text,
            "margin": self.margin,
            "survive": ",".join(change.name for change in self.survive),
            "models": len(self.targets),
            # Named only where there are any: files made without stay the files they were.
            **({"against": len(self.opposed)} if self.opposed else {}),
            **({"psnr": self.psnr} if self.look == "faint" else {}),
            "tag": self.tag,
            "precision": self.precision,
            **({"quiet": self.quiet.name} if self.quiet else {}),
        }

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        made: list[Tensor] = []
        reasons: list[str | None] = []
        for low in range(0, len(items), self.chunk):
            some = slice(low, low + self.chunk)
            found = self.search(items[some], streams[some])
            made.append(found.points.to(items.device))
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
        starts = torch.stack([self.begin.at(self.key, w, s) for w, s in pairs]).to(device)
        question = Question(
            windows.to(device), streams, targets=self.targets, agreement=self.agreed,
            survive=self.survive, canvas=self.key.canvas, against=self.opposed,
            precision=self.precision, exact=self.radius == "least", smooth=self.schedule.smooth,
        )  # fmt: skip
        return descend(starts, question, self.schedule, self.domain.grid)

    def learn_quiet(self, images: Float[Tensor, "batch channel height width"]) -> Quiet:
        """The quiet noise that hides what this recoder prints, learned on windows of the model, or
        whole pictures; a hundred give what is hidden to a few hundredths. For fronts of tiles.

        Give it to a second recoder of the same settings. Raises InvalidArgument.
        """
        front = self.key.front
        if not front.patched:
            raise InvalidArgument("quiet", expected="a front of tiles", found=front.geometry)
        windows = self.domain.clean(images)
        windows = windows if self.scramble is None else self.scramble(windows)
        changes = []
        for part in windows.split(self.chunk):
            points = self.search(part, [self.stream(w, "quiet") for w in part]).points.cpu()
            for window, point in zip(part, points, strict=True):
                start = self.begin.at(self.key, window, self.stream(window, "quiet"))
                changes.append(point - start)
        return quiet_of(torch.stack(changes), front.kernel, variance=self.begin.fine**2)

    def _reason(self, gap: float) -> str | None:
        if gap >= 0.0:
            return None
        names = ", ".join(change.name for change in self.survive)
        return (
            f"no agreement ({self.agreed.text}, margin {self.margin:g})"
            f"{f' after {names}' if names else ''} within {self.schedule.last:g}/255 in "
            f"{self.schedule.steps} steps: short by {-gap:.3g}"
        )


def schedule_of(steps: int, radius: float | str) -> Schedule:
    """The balls of a search: of a fixed radius in 255ths, "auto" or "least". Raises InvalidArgument."""
    if radius == "least":
        return Schedule(
            steps=steps, first=LEAST[0], last=LEAST[1], pace=0.1, momentum=0.0, norm="mean"
        )
    if isinstance(radius, str):
        if radius != "auto":
            raise InvalidArgument("radius", expected="auto, least or 255ths", found=repr(radius))
        return Schedule(steps=steps, first=AUTO[0], last=AUTO[1])
    return Schedule(steps=steps, first=float(radius), last=float(radius))


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
