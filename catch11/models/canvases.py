"""Derive the canvas of a preprocessing pipeline, and prove it by running the pipeline itself.

Settings only propose a canvas. It is accepted after the real preprocessing has been run on noise of
that size and returned exactly normalise(window), and on pictures of other sizes and returned what
`fit_picture` and the canvas predict; the normalisation is measured with pictures of one colour.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.fit import Fit, Resample, Resize, Rounding, centre
from catch11.canvas.frame import Canvas
from catch11.data.pictures import fit_picture
from catch11.errors import CanvasRefused, InvalidArgument

Prepare = Callable[[Sequence[Image.Image]], Tensor]
"""Pictures to the model's input (n, c, h, w): the pipeline as its own library runs it."""

LEVEL = 1 / 255
SAME = 2e-3 * LEVEL  # float32 arithmetic on 8-bit pictures stays a thousand times below a level
CLOSE = 4.5 * LEVEL  # torchvision's bicubic on 8-bit tensors differs from PIL's by up to two levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A size the pipeline may resize to and how: one candidate for the canvas."""

    resize: Resize
    height: int
    width: int
    resample: Resample = "bicubic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """Model input channel c = gain[c] * v[order[c]] + offset[c], v in [0, 1]."""

    gain: tuple[float, ...]
    offset: tuple[float, ...]
    order: tuple[int, ...]


def derive_canvas(
    prepare: Prepare, proposals: Iterable[Proposal], *, stated: Normalisation | None = None
) -> tuple[Canvas, tuple[str, ...]]:
    """The canvas of `prepare`, and sentences about where its fit is only nearly exact.

    Proposals are tried in order. `stated` gives the normalisation in full precision where the
    pipeline's settings name it; what is measured decides whether it is believed. Raises
    CanvasRefused with the reason of the proposal that came nearest.
    """
    failed: list[str] = []
    nearly: list[str] = []
    for proposal in dict.fromkeys(proposals):
        try:
            canvas = _first_canvas(prepare, proposal, stated)
        except Unfit as error:
            failed.append(str(error))
            continue
        fitted = _best_fit(prepare, canvas)
        if fitted is not None:
            return fitted
        nearly.append(
            f"pictures of {canvas.height} x {canvas.width} pixels pass untouched, but other sizes are not "
            "brought there by one resize and a centre crop"
        )
    nothing = "its preprocessing states no fixed size to which it resizes or crops"
    raise CanvasRefused([*nearly, *failed, nothing][0])


def canvas_prepare(canvas: Canvas) -> Prepare:
    """The preprocessing a canvas states: fit, cut the window, normalise."""

    def prepare(pictures: Sequence[Image.Image]) -> Float[Tensor, "n c h w"]:
        fitted = [torch.from_numpy(fit_picture(picture, canvas)) for picture in pictures]
        images = torch.stack(fitted).permute(0, 3, 1, 2).float() / 255
        return canvas.normalise(canvas.window(images))

    return prepare


class Unfit(Exception):
    """Why one proposal is not the canvas."""


def _first_canvas(prepare: Prepare, proposal: Proposal, stated: Normalisation | None) -> Canvas:
    """The proposal as a canvas with its normalisation, shown to pass the pipeline untouched."""
    height, width = proposal.height, proposal.width
    shape = _run(prepare, [noise(height, width, seed=0)]).shape[1:]
    if shape[1] > height or shape[2] > width:
        raise Unfit(f"a picture of {height} x {width} pixels is brought to {shape[1]} x {shape[2]}")
    measured = measure_normalisation(prepare, height, width)
    normalisation = believed(stated, measured)
    fit = Fit(resize=proposal.resize, height=height, width=width, resample=proposal.resample)
    reasons = []
    for crop in _roundings(height - shape[1], width - shape[2]):
        canvas = Canvas(
            height=height,
            width=width,
            top=centre(height, shape[1], rounding=crop),
            left=centre(width, shape[2], rounding=crop),
            window_height=shape[1],
            window_width=shape[2],
            gain=normalisation.gain,
            offset=normalisation.offset,
            order=normalisation.order,
            fit=replace(fit, crop=crop),
        )
        try:
            _check_untouched(prepare, canvas)
        except CanvasRefused as error:
            reasons.append(str(error).removeprefix("no canvas: ").split(";")[0])
        else:
            return canvas
    raise Unfit(reasons[0])


def _best_fit(prepare: Prepare, canvas: Canvas) -> tuple[Canvas, tuple[str, ...]] | None:
    """The canvas with the roundings that predict the pipeline on other sizes best."""
    both: tuple[Rounding, ...] = ("floor", "round")
    long = both if canvas.fit.resize == "short" else both[:1]
    best: tuple[float, Canvas] | None = None
    for side, crop in product(long, both):
        trial = _recropped(canvas, replace(canvas.fit, long=side, crop=crop))
        if trial is None:
            continue
        worst = _fit_error(prepare, trial)
        if worst <= SAME:
            return trial, ()
        if best is None or worst < best[0]:
            best = worst, trial
    if best is None or best[0] > CLOSE:
        return None
    return best[1], _remark(best[0])


def _recropped(canvas: Canvas, fit: Fit) -> Canvas | None:
    """The canvas with another fit, if that leaves the window of the canvas itself in its place."""
    top = centre(canvas.height, canvas.window_height, rounding=fit.crop)
    left = centre(canvas.width, canvas.window_width, rounding=fit.crop)
    return replace(canvas, fit=fit) if (top, left) == (canvas.top, canvas.left) else None


def _remark(worst: float) -> tuple[str, ...]:
    if worst <= SAME:
        return ()
    return (
        "pictures that are not of canvas size are resized a little differently here than by the "
        f"model's own preprocessing (by up to {worst / LEVEL:.1f} of 255 levels).",
    )


def measure_normalisation(prepare: Prepare, height: int, width: int) -> Normalisation:
    """The affine map a channel that a pipeline applies, from pictures of one colour each."""
    colours = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pictures = [Image.new("RGB", (width, height), colour) for colour in colours]
    values = _run(prepare, pictures).double().mean(dim=(2, 3))
    steps = values[1:] - values[0]  # (picture channel, model channel)
    order = tuple(int(source) for source in steps.abs().argmax(dim=0))
    gain = tuple(float(steps[source, channel]) for channel, source in enumerate(order))
    if len(order) != 3 or sorted(order) != [0, 1, 2] or any(abs(g) < 1e-9 for g in gain):
        raise Unfit(f"its {len(order)} input channels are not the three colours, each scaled")
    return Normalisation(gain=gain, offset=tuple(float(v) + 0.0 for v in values[0]), order=order)


def believed(stated: Normalisation | None, measured: Normalisation) -> Normalisation:
    """The stated numbers where the measured ones agree with them to float32's precision."""
    if stated is None or stated.order != measured.order:
        return measured
    pairs = zip((*stated.gain, *stated.offset), (*measured.gain, *measured.offset), strict=True)
    scale = max(map(abs, measured.gain))
    return stated if all(abs(a - b) <= 1e-5 * scale for a, b in pairs) else measured


