"""The JSON beside a model: how pictures are prepared for it, its class names, the mark of a copy."""

import json
import math
from pathlib import Path
from typing import Any

from catch11.canvas.fit import Fit, centre
from catch11.canvas.frame import Canvas
from catch11.errors import CanvasRefused, InvalidArgument, ModelRefused
from catch11.models.canvases import Prepare, canvas_prepare, resample_name

MARK = "catch11-copy.json"  # beside a copy: says that it is one, and nothing secret
EXAMPLE = (
    '{"input_size": [3, 224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
)


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
    if not isinstance(facts, dict) or "input_size" not in facts:
        raise CanvasRefused(f"{beside} does not state input_size, for example {EXAMPLE}")
    return facts


def facts_beside(spec: str, path: Path, *, lacks: str, remedy: str) -> dict[str, Any]:
    """The JSON object in a file beside a model. Raises ModelRefused. lacks: what is unknown without."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise ModelRefused(spec, f"{path.name} beside it is missing or no JSON{lacks}", remedy)
    return facts


def is_marked(rest: str) -> bool:
    """Whether a personalised copy lies where a spec, without its kind, says."""
    for text in (rest.partition("?")[0], rest.partition("@")[2]):
        path = Path(text).expanduser()
        if text and path.exists():
            return ((path if path.is_dir() else path.parent) / MARK).is_file()
    return False


def stated_canvas(facts: dict[str, Any]) -> Canvas:
    """The canvas of settings input_size, mean, std, interpolation and crop_pct.

    The short side is brought to round(size / crop_pct), then the centre is cropped; a window that
    is not square is squashed to its own size over crop_pct. Raises InvalidArgument.
    """
    channels, height, width = _whole("input_size", facts["input_size"], 3)
    if channels not in (1, 3):
        raise InvalidArgument("input_size", expected="1 or 3 channels", found=channels)
    mean = _numbers("mean", facts.get("mean", [0.0] * channels), channels)
    std = _numbers("std", facts.get("std", [1.0] * channels), channels)
    if min(map(abs, std)) < 1e-9:
        raise InvalidArgument("std", expected="no zero", found=std)
    (share,) = _numbers("crop_pct", [facts.get("crop_pct") or 1.0], 1)
    if not 0.05 <= share <= 1:
        raise InvalidArgument("crop_pct", expected="0.05 to 1", found=share)
    rows, columns = round(height / share), round(width / share)
    resample = resample_name(facts.get("interpolation", "bicubic"), argument="interpolation")
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
        order=tuple(range(channels)),
        fit=Fit(
            resize="short" if rows == columns else "exact",
            height=rows,
            width=columns,
            resample=resample,
            crop="round",
        ),
    )


def sidecar_pipeline(facts: dict[str, Any]) -> tuple[Canvas, Prepare]:
    """Canvas and preprocessing of a model file."""
    canvas = stated_canvas(facts)
    return canvas, canvas_prepare(canvas)


def class_names(facts: dict[str, Any], count: int) -> tuple[str, ...]:
    """The names under "classes" where they are a list of the right length, else the indices."""
    names = facts.get("classes")
    if isinstance(names, dict):
        names = [names.get(str(index)) for index in range(count)]
    usable = (
        isinstance(names, list) and len(names) == count and all(isinstance(n, str) for n in names)
    )
    return tuple(names) if usable else tuple(str(index) for index in range(count))  # type: ignore[arg-type]


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
