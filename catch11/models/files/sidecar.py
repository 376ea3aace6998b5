"""The JSON beside a model: how pictures are prepared for it, its class names, the mark of a copy."""

import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from catch11.canvas.fit import Fit, centre
from catch11.canvas.frame import Canvas
from catch11.errors import CanvasRefused, InvalidArgument, ModelRefused
from catch11.models.answer import indices, named_labels
from catch11.models.canvases import Prepare, canvas_prepare, resample_name

MARK = "catch11-copy.json"  # beside a copy: says that it is one, and nothing secret
_NAME = 128  # bytes of it
SEAL = "catch11.sealed"  # under which a sealed copy holds its name, as its JSON does under "sealed"
EXAMPLE = (
    '{"input_size": [3, 224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
)


REMARKS = frozenset({"modality", "note", "notes", "classes", "label_names", "num_classes"})
KNOWN = REMARKS | {
    "input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode", "resize", "output", "sealed",
    "input_space", "input_range", "image_mean", "image_std", "resample",
    # of timm's pretrained_cfg; they say nothing of how pictures are prepared for this file
    "architecture", "classifier", "custom_load", "description", "file", "first_conv", "fixed_input_size",
    "global_pool", "hf_hub_filename", "hf_hub_id", "label_descriptions", "license", "min_input_size",
    "num_features", "origin_url", "paper_ids", "paper_name", "pool_size", "source", "state_dict", "tag",
    "test_crop_pct", "test_input_size", "url",
}  # fmt: skip
_ALSO = {"image_mean": "mean", "image_std": "std", "resample": "interpolation"}
_NEAR = {
    "size": "input_size", "image_size": "input_size", "crop_size": "input_size", "shape": "input_size",
    "channel_order": "input_space", "bgr": "input_space", "scale": "input_range", "range": "input_range",
    "labels": "classes", "id2label": "classes", "rescale_factor": "input_range",
}  # fmt: skip


def read_sidecar(path: Path) -> dict[str, Any]:
    """The settings beside a model file (same name, .json). Raises CanvasRefused, one sentence."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise CanvasRefused(
            f"{beside} is missing; it says how pictures are prepared for {path.name}, for example {EXAMPLE}"
        )
    try:
        if beside.stat().st_size > 1 << 24:
            raise ValueError("it is larger than 16 MiB")
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CanvasRefused(f"{beside} is not readable JSON ({error})") from None
    if isinstance(facts, dict) and isinstance(facts.get("pretrained_cfg"), dict):
        facts |= facts.pop("pretrained_cfg")  # as timm nests it in a config.json
    if not isinstance(facts, dict) or "input_size" not in facts:
        raise CanvasRefused(f"{beside} does not state input_size, for example {EXAMPLE}")
    check_known(beside.name, facts, KNOWN)
    return facts


def facts_beside(
    spec: str, path: Path, *, known: Iterable[str], lacks: str, remedy: str
) -> dict[str, Any]:
    """The JSON object in a file beside a model. Raises ModelRefused. lacks: what is unknown without."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise ModelRefused(spec, f"{path.name} beside it is missing or no JSON{lacks}", remedy)
    check_known(path.name, facts, known)
    return facts


def is_marked(rest: str) -> bool:
    """Whether a personalised copy lies where a spec, without its kind, says."""
    for text in (rest.partition("?")[0], rest.partition("@")[2]):
        path = Path(text).expanduser()
        if text and path.exists():
            return ((path if path.is_dir() else path.parent) / MARK).is_file()
    return False


