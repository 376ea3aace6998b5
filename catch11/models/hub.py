"""hf: image classifiers of the transformers library, from a folder or by their id."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from catch11.canvas import Canvas
from catch11.errors import CanvasRefused, InvalidArgument, ModelRefused
from catch11.fingerprint import module_fingerprint
from catch11.models.canvases import (
    Normalisation,
    Prepare,
    Proposal,
    derive_canvas,
    positive_sizes,
    resample_name,
)
from catch11.models.frame import Model, finish, first_line, indices
from catch11.models.weights import check_weights


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load an image classifier, or a vision-language model. Raises ModelRefused and CanvasRefused."""
    spec = f"hf:{rest}"
    from catch11.models.vision_language import family_of, load_vlm

    if (family := family_of(rest)) is not None:
        return load_vlm(rest, family, device=device, allow_code=allow_code)
    from transformers import AutoModelForImageClassification

    loader = AutoModelForImageClassification.from_pretrained
    module, info = read_weights(spec, loader, rest, allow_code=allow_code)
    check_complete(spec, info)
    check_weights(spec, module)
    processor = load_processor(rest, allow_code=allow_code)
    canvas, notes = processor_canvas(processor)
    names = {int(index): str(name) for index, name in (module.config.id2label or {}).items()}

    def labels(count: int) -> tuple[str, ...]:
        known = set(names) == set(range(count))
        return tuple(names[index] for index in range(count)) if known else indices(count)

    return finish(
        spec=spec,
        name=Path(rest).name or rest,
        module=module,
        canvas=canvas,
        prepare=processor_prepare(processor),
        fingerprint=module_fingerprint(module),
        labels=labels,
        device=device,
        notes=notes,
    )


def read_weights(
    spec: str, loader: Any, rest: str, *, allow_code: bool
) -> tuple[Any, dict[str, Any]]:
    """A transformers model in float32, and which of its weights were drawn: see `check_complete`."""
    module, info = call_loader(
        spec,
        loader,
        rest,
        allow_code=allow_code,
        dtype=torch.float32,
        weights_only=not allow_code,
        ignore_mismatched_sizes=True,  # refused afterwards, by name
        output_loading_info=True,
    )
    return module, info


def check_complete(spec: str, info: dict[str, Any]) -> None:
    """Raises ModelRefused where a weight was drawn at random because the files do not hold it."""
    other = sorted(str(row[0]) for row in info.get("mismatched_keys", ()))
    if other:
        reason = f"{len(other)} of its weights have another shape than its config.json says, first {other[0]}"
        raise ModelRefused(spec, reason)
    missing = sorted(info.get("missing_keys", ()))
    if missing:
        reason = f"{len(missing)} of its weights are not in the files, first {missing[0]}"
        raise ModelRefused(spec, reason, "it may have no classification head")


def load_processor(rest: str, *, allow_code: bool = False) -> Any:
    """The image processor of a folder or id. Raises CanvasRefused or ModelRefused."""
    from transformers import AutoImageProcessor

    return call_loader(
        f"hf:{rest}", AutoImageProcessor.from_pretrained, rest, allow_code=allow_code
    )


def processor_prepare(processor: Any) -> Prepare:
    """A transformers image processor as a function of pictures."""

    def prepare(pictures: Sequence[Image.Image]) -> Tensor:
        if not pictures:
            raise InvalidArgument("images", expected="at least one picture", found=0)
        colour = [
            picture.convert("RGB") for picture in pictures
        ]  # as transformers' own pipeline does
        return processor(images=colour, return_tensors="pt")["pixel_values"]

    return prepare


def processor_canvas(processor: Any) -> tuple[Canvas, tuple[str, ...]]:
    """The canvas of a transformers image processor, proved on it, and remarks.

    Raises CanvasRefused for a processor that resizes at random or not at all, that keeps the whole
    of a picture of any aspect, or that pads.
    """
    if not getattr(processor, "do_resize", False) and not getattr(
        processor, "do_center_crop", False
    ):
        raise CanvasRefused(
            "its processor neither resizes nor crops, so any picture size is its own"
        )
    if not getattr(processor, "do_resize", False):
        proposals = [
            Proposal(resize="none", height=height, width=width)
            for height, width in _crops(processor)
        ]
    else:
        proposals = _resizes(processor)
    return derive_canvas(
        processor_prepare(processor), proposals, stated=stated_normalisation(processor)
    )


