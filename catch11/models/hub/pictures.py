"""hf: image classifiers of the transformers library, from a folder or by their id."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.errors import CanvasRefused, InvalidArgument
from catch11.models.answer import named_labels
from catch11.models.canvases import (
    Prepare,
    Proposal,
    derive_canvas,
    positive_sizes,
    resample_name,
)
from catch11.models.files.sidecar import sidecar_pipeline
from catch11.models.frame import Model, finish
from catch11.models.hub.transformers import (
    check_complete,
    check_one_class,
    hub_file,
    load_processor,
    model_type,
    read_weights,
    stated_normalisation,
)
from catch11.models.vlm.load import family_of, load_vlm
from catch11.models.weights import check_weights


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load an image classifier, or a vision-language model. Raises ModelRefused and CanvasRefused."""
    spec = f"hf:{rest}"
    if (family := family_of(rest)) is not None:
        return load_vlm(rest, family, device=device, allow_code=allow_code)
    from transformers import AutoModelForImageClassification

    from catch11.models.hub import mambavision

    mambavision.register()
    own = model_type(rest) == mambavision.NAME  # its code is here, so the folder's never runs
    loader = AutoModelForImageClassification.from_pretrained
    module, info = read_weights(spec, loader, rest, allow_code=allow_code and not own)
    check_complete(spec, info)
    check_one_class(spec, module.config)
    check_weights(spec, module)
    notes: tuple[str, ...] = ()
    if own and hub_file(rest, "preprocessor_config.json") is None:
        canvas, prepare = sidecar_pipeline(mambavision.stated_preparation(module.config))
    else:
        processor = load_processor(rest, allow_code=allow_code)
        prepare = processor_prepare(processor)
        canvas, notes = processor_canvas(processor)
    return finish(
        spec=spec,
        name=Path(rest).name or rest,
        module=module,
        canvas=canvas,
        prepare=prepare,
        labels=partial(named_labels, spec, module.config.id2label),
        device=device,
        notes=notes,
    )


def processor_prepare(processor: Any) -> Prepare:
    """A transformers image processor as a function of pictures."""

    def prepare(pictures: Sequence[Image.Image]) -> Tensor:
        if not pictures:
            raise InvalidArgument("images", expected="at least one picture", found=0)
        colour = [
            picture.convert("RGB") for picture in pictures
        ]  # as transformers' own pipeline does
        made = processor(images=colour, return_tensors="pt")
        if "pixel_values" not in made:
            raise ValueError(f"it makes {', '.join(made)} and no pixel_values")
        return made["pixel_values"]

    return prepare


def processor_canvas(processor: Any) -> tuple[Canvas, tuple[str, ...]]:
    """The canvas of a transformers image processor, proved on it, and remarks.

    Raises CanvasRefused for a processor that resizes at random or not at all, that keeps the whole
    of a picture of any aspect, or that pads.
    """
    mean = getattr(processor, "image_mean", None)
    if isinstance(mean, list | tuple) and len(mean) != 3:
        raise CanvasRefused(
            f"its processor prepares pictures of {len(mean)} channels, and those of a transformers folder have "
            "three; as an ONNX file or a function of yours the net may have one"
        )
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


def _get(size: object, name: str) -> Any:
    if isinstance(size, int):
        return size
    return size.get(name) if isinstance(size, dict) else getattr(size, name, None)


def _plain(resample: object) -> object:
    """PIL's number of a filter; transformers takes bilinear where a processor names none."""
    return 2 if resample is None else int(resample) if isinstance(resample, int) else resample
