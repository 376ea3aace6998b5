"""The canvas of a vision-language model: a size its own processor leaves untouched, and the proof."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.fit import Fit, Resample
from catch11.canvas.frame import Canvas
from catch11.data.pictures import fit_picture
from catch11.errors import CanvasRefused, InvalidArgument
from catch11.models.canvases import (
    CLOSE,
    LEVEL,
    SAME,
    Prepare,
    Unfit,
    believed,
    difference,
    measure_normalisation,
    noise,
    resample_name,
)
from catch11.models.hub.transformers import stated_normalisation
from catch11.models.vlm.sight import Patches, Sight, Tiles

PROMPT = "Describe this image."
TOKENS = 16
SIDE = 448  # pixels: the default canvas of a model that takes any size
_KNOWN = "prompt=TEXT, tokens=N, size=HEIGHTxWIDTH, fit=squash or letterbox, video=1, stack=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a model is looked at and asked, as its spec says behind a question mark.

    size: of the canvas, height and width. fit: squash, letterbox or "" for the model's own way: how pictures of other sizes are brought there. video:
    files are frames, and noise must be unseen in either place of a pair of frames. stack: the front
    holds a thumbnail beside its tiles; without it a key is cheap, and good for deep recoding alone.
    """

    prompt: str = PROMPT
    tokens: int = TOKENS
    size: tuple[int, int] | None = None
    fit: str = ""
    video: bool = False
    stack: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.tokens <= 4096:
            raise InvalidArgument("tokens", expected="1 to 4096 words", found=self.tokens)
        if not self.prompt.strip():
            raise InvalidArgument("prompt", expected="a question", found="nothing")
        if self.fit not in ("", "squash", "letterbox"):
            raise InvalidArgument("fit", expected="squash or letterbox", found=self.fit)


def parse_asked(query: str) -> Asked:
    """The settings behind the question mark of a spec. Raises InvalidArgument."""
    facts: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _READ or name in facts:
            raise InvalidArgument("MODEL", expected=f"behind ? each of {_KNOWN} once", found=name)
        try:
            facts[name] = _READ[name](value)
        except ValueError:
            raise InvalidArgument("MODEL", expected=f"behind ? {_KNOWN}", found=value) from None
    return Asked(**facts)


def _size(text: str) -> tuple[int, int]:
    height, width = (int(side) for side in text.lower().split("x"))
    return height, width


_READ: dict[str, Callable[[str], Any]] = {
    "prompt": str, "tokens": int, "size": _size, "fit": str, "video": lambda text: bool(int(text)), "stack": lambda text: bool(int(text)),
}  # fmt: skip


def sight_of(processor: Any, family: str, asked: Asked) -> Sight:
    """How the model looks at a canvas of the size asked for, or of its default size.

    Raises CanvasRefused where its processor never leaves that size as it is.
    """
    images = processor.image_processor
    return (_tiles if family == "internvl" else _patches)(images, asked)