def _resizes(processor: Any) -> list[Proposal]:
    """Candidates from size, crop_size and crop_pct, squashing tried before keeping the aspect."""
    resample = resample_name(_plain(getattr(processor, "resample", None)), argument="resample")
    size = getattr(processor, "size", None)
    pairs: list[tuple[Any, ...]] = [(_get(size, "height"), _get(size, "width"))]
    short = _get(size, "shortest_edge")
    crop = getattr(processor, "crop_pct", None)
    sides: list[object] = [short, *pairs[0]]
    if crop:
        sides += [side / crop for side in (short, *pairs[0]) if side]
        pairs.append(tuple(side / crop if side else None for side in pairs[0]))
    if short:
        sides.append(256 / 224 * short)  # LeViT's fixed ratio
        pairs.append((short, short))
    squashed = [positive_sizes(pair) * (3 - len(positive_sizes(pair))) for pair in pairs]
    exact = [
        Proposal(resize="exact", height=pair[0], width=pair[1], resample=resample)
        for pair in squashed
        if len(pair) == 2
    ]
    kept = [
        Proposal(resize="short", height=side, width=side, resample=resample)
        for side in positive_sizes(sides)
    ]
    return exact + kept


def _crops(processor: Any) -> list[tuple[int, int]]:
    crop = getattr(processor, "crop_size", None)
    pair = positive_sizes([_get(crop, "height")]), positive_sizes([_get(crop, "width")])
    return [(pair[0][0], pair[1][0])] if all(pair) else []


def stated_normalisation(processor: Any) -> Normalisation | None:
    """The normalisation its settings name; whether it is also what happens is measured."""
    mean, std = _list(processor, "image_mean"), _list(processor, "image_std")
    scale = getattr(processor, "rescale_factor", None)
    if not getattr(processor, "do_rescale", False) or not isinstance(scale, int | float):
        return None
    if not getattr(processor, "do_normalize", False):
        mean, std = [0.0] * 3, [1.0] * 3
    if mean is None or std is None or not (len(mean) == len(std) == 3 and all(std)):
        return None
    unit = scale * 255
    unit = 1.0 if abs(unit - 1) < 1e-9 else unit
    return Normalisation(
        gain=tuple(unit / s for s in std),
        offset=tuple(0.0 - m / s for m, s in zip(mean, std, strict=True)),
        order=(0, 1, 2),
    )


def _list(processor: Any, name: str) -> list[float] | None:
    values = getattr(processor, name, None)
    return list(values) if isinstance(values, list | tuple) else None


def _get(size: object, name: str) -> Any:
    if isinstance(size, int):
        return size
    return size.get(name) if isinstance(size, dict) else getattr(size, name, None)


def _plain(resample: object) -> object:
    """PIL's number of a filter; transformers takes bilinear where a processor names none."""
    return 2 if resample is None else int(resample) if isinstance(resample, int) else resample


# Words of transformers' errors, and what to say instead: (words, reason, what to do).
_REASONS = (
    ("trust_remote_code", "it comes with code of its own, which would run here",
     "allow code only if you trust its author"),
    ("Weights only load failed", "its weights are a pickle that holds more than tensors, and reading it would run code",
     "allow code only if you trust its author, or convert it to safetensors"),
    ("Unrecognized configuration class", "it is not an image classifier", ""),
    ("Unrecognized model", "its config.json names no model type", ""),
    ("Can't load image processor", "it has no preprocessor_config.json", ""),
    ("couldn't connect", "it is not in the local cache and the hub cannot be reached",
     "give a local folder"),
    ("Repo id must be", "there is no such folder", "give a folder or a hub id"),
)  # fmt: skip


def call_loader(spec: str, function: Any, rest: str, *, allow_code: bool, **settings: Any) -> Any:
    """Call a transformers loader, its many errors made one sentence."""
    local = Path(rest).expanduser()
    where = str(local) if local.is_dir() else rest
    try:
        with silent():
            return function(where, trust_remote_code=allow_code, **settings)
    except Exception as error:  # noqa: BLE001 - transformers raises a dozen types
        text = str(error)
        for words, reason, remedy in _REASONS:
            if words in text:
                raise ModelRefused(spec, reason, remedy) from None
        raise ModelRefused(spec, first_line(error)) from None


@contextmanager
def silent() -> Iterator[None]:
    """No progress bars and reports of transformers and of the hub inside; settings are restored after."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    hub = getLogger("huggingface_hub")
    before = hub.level
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    hub.setLevel(ERROR)  # a line a retry otherwise; what came of them all is said in one sentence
    try:
        yield
    finally:
        hub.setLevel(before)
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
