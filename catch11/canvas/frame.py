"""A model's own resize, crop and normalisation, and the picture size at which the first two are idle.

A picture saved at the canvas size passes the model's stock preprocessing untouched: the model sees
the window of it, normalised, and never the margin. Everything here is numbers and tensors; pictures
are opened and resized by those who hold an image library, by the rule stated in `Fit`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.fit import Fit, centre, check_sides, is_whole
from catch11.errors import InvalidArgument

CHANNELS = 1 << 10  # of a sound's features; a picture has four at most
RATE = 1 << 20  # samples a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The released picture, the window the model sees in it, and the model's normalisation.

    Sizes in pixels. A picture v is RGB in [0, 1]; the model's input channel c is
    gain[c] * v[order[c]] + offset[c]. rate: 0 for pictures; for sounds the samples a second, and
    then a window is one row of samples, or the features a model computes of them.
    """

    height: int
    width: int
    top: int
    left: int
    window_height: int
    window_width: int
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    fit: Fit
    channels: int = 3
    order: tuple[int, ...] = (0, 1, 2)
    rate: int = 0

    def __post_init__(self) -> None:
        check_sides("canvas", "", self.height, self.width)
        check_sides("canvas", "window_", self.window_height, self.window_width)
        if not is_whole(self.rate) or not 0 <= self.rate <= RATE:
            raise InvalidArgument("canvas.rate", expected="samples a second", found=self.rate)
        _inside("top", self.top, self.window_height, self.height)
        _inside("left", self.left, self.window_width, self.width)
        most = CHANNELS if self.rate else 4
        if not is_whole(self.channels) or not 1 <= self.channels <= most:
            raise InvalidArgument("canvas.channels", expected=f"1 to {most}", found=self.channels)
        _numbers("canvas.gain", self.gain, self.channels)
        _numbers("canvas.offset", self.offset, self.channels)
        if any(abs(value) < 1e-12 for value in self.gain):
            raise InvalidArgument("canvas.gain", expected="no zero", found=self.gain)
        if not all(map(is_whole, self.order)) or sorted(self.order) != list(range(self.channels)):
            raise InvalidArgument(
                "canvas.order",
                expected=f"a permutation of {self.channels} channels",
                found=self.order,
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (channel, height, width) of the window."""
        return self.channels, self.window_height, self.window_width

    @property
    def size(self) -> tuple[int, int, int]:
        """Shape (channel, height, width) of the whole picture."""
        return self.channels, self.height, self.width

    @property
    def sound(self) -> bool:
        """Whether it is of a model of sounds."""
        return self.rate > 0

    @property
    def waveform(self) -> bool:
        """Whether a window is raw samples, which a wav file holds."""
        return self.sound and self.shape[:2] == (1, 1)

    @property
    def neutral(self) -> tuple[float, ...]:
        """For each picture channel the value, in [0, 1] as a rule, that the model reads as 0."""
        values = [0.0] * self.channels
        for channel, gain, offset in zip(self.order, self.gain, self.offset, strict=True):
            values[channel] = -offset / gain
        return tuple(values)

    def normalise(
        self, window: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Windows in pixel units to the model's input; differentiable, dtype and device kept."""
        self._check_channels(window)
        gain, offset = self._affine(window)
        return window[:, list(self.order)] * gain + offset

    def denormalise(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The model's input back to windows in pixel units."""
        self._check_channels(values)
        gain, offset = self._affine(values)
        back = sorted(range(self.channels), key=self.order.__getitem__)
        return ((values - offset) / gain)[:, back]

    def window(
        self, image: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel window_height window_width"]:
        """What the model sees of whole canvas pictures (a view)."""
        if tuple(image.shape[1:]) != self.size:
            raise InvalidArgument(
                "image", expected=f"(n, {_text(self.size)})", found=tuple(image.shape)
            )
        return image[..., self._rows, self._columns]

    def place(
        self,
        window: Float[Tensor, "batch channel window_height window_width"],
        background: Float[Tensor, "batch channel height width"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Whole canvas pictures: the windows set into (a copy of) the background."""
        if tuple(window.shape[1:]) != self.shape:
            raise InvalidArgument(
                "window", expected=f"(n, {_text(self.shape)})", found=tuple(window.shape)
            )
        if tuple(background.shape) != (len(window), *self.size):
            expected = f"({len(window)}, {_text(self.size)})"
            raise InvalidArgument("background", expected=expected, found=tuple(background.shape))
        image = background.clone()
        image[..., self._rows, self._columns] = window
        return image

    def cut(self, height: int, width: int) -> tuple[int, int]:
        """(top, left) of the canvas in a picture already resized to height x width by the fit.

        Raises InvalidArgument where the picture is smaller than the canvas.
        """
        if height < self.height or width < self.width:
            raise InvalidArgument(
                "picture",
                expected=f"at least {self.height} x {self.width} pixels (this model does not resize)",
                found=f"{height} x {width}",
            )
        top = centre(height, self.window_height, rounding=self.fit.crop) - self.top
        left = centre(width, self.window_width, rounding=self.fit.crop) - self.left
        return min(max(top, 0), height - self.height), min(max(left, 0), width - self.width)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, as JSON writes them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key != "rate" or value  # keys and releases of pictures are older than sounds
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Canvas":
        """The inverse of `to_dict`; the input is checked as a stranger's. Raises InvalidArgument."""
        if isinstance(facts, Mapping):
            facts = {"rate": 0, **facts}
        facts = _fields("canvas", facts, cls)
        for name in ("gain", "offset", "order"):
            if not isinstance(facts[name], list | tuple):
                raise InvalidArgument(f"canvas.{name}", expected="a list", found=facts[name])
        fit = Fit(**_fields("fit", facts["fit"], Fit))
        lists = {name: tuple(facts[name]) for name in ("gain", "offset", "order")}
        return cls(**{**facts, **lists, "fit": fit})

    @property
    def rims(self) -> tuple[tuple[Any, slice, slice], ...]:
        """Where the margin is in whole pictures: above, below, left, right."""
        rows, columns, whole = self._rows, self._columns, slice(None)
        return (
            (..., slice(rows.start), whole), (..., slice(rows.stop, None), whole),
            (..., rows, slice(columns.start)), (..., rows, slice(columns.stop, None)),
        )  # fmt: skip

    @property
    def _rows(self) -> slice:
        return slice(self.top, self.top + self.window_height)

    @property
    def _columns(self) -> slice:
        return slice(self.left, self.left + self.window_width)

    def _affine(self, like: Tensor) -> tuple[Tensor, Tensor]:
        gain = torch.tensor(self.gain, dtype=torch.float64).to(like)
        offset = torch.tensor(self.offset, dtype=torch.float64).to(like)
        return gain.view(1, -1, 1, 1), offset.view(1, -1, 1, 1)

    def _check_channels(self, images: Tensor) -> None:
        if images.dim() != 4 or images.shape[1] != self.channels:
            expected = f"(n, {self.channels}, height, width)"
            raise InvalidArgument("window", expected=expected, found=tuple(images.shape))


def _fields(name: str, facts: object, of: type) -> dict[str, Any]:
    known = set(of.__dataclass_fields__)  # type: ignore[attr-defined]
    if not isinstance(facts, Mapping) or set(facts) != known:
        found = sorted(map(str, facts)) if isinstance(facts, Mapping) else type(facts).__name__
        raise InvalidArgument(name, expected=f"the fields {sorted(known)}", found=found)
    return dict(facts)


def _inside(name: str, start: object, inner: int, outer: int) -> None:
    if not is_whole(start) or not 0 <= start <= outer - inner:  # type: ignore[operator]
        expected = f"a window of {inner} inside {outer} pixels"
        raise InvalidArgument(f"canvas.{name}", expected=expected, found=f"a start at {start}")


def _numbers(name: str, values: Sequence[float], count: int) -> None:
    good = len(values) == count and all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )
    if not good:
        raise InvalidArgument(name, expected=f"{count} finite numbers", found=values)


def _text(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