def _check_untouched(prepare: Prepare, canvas: Canvas) -> None:
    """One picture, and then several at once, so that a random step shows itself."""
    for count in (1, 5, 4):
        pictures = [noise(canvas.height, canvas.width, seed=seed) for seed in range(count)]
        try:
            seen = _run(prepare, pictures)
        except Unfit as error:
            raise CanvasRefused(str(error)) from None
        expected = canvas.normalise(canvas.window(_tensor(pictures)))
        if difference(seen, expected, canvas) > SAME:
            raise CanvasRefused(
                f"its preprocessing does more to pictures of {canvas.height} x {canvas.width} pixels "
                "than crop and normalise them"
            )


def _fit_error(prepare: Prepare, canvas: Canvas) -> float:
    """Largest difference, in pixel units, between the pipeline and the fit on other sizes."""
    worst = 0.0
    for number, (height, width) in enumerate(_other_sizes(canvas)):
        picture = _blocks(height, width, seed=number)
        try:
            seen = _run(prepare, [picture])
        except Unfit:
            return float("inf")
        fitted = torch.from_numpy(fit_picture(picture, canvas)).permute(2, 0, 1)[None] / 255
        worst = max(worst, difference(seen, canvas.normalise(canvas.window(fitted)), canvas))
        if worst > CLOSE:
            return worst
    return worst