def _tiles(images: Any, asked: Asked) -> Tiles:
    size = images.size
    side = int(size["height"] if isinstance(size, dict) else size.height)
    height, width = asked.size or (side, side)
    if asked.video:
        raise InvalidArgument("video", expected="a model with a patch of two frames", found="tiles")
    if height < side or width < side or height % side or width % side:
        raise CanvasRefused(f"{height} x {width} pixels are no whole tiles of {side}")
    return Tiles(side=side, rows=height // side, columns=width // side)


def _patches(images: Any, asked: Asked) -> Patches:
    step = int(images.patch_size) * int(images.merge_size)
    low, high = (_edge(images.size, name) for name in ("shortest_edge", "longest_edge"))
    default = max(min(SIDE, int(high**0.5)) // step, -(-int(low**0.5) // step)) * step
    height, width = asked.size or (default, default)
    if height < step or width < step or height % step or width % step:
        raise CanvasRefused(f"{height} x {width} pixels are no multiples of {step}")
    if not low <= height * width <= high:
        raise CanvasRefused(
            f"{height} x {width} pixels are not within its budget of {low} to {high} pixels"
        )
    return Patches(
        patch=int(images.patch_size), merge=int(images.merge_size),
        frames=int(images.temporal_patch_size),
        rows=height // int(images.patch_size), columns=width // int(images.patch_size),
    )  # fmt: skip


def _edge(size: Any, name: str) -> int:
    return int(size[name] if isinstance(size, dict) else getattr(size, name))


def vlm_canvas(processor: Any, sight: Sight, asked: Asked) -> Canvas:
    """The canvas of a sight, its normalisation measured on the processor itself."""
    height, width = sight.window
    raw = raw_prepare(processor, sight)
    try:
        measured = measure_normalisation(raw, height, width)
    except Unfit as error:
        raise CanvasRefused(f"{error} of {height} x {width} pixels") from None
    normalisation = believed(stated_normalisation(processor.image_processor), measured)
    # A model of tiles squashes to one tile itself; one of patches keeps the aspect itself.
    squash = asked.fit == "squash" or (not asked.fit and isinstance(sight, Tiles))
    fit = Fit(
        resize="exact" if squash else "inside", height=height, width=width,
        resample=_resample(processor.image_processor),
    )  # fmt: skip
    return Canvas(
        height=height, width=width, top=0, left=0, window_height=height, window_width=width,
        gain=normalisation.gain, offset=normalisation.offset, order=normalisation.order, fit=fit,
    )  # fmt: skip


def _resample(images: Any) -> Resample:
    value = getattr(images, "resample", None)
    return resample_name(3 if value is None else int(value), argument="resample")


def stock_inputs(processor: Any, pictures: Sequence[Image.Image]) -> dict[str, Any]:
    """What the processor makes of pictures, one conversation each, as the model is given it."""
    colour = [picture.convert("RGB") for picture in pictures]
    text = [processor.image_token] * len(colour)
    # Before 5.0 the same call returns lists; one tensor each is what is asked for.
    return dict(processor(images=colour, text=text, return_tensors="pt", padding=True))


def raw_prepare(processor: Any, sight: Sight) -> Prepare:
    """Pictures of canvas size to normalised windows, by the processor alone."""

    def prepare(pictures: Sequence[Image.Image]) -> Float[Tensor, "n c h w"]:
        return sight.values(stock_inputs(processor, pictures), len(pictures)).float()

    return prepare


def vlm_prepare(processor: Any, sight: Sight, canvas: Canvas) -> Prepare:
    """Pictures of any size: brought to the canvas as its fit says, then the processor."""
    raw = raw_prepare(processor, sight)

    def prepare(pictures: Sequence[Image.Image]) -> Float[Tensor, "n c h w"]:
        return raw([Image.fromarray(fit_picture(picture, canvas)) for picture in pictures])

    return prepare


def prove_sight(processor: Any, sight: Sight, canvas: Canvas) -> tuple[str, ...]:
    """Hold sight and canvas against the processor; sentences where they only nearly agree.

    The processor's output on noise of canvas size must be the normalised window, rearranged, and the
    sight must give that output back. Raises CanvasRefused.
    """
    notes: tuple[str, ...] = ()
    for count in (1, 2):
        pictures = [noise(canvas.height, canvas.width, seed=seed) for seed in range(count)]
        stock = stock_inputs(processor, pictures)
        try:
            seen = sight.values(stock, count)
        except ValueError as error:
            raise CanvasRefused(
                f"{error} where {canvas.height} x {canvas.width} pixels are asked for"
            ) from None
        pixels = torch.stack([torch.from_numpy(np.array(one)) for one in pictures])
        expected = canvas.normalise(pixels.permute(0, 3, 1, 2).float() / 255)
        if difference(seen, expected, canvas) > SAME:
            raise CanvasRefused("its processor does more than normalise pictures of that size")
        made = sight.inputs(seen, canvas)
        if any(made[name].shape != torch.as_tensor(stock[name]).shape for name in made):
            raise CanvasRefused("its processor arranges pictures in another way than is known here")
        off = float((made["pixel_values"] - torch.as_tensor(stock["pixel_values"])).abs().max())
        off /= max(map(abs, canvas.gain))
        if off > CLOSE:
            raise CanvasRefused("its processor arranges pictures in another way than is known here")
        if off > SAME:
            notes = (
                f"its thumbnail differs by up to {off / LEVEL:.1f} of 255 levels from the one "
                "computed here.",
            )
    return notes