def seal_named(spec: str, rest: str, graph: Any) -> str:
    """The seal that a model file, by its spec without the kind, opens: it stands in the file and in the
    JSON beside it. graph: of ONNX, as it was read. Raises ModelRefused where the two differ."""
    path = Path(rest).expanduser()
    if path.suffix.lower() not in (".onnx", ".pt2") or not path.with_suffix(".json").is_file():
        return ""
    stated, written = str(read_sidecar(path).get("sealed", "")), ""
    if graph is not None:
        written = next((one.value for one in graph.metadata_props if one.key == SEAL), "")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/extra/{SEAL}")]
            if names:
                with archive.open(names[0]) as held:  # a stranger's: no more than a name
                    written = held.read(_NAME).decode(errors="replace")
    if stated != written:
        mine, beside = (f"seal {one[:16]}" if one else "no seal" for one in (written, stated))
        raise ModelRefused(
            spec, f"it was written for {mine}, and the JSON beside it says {beside}",
            "put the JSON that was written with it beside it",
        )  # fmt: skip
    return stated


def canvas_facts(canvas: Canvas) -> dict[str, Any]:
    """The settings that `stated_canvas` reads as this canvas, on pictures of its size."""
    straight = list(canvas.order) == sorted(canvas.order)
    pairs = zip(canvas.gain, canvas.offset, strict=True)
    return {
        "input_size": list(canvas.shape),
        "mean": [round(0.0 - offset / gain, 9) for gain, offset in pairs],
        "std": [round(1 / gain, 9) for gain in canvas.gain],
        "input_space": "RGB" if straight else "BGR",
        "interpolation": canvas.fit.resample,
        "resize": canvas.height if canvas.fit.resize == "short" else [canvas.height, canvas.width],
    }


def stated_canvas(facts: dict[str, Any]) -> Canvas:
    """The canvas of a model's settings, in timm's words.

    "resize": the short side is brought there, or to [rows, columns] both, and the centre is cropped.
    Without it crop_pct says the size, where floor and round agree on it; crop_mode "squash", or a
    window that is not square, brings both sides there. Raises InvalidArgument.
    """
    facts = _plain_words(facts)
    channels, height, width = _whole("input_size", facts["input_size"], 3)
    if channels not in (1, 3):
        raise InvalidArgument("input_size", expected="1 or 3 channels", found=channels)
    space = _one_of("input_space", facts.get("input_space", "RGB"), ("RGB", "BGR"))
    top = _one_of("input_range", facts.get("input_range", [0, 1]), ([0, 1], [0, 255]))[1]
    mean = _shares("mean", facts.get("mean", [0.0] * channels), channels, top)
    std = _shares("std", facts.get("std", [1.0] * channels), channels, top)
    if min(std) < 1e-9:
        raise InvalidArgument("std", expected="no zero", found=facts["std"])
    both, rows, columns = _resized(facts, height, width)
    fit = Fit(
        resize="exact" if both else "short",
        height=rows,
        width=columns,
        resample=resample_name(facts.get("interpolation", "bicubic"), argument="interpolation"),
        crop="round",
    )
    order = tuple(range(channels))
    return Canvas(
        height=rows,
        width=columns,
        top=centre(rows, height, rounding="round"),
        left=centre(columns, width, rounding="round"),
        window_height=height,
        window_width=width,
        channels=channels,
        gain=tuple(1 / value for value in std),
        offset=tuple(0.0 - m / s for m, s in zip(mean, std, strict=True)),
        order=order if space == "RGB" else order[::-1],
        fit=fit,
    )


def _resized(facts: dict[str, Any], height: int, width: int) -> tuple[bool, int, int]:
    """Whether both sides are brought somewhere, and where: rows and columns."""
    mode = _one_of("crop_mode", facts.get("crop_mode"), (None, "center", "squash"))
    if (asked := facts.get("resize")) is not None:
        sides = _whole(
            "resize", asked if isinstance(asked, list) else [asked], 1 + isinstance(asked, list)
        )
        if sides[0] < height or sides[-1] < width:
            raise InvalidArgument("resize", expected=f"at least {height} x {width}", found=asked)
        return len(sides) == 2 or mode == "squash", sides[0], sides[-1]
    if mode == "center" and height != width:
        raise InvalidArgument(
            "crop_mode", expected='squash, or "resize", for a window that is not square', found=mode
        )
    (share,) = _numbers("crop_pct", [facts.get("crop_pct") or 1.0], 1)
    if not 0.05 <= share <= 1:
        raise InvalidArgument("crop_pct", expected="0.05 to 1", found=share)
    for side in (height, width):
        low, near = math.floor(side / share), round(side / share)
        if low != near:
            raise InvalidArgument(
                "crop_pct", expected="a share that leaves one size",
                found=f"{share}: {side} / {share} is {low} as timm floors it and {near} rounded",
                remedy=f'say which, for timm {{"resize": {low}}}',
            )  # fmt: skip
    rows, columns = round(height / share), round(width / share)
    return mode == "squash" or rows != columns, rows, columns