def _other_sizes(canvas: Canvas) -> list[tuple[int, int]]:
    """Sizes (height, width) that tell squashing from cropping and every rounding from the others."""
    height, width = canvas.height, canvas.width
    longer = [(height, width + extra) for extra in (1, 2, 3, 4, 5)]
    taller = [(height + extra, width) for extra in (1, 3, 6)]
    odd = [(2 * height + 3, 3 * width + 2), (height + 37, 2 * width + 15)]
    if canvas.fit.resize == "none":
        return longer + taller + odd
    small = [(height // 2 + 5, height // 2 + 9), (height - height // 8, 2 * width - 7)]
    return longer + taller + odd + small


def difference(seen: Tensor, expected: Tensor, canvas: Canvas) -> float:
    """The largest gap of two inputs of a model, in pixel units; infinite where none is known."""
    if seen.shape != expected.shape:
        return float("inf")
    gain = torch.tensor(canvas.gain).abs().view(1, -1, 1, 1)
    worst = ((seen - expected).abs() / gain).max()
    return float(worst) if bool(torch.isfinite(worst)) else float("inf")


def _run(prepare: Prepare, pictures: list[Image.Image]) -> Float[Tensor, "n c h w"]:
    try:
        values = prepare(pictures)
    except Exception as error:  # noqa: BLE001 - a stranger's pipeline may raise anything
        text = " ".join(str(error).split())[:160].rstrip(".")
        raise Unfit(f"its preprocessing fails on a plain picture ({text})") from None
    if not isinstance(values, Tensor) or values.dim() != 4 or len(values) != len(pictures):
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise Unfit(f"its preprocessing returns {found}, not one tensor (n, c, h, w)")
    return values.detach().float().cpu()


def _roundings(rows: int, columns: int) -> tuple[Rounding, ...]:
    return ("floor", "round") if rows % 2 or columns % 2 else ("floor",)


def noise(height: int, width: int, *, seed: int) -> Image.Image:
    """Independent 8-bit values: any resampling at all changes them."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def _blocks(height: int, width: int, *, seed: int) -> Image.Image:
    """Coarse colour blocks under fine noise, so that a shift and a resample both show."""
    generator = np.random.default_rng(1000 + seed)
    coarse = generator.integers(0, 200, (height // 8 + 1, width // 8 + 1, 3))
    tiles = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return Image.fromarray((tiles + generator.integers(0, 56, tiles.shape)).astype(np.uint8))


def _tensor(pictures: Sequence[Image.Image]) -> Float[Tensor, "n 3 h w"]:
    values = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(values).permute(0, 3, 1, 2).float() / 255


def positive_sizes(values: Iterable[object]) -> list[int]:
    """The whole positive numbers among settings of any type, in order and once each."""
    sizes: list[int] = []
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 1 << 14:
            sizes.append(int(value))
    return list(dict.fromkeys(sizes))


def resample_name(value: object, *, argument: str) -> Resample:
    """A resampling filter from PIL's number or its name; raises InvalidArgument."""
    try:
        name = Image.Resampling(value).name if isinstance(value, int) else str(value)
        return Image.Resampling[name.upper()].name.lower()  # type: ignore[return-value]
    except (KeyError, ValueError):
        known = ", ".join(item.name.lower() for item in Image.Resampling)
        raise InvalidArgument(argument, expected=f"one of {known}", found=value) from None
