"""py: a function of the user's own that returns a model; naming it is the leave to run it."""

import copy
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from torch import nn

from catch11.canvas.frame import Canvas
from catch11.errors import ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.answer import first_line, named_labels
from catch11.models.canvases import canvas_prepare
from catch11.models.files.program import layered
from catch11.models.files.torch import fill
from catch11.models.frame import Model
from catch11.models.frame import finish as finish_module
from catch11.models.weights import check_weights


@runtime_checkable
class Finish(Protocol):
    """Makes a model of what a function returned."""

    def __call__(
        self,
        spec: str,
        module: nn.Module,
        canvas: Canvas,
        labels: Callable[[int], tuple[str, ...]],
        *,
        name: str,
        device: str,
    ) -> Model: ...


RETURNS = "a Model, (nn.Module, Canvas) or (nn.Module, Canvas, labels)"


def load(rest: str, *, device: str, allow_code: bool, finish: Finish | None = None) -> object:
    """Call `module:function` or `file.py:function` without arguments. Raises ModelRefused.

    The function returns a loaded model of any kind, (nn.Module, Canvas), or (nn.Module, Canvas,
    labels). Local weights after @ take the place of its own. finish: makes the model of its parts,
    for kinds of data other than pictures.
    """
    spec = f"py:{rest}"
    rest, at, weights = rest.partition("@")
    made = _function(spec, rest)()
    if isinstance(made, Model) and at:
        return _refilled(spec, made, weights, allow_code=allow_code)
    if isinstance(getattr(made, "modality", None), str):
        return made
    module, canvas, labels = _parts(spec, made)
    while isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
        module = inner  # of torch.compile, in which no layer can be heard
    if at:
        fill(spec, module, Path(weights).expanduser(), allow_code=allow_code)
    check_weights(spec, module)

    make = finish or _picture_model
    names = partial(named_labels, spec, labels)
    return make(spec, module, canvas, names, name=rest.rpartition(":")[2], device=device)


def _picture_model(
    spec: str, module: nn.Module, canvas: Canvas, labels: Callable[[int], tuple[str, ...]],
    *, name: str, device: str,
) -> Model:  # fmt: skip
    if canvas.sound:
        raise ModelRefused(spec, "the function returned a model of sounds", "give one of pictures")
    return finish_module(
        spec=spec,
        name=name,
        module=layered(module, canvas.shape),
        fingerprint=module_fingerprint(module),
        canvas=canvas,
        prepare=canvas_prepare(canvas),
        labels=labels,
        device=device,
    )


def _refilled(spec: str, model: Model, weights: str, *, allow_code: bool) -> Model:
    if model.module is None:
        raise ModelRefused(spec, "the function's model is no torch module, so it takes no weights")
    module = copy.deepcopy(model.module)
    fill(spec, module, Path(weights).expanduser(), allow_code=allow_code)
    check_weights(spec, module)
    return replace(model, spec=spec, module=module, fingerprint=module_fingerprint(module))


def _parts(spec: str, made: object) -> tuple[nn.Module, Canvas, tuple[str, ...] | None]:
    if isinstance(made, tuple) and len(made) in (2, 3):
        module, canvas, *rest = made
        if isinstance(module, nn.Module) and isinstance(canvas, Canvas):
            return module, canvas, tuple(map(str, rest[0])) if rest else None
    raise ModelRefused(spec, f"the function returned {type(made).__name__}", f"return {RETURNS}")


def modality_named(rest: str) -> str | None:
    """What a function says that its model reads, by its attribute `modality`; None if nothing."""
    try:
        named = getattr(_function(f"py:{rest}", rest.partition("@")[0]), "modality", None)
    except ModelRefused:
        return None  # whoever loads it says why
    return named if isinstance(named, str) else None


def call(rest: str) -> object:
    """What `module:function` or `file.py:function` returns. Raises ModelRefused."""
    made: object = _function(f"py:{rest}", rest)()
    return made


def _function(spec: str, rest: str) -> Any:
    where, colon, name = rest.rpartition(":")
    if not colon or not where or not name:
        raise ModelRefused(spec, "it does not name a function", "write py:module:function")
    module = _from_file(spec, Path(where)) if where.endswith(".py") else _import(spec, where)
    function = getattr(module, name, None)
    if not callable(function):
        raise ModelRefused(spec, f"{where} has no function {name}")
    return function


def _import(spec: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        beside = Path(*where.split(".")).with_suffix(".py")
        if beside.is_file():
            return _from_file(spec, beside)
        raise ModelRefused(spec, first_line(error), "install it or run where it lies") from None


def _from_file(spec: str, path: Path) -> ModuleType:
    source = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or source is None or source.loader is None:
        raise ModelRefused(spec, f"{path} is not a Python file")
    module = importlib.util.module_from_spec(source)
    sys.modules.setdefault(path.stem, module)  # dataclasses and pickles look their module up
    source.loader.exec_module(module)
    return module