def sidecar_pipeline(facts: dict[str, Any]) -> tuple[Canvas, Prepare]:
    """Canvas and preprocessing of a model file."""
    canvas = stated_canvas(facts)
    return canvas, canvas_prepare(canvas)


def class_names(spec: str, facts: dict[str, Any], count: int) -> tuple[str, ...]:
    """The names under "classes" or "label_names"; indices where there are none, or a remark in words.

    Raises ModelRefused where they, or "num_classes", are not as many as the logits.
    """
    stated = facts.get("num_classes", count)
    if stated != count:
        raise ModelRefused(
            spec, f"its num_classes is {stated!r:.20} and it answers with {count} logits"
        )
    names = facts.get("classes", facts.get("label_names"))
    if names is None or isinstance(names, str):
        return indices(count)
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ModelRefused(
            spec, "its classes are no list of names", 'write {"classes": ["cat", "dog"]}'
        )
    return named_labels(
        spec, {int(n) if str(n).isdecimal() else -1: names[n] for n in names}, count
    )


def check_known(where: str, facts: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises InvalidArgument for a setting that means nothing; those that begin with _ are remarks."""
    for name in facts:
        if name in known or name.startswith("_"):
            continue
        near = get_close_matches(_NEAR.get(name, name), known, n=1, cutoff=0.5)
        raise InvalidArgument(
            where, expected="settings that are known", found=name,
            remedy=f"the nearest known is {near[0]}" if near else f"known: {', '.join(sorted(known))}",
        )  # fmt: skip


def _plain_words(facts: dict[str, Any]) -> dict[str, Any]:
    """The settings under timm's names."""
    facts = dict(facts)
    for other, name in _ALSO.items():
        if other in facts:
            value = facts.pop(other)
            if facts.setdefault(name, value) != value:
                raise InvalidArgument(other, expected=f"what {name} says", found=value)
    return facts


def _one_of(name: str, value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        listed = ", ".join(json.dumps(one) for one in known if one is not None)
        raise InvalidArgument(name, expected=f"one of {listed}", found=json.dumps(value)[:40])
    return value


def _shares(name: str, values: object, count: int, top: int) -> list[float]:
    """Numbers of pixels from 0 to top, as shares of it. Raises InvalidArgument for other numbers."""
    numbers = _numbers(name, values, count)
    if min(numbers) < 0 or max(numbers) > top:
        larger = top == 1 and min(numbers) >= 0 and 1 < max(numbers) <= 255
        raise InvalidArgument(
            name, expected=f"numbers from 0 to {top}", found=values,
            remedy="these are of pixels from 0 to 255: divide them by 255"
            if larger else f"pixels go from 0 to {top} before the normalisation",
        )  # fmt: skip
    return [value / top for value in numbers]


def _whole(name: str, values: object, count: int) -> tuple[int, ...]:
    numbers = _numbers(name, values, count)
    if any(value != int(value) or not 1 <= value <= 1 << 14 for value in numbers):
        raise InvalidArgument(name, expected=f"{count} positive whole numbers", found=values)
    return tuple(int(value) for value in numbers)


def _numbers(name: str, values: object, count: int) -> tuple[float, ...]:
    good = isinstance(values, list) and len(values) == count
    if not good or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
        for v in values  # type: ignore[attr-defined]
    ):
        raise InvalidArgument(name, expected=f"a list of {count} finite numbers", found=values)
    return tuple(float(value) for value in values)  # type: ignore[attr-defined]
