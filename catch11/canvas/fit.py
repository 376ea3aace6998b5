"""How a model's own pipeline brings a picture of any size to the canvas: resize, then crop."""

from dataclasses import dataclass
from typing import Literal, get_args

from catch11.errors import InvalidArgument

Resize = Literal["none", "exact", "short", "inside"]
Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Rounding = Literal["floor", "round"]

LARGEST = 1 << 14  # pixels a side; keeps a hostile key file from asking for terabytes
LONGEST = 1 << 20  # samples of a sound or cells of a row: a window one pixel high


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How the model's own pipeline brings a picture of any size to the canvas.

    resize "exact" squashes to height x width; "short" brings the short side to `height` (= `width`)
    and keeps the aspect, the long side rounded by `long`; "inside" keeps the aspect too, so that the
    picture fits into height x width, and fills the rest with the neutral colour; "none" leaves the
    size as it is. Then the window is cropped from the centre, an odd pixel split by `crop` ("floor": (big - small) // 2;
    "round": half to even, as Python rounds), and the canvas is cut around that window.
    """

    resize: Resize
    height: int
    width: int
    resample: Resample = "bicubic"
    long: Rounding = "floor"
    crop: Rounding = "floor"

    def __post_init__(self) -> None:
        _member("fit.resize", self.resize, get_args(Resize))
        _member("fit.resample", self.resample, get_args(Resample))
        _member("fit.long", self.long, get_args(Rounding))
        _member("fit.crop", self.crop, get_args(Rounding))
        check_sides("fit", "", self.height, self.width)
        if self.resize == "short" and self.height != self.width:
            raise InvalidArgument(
                "fit",
                expected="height equal to width for a short side",
                found=(self.height, self.width),
            )

    def target(self, height: int, width: int) -> tuple[int, int]:
        """The size (height, width) to which a picture of height x width is resized."""
        if self.resize == "none":
            return height, width
        if self.resize == "exact":
            return self.height, self.width
        if self.resize == "inside":
            scale = min(self.height / height, self.width / width)
            return max(1, round(scale * height)), max(1, round(scale * width))
        return short_side(height, width, side=self.height, long=self.long)


def short_side(height: int, width: int, *, side: int, long: Rounding = "floor") -> tuple[int, int]:
    """Size with the short side brought to `side` pixels and the aspect kept.

    "floor" is torchvision's and transformers' int(side * long / short); "round" is half to even.
    """
    short = min(height, width)
    if long == "floor":
        return side * height // short, side * width // short
    return round(side * height / short), round(side * width / short)


def centre(big: int, small: int, *, rounding: Rounding = "floor") -> int:
    """First pixel of a centred crop of `small` out of `big` pixels.

    "floor" is transformers' (big - small) // 2; "round" is torchvision's round half to even.
    """
    return (big - small) // 2 if rounding == "floor" else round((big - small) / 2)


def _member(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidArgument(name, expected="one of " + ", ".join(known), found=value)


def is_whole(value: object) -> bool:
    """Whether it is an int and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_sides(of: str, part: str, height: object, width: object) -> None:
    """Raises InvalidArgument unless two sides are pixels of a picture, or of one row."""
    for name, value, most in (
        ("height", height, LARGEST),
        ("width", width, LONGEST if height == 1 else LARGEST),
    ):
        if not is_whole(value) or not 1 <= value <= most:  # type: ignore[operator]
            expected = f"whole pixels from 1 to {most}"
            raise InvalidArgument(f"{of}.{part}{name}", expected=expected, found=value)
