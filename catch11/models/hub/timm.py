"""timm: models of the timm library by name, with local weights or, by its own means, its own."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.errors import CanvasRefused, ModelRefused
from catch11.lab import needed
from catch11.models.answer import first_line, named_labels
from catch11.models.canvases import Normalisation, Prepare, Proposal, derive_canvas, resample_name
from catch11.models.files.torch import fill
from catch11.models.frame import Model, finish
from catch11.models.weights import check_weights

WEIGHTS = "model.safetensors"


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load NAME or NAME@WEIGHTS, WEIGHTS a local file or the word "random" (tests, baselines).

    NAME alone takes timm's pretrained weights. Raises ModelRefused, CanvasRefused, MissingExtra.
    """
    spec = f"timm:{rest}"
    name, _, weights = rest.partition("@")
    module = create(rest, allow_code=allow_code, **_beside(spec, weights))
    check_weights(spec, module)
    prepare, canvas, notes = preparation(module)
    names = (module.pretrained_cfg or {}).get("label_names")
    return finish(
        spec=spec,
        name=name,
        module=module,
        canvas=canvas,
        prepare=prepare,
        labels=partial(named_labels, spec, names),
        device=device,
        notes=notes,
    )


def create(rest: str, *, allow_code: bool = False, **settings: Any) -> Any:
    """The module of NAME or NAME@WEIGHTS. settings: as timm.create_model takes them; TypeError where the
    net takes no such one. Raises ModelRefused, MissingExtra."""
    spec = f"timm:{rest}"
    name, at, weights = rest.partition("@")
    timm = needed("timm", "timm")
    if not timm.is_model(name):
        near = ", ".join(get_close_matches(name, timm.list_models(), n=3))
        raise ModelRefused(spec, f"timm has no model {name}", f"near it: {near}" if near else "")
    try:
        module = timm.create_model(name, pretrained=not at, **settings)
    except TypeError:
        raise
    except Exception as error:  # noqa: BLE001 - the hub's client raises its own types
        raise ModelRefused(spec, first_line(error), "give local weights after @") from None
    if at and weights != "random":
        fill(spec, module, Path(weights).expanduser(), allow_code=allow_code)
    return module


def preparation(module: Any) -> tuple[Prepare, Canvas, tuple[str, ...]]:
    """The evaluation transform that a module's own configuration names, its canvas, and remarks."""
    data = needed("timm.data", "timm")
    config = data.resolve_data_config(module.pretrained_cfg, model=module)
    prepare = timm_prepare(data.create_transform(**config, is_training=False))
    canvas, notes = timm_canvas(config, prepare)
    return prepare, canvas, notes


def _beside(spec: str, weights: str) -> dict[str, Any]:
    """What the config.json beside weights, as timm's hub folders have it, says of their model."""
    if not weights.endswith(WEIGHTS):
        return {}  # none at all among them, which have no folder
    path = Path(weights).expanduser().with_name("config.json")
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        own = dict(facts.get("pretrained_cfg") or {})
        count = int(facts["num_classes"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ModelRefused(spec, "the config.json beside its weights is none of timm's") from None
    return {"num_classes": count, "pretrained_cfg_overlay": own}


def timm_prepare(transform: Any) -> Prepare:
    """A timm evaluation transform as a function of pictures."""

    def prepare(pictures: Sequence[Image.Image]) -> Tensor:
        return torch.stack([transform(picture.convert("RGB")) for picture in pictures])

    return prepare


def timm_canvas(config: dict[str, Any], prepare: Prepare) -> tuple[Canvas, tuple[str, ...]]:
    """The canvas of a timm data configuration, proved on its transform, and remarks.

    timm floors size / crop_pct; "squash" brings both sides there, "center" the short one. "border"
    pads, and "center" of a window that is not square covers it: those have no canvas. Raises
    CanvasRefused.
    """
    if config.get("interpolation") == "random":
        raise CanvasRefused("its interpolation is drawn at random")
    if config.get("crop_mode") == "border":
        raise CanvasRefused("its crop mode border pads pictures that are not square")
    _, height, width = config["input_size"]
    share = config.get("crop_pct") or 1.0
    sizes = [
        (int(height / share), int(width / share)),
        (round(height / share), round(width / share)),
    ]
    resample = resample_name(config.get("interpolation", "bilinear"), argument="interpolation")
    squash = config.get("crop_mode") == "squash"
    proposals = []
    for rows, columns in sizes:
        exact = Proposal(resize="exact", height=rows, width=columns, resample=resample)
        short = Proposal(resize="short", height=rows, width=rows, resample=resample)
        proposals += [exact] if rows != columns else [exact, short] if squash else [short, exact]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    stated = Normalisation(
        gain=tuple(1 / s for s in std),
        offset=tuple(0.0 - m / s for m, s in zip(mean, std, strict=True)),
        order=(0, 1, 2),
    )
    return derive_canvas(prepare, proposals, stated=stated if len(mean) == 3 else None)
