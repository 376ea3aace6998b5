"""The maps of an authorized model that a deep recoder matches, read by hooks, differentiable."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument
from catch11.fronts.find import first_tensor
from catch11.keys.authorized import Authorized
from catch11.recoding.deep.hooks import Noted, noted
from catch11.recoding.keep import nearest

Precision = Literal["float32", "bfloat16"]

# The linear layer of a module that runs last, found once: a target is made a picture here and there.
_LAST: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()

LOGITS = "logits"
FEATURES = "features"


@runtime_checkable
class Answering(Authorized, Protocol):
    """What deep recoding needs of a loaded model: an Authorized one that answers with gradients."""

    @property
    def module(self) -> nn.Module | None:
        """The torch module behind it; None where torch cannot run it."""
        ...

    def forward(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits, differentiable; raises ModelRefused where torch cannot run the model."""
        ...


@runtime_checkable
class Reciting(Protocol):
    """A module that answers in several words, whose logits can be asked for along an answer."""

    def words_of(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Int[Tensor, "batch word"]:
        """Its own answer to normalised windows, as tokens; -1 behind the end."""

    def recite(
        self,
        values: Float[Tensor, "batch channel height width"],
        words: Int[Tensor, "batch word"],
    ) -> Float[Tensor, "batch word vocabulary"]:
        """Its logits for each word of an answer, the words before it given; differentiable."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What a model made of windows: its logits, a row a word where it recites `words`, and the maps
    asked for beside them."""

    logits: Float[Tensor, "batch *word classes"]
    maps: tuple[Tensor, ...]
    words: Int[Tensor, "batch word"] | None = None

    def take(self, rows: Tensor) -> "Reading":
        """The readings of some windows of the batch."""
        words = None if self.words is None else self.words[rows]
        return Reading(
            logits=self.logits[rows], maps=tuple(m[rows] for m in self.maps), words=words
        )


@dataclass(frozen=True)
class Target:
    """An authorized model on its canvas, with the maps that are matched and their weights.

    at: "logits", "features" (what the last linear layer reads) or the name of any module of it.
    """

    model: nn.Module | Answering
    canvas: Canvas
    at: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.module is not None and self.module.training:
            raise InvalidArgument(
                "model", expected="evaluation mode", found="training mode", remedy="call eval()"
            )
        if not self.at or any(not weight > 0.0 for weight in self.at.values()):
            raise InvalidArgument("at", expected="names with weights above 0", found=dict(self.at))
        _ = self._layers  # refuses names there are not

    @property
    def module(self) -> nn.Module | None:
        """The torch module, where there is one."""
        return self.model if isinstance(self.model, nn.Module) else self.model.module

    @property
    def names(self) -> tuple[str, ...]:
        """The maps other than the logits."""
        return tuple(name for name in self.at if name != LOGITS)

    @cached_property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        parameter = None if self.module is None else next(self.module.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def clean(self, windows: Float[Tensor, "batch channel height width"]) -> Reading:
        """What the model makes of source windows; of one that answers in words, along its answer."""
        module = self.module
        if not isinstance(module, Reciting):
            return self.read(windows)
        with torch.no_grad():
            words = module.words_of(self.canvas.normalise(windows))
        return self.read(windows, words=words)

    def read(
        self,
        windows: Float[Tensor, "batch channel height width"],
        *,
        precision: Precision = "float32",
        words: Int[Tensor, "batch word"] | None = None,
    ) -> Reading:
        """The model's answer on windows in pixel units, and its maps; differentiable. words: those of
        a reciting module."""
        if getattr(self.model, "alone", False) and len(windows) > 1:
            rows = [None] * len(windows) if words is None else words.split(1)
            return _stacked(
                [
                    self.read(one, precision=precision, words=row)
                    for one, row in zip(windows.split(1), rows, strict=True)
                ]
            )
        half = precision == "bfloat16"
        autocast = torch.autocast(windows.device.type, torch.bfloat16, enabled=half)
        with noted(self._layers.values()) as seen, autocast:
            logits = self._answer(self.canvas.normalise(windows), words)
        maps = tuple(self._map(name, seen) for name in self.names)
        return Reading(logits=logits.float(), maps=maps, words=words)

    def distance(self, made: Reading, clean: Reading, *, power: int = 1) -> Float[Tensor, " batch"]:
        """Weighted mean over the maps of (‖made - clean‖₂ / ‖clean‖₂) to a power; 0 without maps.

        power: 2 is smooth where nothing is left of it."""
        total = made.logits.new_zeros(len(made.logits))
        weight = sum(self.at[name] for name in self.names)
        for name, a, b in zip(self.names, made.maps, clean.maps, strict=True):
            a, b = a.float().flatten(1), b.float().flatten(1)
            off = (a - b).square().sum(1) if power == 2 else (a - b).norm(dim=1)
            total = total + self.at[name] / weight * off / b.norm(dim=1) ** power
        return total

    def _map(self, name: str, seen: Noted) -> Tensor:
        layer = self._layers[name]
        if layer not in seen:
            raise InvalidArgument("at", expected="modules the model runs", found=name)
        given, made = seen[layer]
        read: Tensor = given[0] if name == FEATURES else first_tensor(made)
        return read

    @cached_property
    def _layers(self) -> dict[str, nn.Module]:
        return {name: self._layer(name) for name in self.names}

    def _layer(self, name: str) -> nn.Module:
        if self.module is None:
            raise InvalidArgument(
                "at", expected="logits for a model torch cannot run", found=name,
                remedy="it gives no gradient: --keep all needs none",
            )  # fmt: skip
        try:
            return self._last_linear if name == FEATURES else self.module.get_submodule(name)
        except AttributeError:
            top = ", ".join(n for n, _ in self.module.named_children())
            raise InvalidArgument(
                "at", expected=f"logits, features or a module's name (below {top})", found=name,
                remedy=nearest(name, [n for n, _ in self.module.named_modules() if n]),
            ) from None  # fmt: skip

    @cached_property
    def _last_linear(self) -> nn.Module:
        """The linear layer that runs last, wherever it was defined. What runs last and first is the front,
        whose input is the picture."""
        assert self.module is not None
        linear = [m for m in self.module.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        known = _LAST.get(self.module)
        if any(one is known for one in linear):
            return known  # type: ignore[return-value]
        ran = self._run(linear)
        if len(ran) < 2:
            raise InvalidArgument(
                "at", expected="a model with a last linear layer behind its first", found="none",
                remedy="--keep answer, scores and all need none",
            )  # fmt: skip
        _LAST[self.module] = ran[-1]
        return ran[-1]

    def _run(self, modules: Sequence[nn.Module]) -> list[nn.Module]:
        """Those of some modules that run, in the order in which they last do."""
        ran: dict[nn.Module, None] = {}
        here = threading.get_ident()

        def note(module: nn.Module, *_: object) -> None:
            if threading.get_ident() == here:
                ran.pop(module, None)
                ran[module] = None

        hooks = [module.register_forward_hook(note) for module in modules]
        try:
            with torch.no_grad():
                grey = torch.full((1, *self.canvas.shape), 0.5, device=self.device)
                values, module = self.canvas.normalise(grey), self.module
                self._answer(
                    values, module.words_of(values) if isinstance(module, Reciting) else None
                )
        finally:
            for hook in hooks:
                hook.remove()
        return list(ran)

    def _answer(self, values: Tensor, words: Tensor | None) -> Tensor:
        """Logits of normalised windows; of a reciting module along `words`."""
        if words is not None:
            assert isinstance(self.module, Reciting)
            return self.module.recite(values, words)
        if isinstance(self.model, nn.Module):
            return first_tensor(self.model(values))
        return self.model.forward(values)


def _stacked(parts: Sequence[Reading]) -> Reading:
    """The readings of windows that were read one at a time."""
    rows = [part.words for part in parts if part.words is not None]
    return Reading(
        logits=torch.cat([part.logits for part in parts]),
        maps=tuple(torch.cat(maps) for maps in zip(*(part.maps for part in parts), strict=True)),
        words=torch.cat(rows) if rows else None,
    )


def parse_at(at: str | Mapping[str, float]) -> dict[str, float]:
    """Map names with weights: {"logits": 1.0}, or as text "logits" or "features,blocks.3*0.5".

    Raises InvalidArgument.
    """
    if not isinstance(at, str):
        return dict(at)
    weights: dict[str, float] = {}
    for part in at.split(","):
        name, star, weight = part.strip().partition("*")
        try:
            weights[name] = float(weight) if star else 1.0
        except ValueError:
            raise InvalidArgument("at", expected="NAME*WEIGHT", found=repr(part)) from None
    return weights


def written(at: Mapping[str, float]) -> str:
    """Map names with weights as text: features*1,blocks.3*0.5."""
    return ",".join(f"{name}*{weight:g}" for name, weight in at.items())
