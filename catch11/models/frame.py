"""Model: a classifier of pictures with its canvas, labels and fingerprint."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import Catch11Error, InvalidArgument, ModelRefused
from catch11.fronts.find import find_front, first_tensor
from catch11.fronts.fingerprint import module_fingerprint
from catch11.fronts.front import Front
from catch11.models.canvases import Prepare


@runtime_checkable
class Graph(Protocol):
    """A model that another runtime runs, as `Model` sees it."""

    def run(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Normalised windows to logits, without gradient."""

    def front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        """The first linear map of the graph in pixel units."""


@runtime_checkable
class Fronted(Protocol):
    """A module that knows its own first linear map."""

    def own_front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        """That map in pixel units."""


@runtime_checkable
class Speaking(Protocol):
    """A module that answers in words."""

    @property
    def prompt(self) -> str:
        """What it is asked."""

    def speak(self, values: Float[Tensor, "batch channel height width"]) -> list[tuple[str, ...]]:
        """Its answer to each normalised window, as tokens."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model as it is used: pictures in through its own preprocessing, logits out; of one that
    answers in words, the logits of the first.

    module: in evaluation mode, its parameters not asking for gradients; None for a graph that torch
    cannot run. labels: one a logit; none for words. fingerprint: SHA-256 over the sorted tensors. notes: sentences
    on what is not exact, for instance a resize that differs by a level. private: whether it is a
    personalised copy, which reads scrambled pictures.
    """

    modality: ClassVar[str] = "image"

    name: str
    spec: str
    module: nn.Module | None
    canvas: Canvas
    labels: tuple[str, ...]
    fingerprint: str
    prepare: Prepare
    graph: Graph | None = None
    device: str = "cpu"
    notes: tuple[str, ...] = field(default=())
    private: bool = False

    def __repr__(self) -> str:
        size = f"{self.canvas.height}x{self.canvas.width}"
        return f"Model({self.name!r}, canvas {size}, {len(self.labels)} classes, {self.fingerprint[:16]})"

    def preprocess(self, images: Sequence[Image.Image]) -> Float[Tensor, "n c h w"]:
        """Pictures of any size to the model's input, by the model's own preprocessing."""
        if not images:
            return torch.zeros(0, *self.canvas.shape, device=self.device)
        return self.prepare(list(images)).to(self.device, torch.float32)

    def forward(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Normalised windows to logits, differentiable in `pixel_values`; torch models only.

        Raises ModelRefused for a graph that torch cannot run.
        """
        if self.module is None:
            reason = next(iter(self.notes), "torch cannot run it")
            raise ModelRefused(self.spec, f"no gradient: {reason.rstrip('.')}")
        return first_tensor(self.module(pixel_values))

    def logits(
        self, pixel_values: Float[Tensor, "batch channel height width"], *, batch: int = 64
    ) -> Float[Tensor, "batch classes"]:
        """Normalised windows to logits, without gradient, `batch` pictures at a time, on the CPU."""
        if batch < 1:
            raise InvalidArgument("batch", expected="at least 1", found=batch)
        if not len(pixel_values):
            return torch.zeros(0, len(self.labels))
        run = self.forward if self.graph is None else self.graph.run
        with torch.no_grad():
            parts = [run(part.to(self.device)).float().cpu() for part in pixel_values.split(batch)]
        return torch.cat(parts)

    @property
    def speaks(self) -> bool:
        """Whether it answers in words, not in classes."""
        return isinstance(self.module, Speaking)

    @property
    def prompt(self) -> str | None:
        """What a model that answers in words is asked; None where it answers in classes."""
        return self.module.prompt if isinstance(self.module, Speaking) else None

    @property
    def heard(self) -> Callable[[Any], Tensor] | None:
        """How a model of features makes them of a sound, in pixel units; None for any other."""
        return None

    def answers(
        self, pixel_values: Float[Tensor, "batch channel height width"], *, batch: int = 64
    ) -> Int[Tensor, " batch"]:
        """What the model answers to normalised windows: the class; of words, a number that is the
        same for the same words and else another (63 bits of a hash)."""
        if not isinstance(self.module, Speaking):
            return self.logits(pixel_values, batch=batch).argmax(1)
        said: list[int] = []
        for part in pixel_values.split(batch) if len(pixel_values) else ():
            said += [_number(words) for words in self.module.speak(part.to(self.device))]
        return torch.tensor(said, dtype=torch.int64)

    def front(self, layer: str | None = None) -> Front:
        """The model's first linear map in pixel units. Raises NoFront, naming every layer tried."""
        if self.graph is not None:
            return self.graph.front(self.canvas, layer=layer)
        assert self.module is not None
        if isinstance(self.module, Fronted):
            return self.module.own_front(self.canvas, layer=layer)
        return find_front(self.module, self.canvas, layer=layer)


def finish(
    *,
    spec: str,
    name: str,
    module: nn.Module,
    canvas: Canvas,
    prepare: Prepare,
    labels: Callable[[int], tuple[str, ...]],
    fingerprint: str | None = None,
    device: str = "cpu",
    notes: tuple[str, ...] = (),
) -> Model:
    """A loaded torch module as a Model: evaluation mode, run once, its classes counted.

    fingerprint: where it is not the module's own.
    """
    fingerprint = fingerprint or module_fingerprint(module)
    module = move(spec, module, device)
    count = count_classes(spec, lambda values: first_tensor(module(values.to(device))), canvas)
    return Model(
        name=name,
        spec=spec,
        module=module,
        canvas=canvas,
        labels=labels(count),
        fingerprint=fingerprint,
        prepare=prepare,
        device=device,
        notes=notes,
    )


def move(spec: str, module: nn.Module, device: str) -> nn.Module:
    """The module on its device, in evaluation mode, its parameters not asking for gradients."""
    try:
        module = module.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelRefused(spec, f"it cannot be moved to {device} ({first_line(error)})") from None
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with suppress(NotImplementedError):  # an exported program keeps the mode it was exported in
        module.eval()
    return module


def count_classes(spec: str, run: Callable[[Tensor], Tensor], canvas: Canvas) -> int:
    """Number of logits, from one run on a neutral picture. Raises ModelRefused."""
    try:
        with torch.no_grad():
            logits = run(torch.zeros(1, *canvas.shape))
    except Catch11Error:
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's model may raise anything
        shape = " x ".join(map(str, canvas.shape))
        reason = f"it does not run on its own input of {shape} ({first_line(error)})"
        raise ModelRefused(spec, reason) from None
    if logits.dim() != 2 or len(logits) != 1 or logits.shape[1] < 1:
        raise ModelRefused(spec, f"its output is {tuple(logits.shape)}, not (1, classes)")
    if not bool(torch.isfinite(logits).all()):
        raise ModelRefused(spec, "it answers a neutral picture with NaN or infinity")
    return int(logits.shape[1])


def _number(words: Sequence[str]) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(list(words)).encode()).digest()[:8]) >> 1


def indices(count: int) -> tuple[str, ...]:
    """Class labels where the model names none: "0", "1", ..."""
    return tuple(str(index) for index in range(count))


def first_line(error: BaseException) -> str:
    """The first words of another library's error, fit for the inside of a sentence."""
    text = " ".join(str(error).split()).rstrip(".")
    return text[:200] or type(error).__name__


def local_file(spec: str, rest: str) -> Path:
    """The path of an existing regular file. Raises ModelRefused."""
    path: Any = Path(rest).expanduser()
    if not path.is_file():
        raise ModelRefused(spec, "there is no such file")
    return path
