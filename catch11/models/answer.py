"""What of a model's output is its answer, in how many classes, and whether it answers many at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import Catch11Error, ModelRefused
from catch11.fronts.find import named_tensors

Run = Callable[[Tensor], Mapping[str, Tensor]]
"""Normalised windows to what a model puts out, by name."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal
ALIKE = 2e-3  # of the largest logit; a batch and a picture alone differ by rounding only


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """output: the name of the tensor that is the answer. classes: its logits. alone: whether the model
    must be asked one window at a time, since it takes no two or answers otherwise among others."""

    output: str
    classes: int
    alone: bool


class Picked(nn.Module):
    """A module whose answer is one of its several outputs."""

    def __init__(self, net: nn.Module, output: str) -> None:
        super().__init__()
        self.net, self.output = net, output

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """That output."""
        return named_tensors(self.net(values))[self.output]


def answers_of(spec: str, run: Run, canvas: Canvas, *, asked: str | None = None) -> Answers:
    """What a model answers, from runs on two windows alone and together. asked: the output's name.

    Raises ModelRefused where it does not run, or answers with no one row of logits.
    """
    windows = torch.zeros(2, *canvas.shape)
    windows[1] = 2 * torch.rand(canvas.shape, generator=torch.Generator().manual_seed(7)) - 1
    given = windows.clone()
    try:
        with torch.no_grad():
            first, second, again = run(windows[:1]), run(windows[1:]), run(windows[1:])
    except Catch11Error:
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's model may raise anything
        shape = " x ".join(map(str, canvas.shape))
        reason = f"it does not run on its own input of {shape} ({first_line(error)})"
        raise ModelRefused(spec, reason) from None
    output = choose(spec, {name: value.shape for name, value in first.items()}, asked)
    logits = first[output]
    if logits.dim() != 2 or len(logits) != 1 or logits.shape[1] < 1:
        reason = f"its output is {tuple(logits.shape)}, not (1, classes)"
        raise ModelRefused(spec, reason, "give a classifier, one row of logits a picture")
    if logits.shape[1] == 1:
        reason = "it answers with one number, so no class is the strongest"
        raise ModelRefused(spec, reason, "give a classifier, one logit a class")
    if not bool(torch.isfinite(logits).all()):
        raise ModelRefused(spec, "it answers a neutral picture with NaN or infinity")
    if not torch.equal(windows, given):
        reason = "it writes over the pictures that it is given"
        raise ModelRefused(spec, reason, "compute on a copy, x - mean instead of x.sub_(mean)")
    if not alike(again[output], second[output]):
        reason = "it answers the same picture otherwise each time it is asked"
        raise ModelRefused(spec, reason, "leave out what is drawn anew or kept from call to call")
    apart = torch.cat([logits, second[output]])
    return Answers(
        output=output, classes=logits.shape[1], alone=_alone(run, windows, apart, output)
    )


def alike(some: Tensor, others: Tensor) -> bool:
    """Whether two answers differ by rounding only."""
    some, others = some.float(), others.float()
    return some.shape == others.shape and bool(
        (some - others).abs().max() <= ALIKE * others.abs().max()
    )


def _alone(run: Run, windows: Tensor, apart: Tensor, output: str) -> bool:
    """Whether two windows together are answered otherwise than each by itself, or not at all."""
    try:
        with torch.no_grad():
            together = run(windows)[output]
    except Exception:  # noqa: BLE001 - a stranger's model may raise anything
        return True
    return not alike(together, apart)


def choose(spec: str, shapes: Mapping[str, Sequence[object]], asked: str | None = None) -> str:
    """The name of the output that is the answer: the one asked for, the one called logits, or the
    only one. Raises ModelRefused, naming them all."""
    listed = ", ".join(f"{n} {' x '.join(map(str, shape))}" for n, shape in shapes.items())
    if asked is not None:
        if asked in shapes:
            return asked
        raise ModelRefused(spec, f"it has no output {asked!r:.40}; it has {listed or 'none'}")
    if "logits" in shapes:
        return "logits"
    if len(shapes) != 1:
        raise ModelRefused(
            spec, f"which of its outputs is the answer is not said; it has {listed or 'none'}",
            'call it logits, return it alone, or write {"output": "NAME"} into the JSON beside the file',
        )  # fmt: skip
    return next(iter(shapes))


def named_labels(
    spec: str, names: Sequence[str] | Mapping[int, str] | None, count: int
) -> tuple[str, ...]:
    """Class labels, one a logit; indices where none are named, or numbered otherwise. Raises
    ModelRefused for another count."""
    if not names:
        return indices(count)
    numbered = names if isinstance(names, Mapping) else dict(enumerate(names))
    if len(numbered) != count:
        reason = f"it names {len(numbered)} labels and answers with {count} logits"
        raise ModelRefused(spec, reason, "name each of them, in their order")
    known = set(numbered) == set(range(count))
    return tuple(str(numbered[i]) for i in range(count)) if known else indices(count)


def indices(count: int) -> tuple[str, ...]:
    """Class labels where the model names none: "0", "1", ..."""
    return tuple(str(index) for index in range(count))


def first_line(error: BaseException) -> str:
    """The first words of another library's error, fit for the inside of a sentence."""
    text = " ".join(_COLOURS.sub("", str(error)).split()).rstrip(".")
    return text[:200] or type(error).__name__


def cause_line(error: BaseException) -> str:
    """The same of the error that began it, of which it takes the first line: what lies around it says
    only which step failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return first_line(RuntimeError(lines[0])) if lines else type(error).__name__
