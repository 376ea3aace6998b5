"""The frame of every recoder: it checks, keys the randomness, rounds, measures. Final.

A variant returns images and reasons; it never rounds for the file, grades itself or draws secrets
but from the streams it is handed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Format, grid_of, psnr
from catch11.copies.personalize import CopySecret
from catch11.copies.scramble import Scramble
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key

Facts = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recoded:
    """What a recoder made of a batch.

    images: float32 on the grid of the format, of the size that went in. psnr: dB, peak 1, over the
    window, as a reader of the file measures it. front_shift: ‖A(x̃-x)‖₂ / ‖A(x-neutral)‖₂, x scrambled
    where the reader is a personalised copy. reasons: why an image must be withheld, None where it
    may be released.
    """

    images: Float[Tensor, "batch channel height width"]
    psnr: tuple[float, ...]
    front_shift: tuple[float, ...]
    reasons: tuple[str | None, ...]


class Recoder(ABC):
    """A key with settings; calling it recodes a batch. The result of an image depends on that image
    alone, or, for recoders that say so by `batch`, on its fixed chunk.

    copy: the secret of the personalised copy that the key was built from; each picture is then
    scrambled before anything else, since that is how the copy reads it.
    """

    method: ClassVar[str]
    batch: int = 8

    def __init__(self, key: Key, *, format: Format, copy: CopySecret | None = None) -> None:
        if format.startswith("wav") and not key.canvas.sound:
            raise InvalidArgument("format", expected="png8 or tensor", found=format)
        self.key = key
        self.format: Format = format
        self.grid = grid_of(format)
        if copy is not None:
            copy.check_key(key)
        self.scramble: Scramble | None = None if copy is None else copy.scramble

    @property
    @abstractmethod
    def settings(self) -> Facts:
        """Everything but the key that decides what a file looks like; public."""

    @abstractmethod
    def run(
        self,
        windows: Float[Tensor, "batch channel height width"],
        streams: Sequence[KeyedStream],
    ) -> tuple[Float[Tensor, "batch channel height width"], Sequence[str | None]]:
        """Recoded windows and reasons to withhold; one keyed stream a window."""

    @final
    def __call__(self, images: Tensor) -> Recoded:
        """Recode images, floats (n, channel, height, width) in [0, 1]: windows of the model, or whole canvas pictures.

        Whole pictures come back whole, with keyed noise in the margin that no model sees. Raises
        InvalidArgument on another shape, dtype or range.
        """
        clean = self._checked(images)
        windows = clean if self.scramble is None else self.scramble(clean)
        streams = [self._stream("recode", window) for window in windows]
        made, reasons = self.run(windows, streams) if len(windows) else (windows, ())
        made = self.grid.round(self.grid.clip(made.float()))
        whole = images.shape[1:] == self.key.canvas.size != self.key.canvas.shape
        return Recoded(
            images=self._framed(made, windows) if whole else made,
            psnr=self._measured(psnr, made, clean),
            front_shift=self._measured(self.key.front.relative_shift, made, windows),
            reasons=tuple(reasons) if len(windows) else (),
        )

    def _measured(
        self, measure: Callable[[Tensor, Tensor], Tensor], made: Tensor, windows: Tensor
    ) -> tuple[float, ...]:
        """A measure of each image by itself: alike in any batch, and within the cache."""
        pairs = zip(made, windows, strict=True)
        return tuple(float(measure(a[None], b[None])) for a, b in pairs)

    def _checked(self, images: Tensor) -> Tensor:
        canvas = self.key.canvas
        if images.ndim != 4 or images.shape[1:] not in (canvas.shape, canvas.size):
            raise InvalidArgument(
                "images", expected=f"shape (n, *{canvas.shape}) or (n, *{canvas.size})",
                found=tuple(images.shape),
            )  # fmt: skip
        if not images.is_floating_point():
            raise InvalidArgument(
                "images", expected="floats in [0, 1]", found=str(images.dtype),
                remedy="divide 8-bit values by 255",
            )  # fmt: skip
        images = images.float()
        if images.numel() and not (images.min() >= 0.0 and images.max() <= 1.0):
            found = f"values from {float(images.min()):.3g} to {float(images.max()):.3g}"
            raise InvalidArgument("images", expected="values in [0, 1]", found=found)
        if images.shape[1:] == canvas.shape:
            return images
        return canvas.window(images).contiguous()

    def _stream(self, purpose: str, window: Tensor) -> KeyedStream:
        """The stream of one window under these settings.

        The settings belong to it: with one noise at two strengths, x + a·z and x + b·z would give
        x away.
        """
        settings = repr(sorted(self.settings.items())).encode()
        return self.key.stream(
            self.method.encode(), settings, window_bytes(window), purpose=purpose
        )

    def _framed(self, made: Tensor, windows: Tensor) -> Tensor:
        """Windows on whole pictures whose margin is keyed noise on the grid, free of content."""
        canvas = self.key.canvas
        margins = torch.stack([self._stream("margin", w).uniform(canvas.size) for w in windows])
        return canvas.place(made, self.grid.round(margins.to(made)))


def window_bytes(window: Float[Tensor, "channel height width"]) -> bytes:
    """The window as the bytes that key its noise: float32, little-endian."""
    return window.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes()
