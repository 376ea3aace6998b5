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
from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.find import find_front, first_tensor, named_tensors
from catch11.fronts.fingerprint import module_fingerprint
from catch11.fronts.front import NO_LAYER, Front, input_front
from catch11.models.answer import Picked, answers_of, first_line
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
    personalised copy, which reads scrambled pictures. sealed: of a sealed copy, which reads sealed ones
    alone, the public name of its seal. output: the name of the tensor that is its
    answer. alone: whether it is asked one window at a time, see `Answers`.
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
    sealed: str = ""
    output: str = "logits"
    alone: bool = False

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
            why = f"no gradient: {reason.rstrip('.')}"
            raise ModelRefused(self.spec, why, "--keep all needs none")
        parts = pixel_values.split(1) if self.alone else (pixel_values,)
        made = [first_tensor(self.module(part)) for part in parts]
        return made[0] if len(made) == 1 else torch.cat(made)

    def logits(
        self, pixel_values: Float[Tensor, "batch channel height width"], *, batch: int = 64
    ) -> Float[Tensor, "batch classes"]:
        """Normalised windows to logits, without gradient, `batch` pictures at a time, on the CPU."""
        if batch < 1:
            raise InvalidArgument("batch", expected="at least 1", found=batch)
        if not len(pixel_values):
            return torch.zeros(0, len(self.labels))
        run = self.forward if self.graph is None else self.graph.run
        batch = 1 if self.alone else batch
        with torch.no_grad():
            parts = [run(part.to(self.device)).float().cpu() for part in pixel_values.split(batch)]
        return torch.cat(parts)

    @property
    def held(self) -> str:
        """What a release keeps of its answer, in words."""
        if self.prompt is not None:
            return f"its answer in words to {self.prompt!r}"
        return f"the strongest of {len(self.labels)} classes, output {self.output}"

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
        """The model's first linear map in pixel units; with layer "none" the pixels themselves.

        Raises NoFront, naming every layer tried.
        """
        if layer == NO_LAYER:
            return input_front(self.canvas.shape)
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
    output: str | None = None,
) -> Model:
    """A loaded torch module as a Model: evaluation mode, run, its classes counted.

    fingerprint: where it is not the module's own. output: which of several is its answer.
    """
    fingerprint = fingerprint or module_fingerprint(module)
    net = move(spec, module, device)
    found = answers_of(spec, lambda x: named_tensors(net(x.to(device))), canvas, asked=output)
    module = net if output is None else Picked(net, output)
    return Model(
        name=name,
        spec=spec,
        module=module,
        canvas=canvas,
        labels=labels(found.classes),
        fingerprint=fingerprint,
        prepare=prepare,
        device=device,
        notes=notes,
        output=found.output,
        alone=found.alone,
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


def _number(words: Sequence[str]) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(list(words)).encode()).digest()[:8]) >> 1


def local_file(spec: str, rest: str) -> Path:
    """The path of an existing regular file. Raises ModelRefused."""
    path: Any = Path(rest).expanduser()
    if not path.is_file():
        raise ModelRefused(spec, "there is no such file")
    return path
