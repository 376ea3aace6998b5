"""Canvases that are all window: whole pictures, sounds, and rows of a model's own values."""

from collections.abc import Sequence

from catch11.canvas.fit import Fit, Resample
from catch11.canvas.frame import Canvas


def plain_canvas(
    height: int,
    width: int,
    *,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    resample: Resample = "bicubic",
) -> Canvas:
    """The canvas of a model that sees the whole picture, squashed to height x width pixels.

    `mean` and `std` are in pixel units, one number a channel; their count is the channel count.
    """
    gain = tuple(1.0 / value for value in std)
    offset = tuple(0.0 - m / s for m, s in zip(mean, std, strict=True))
    fit = Fit(resize="exact", height=height, width=width, resample=resample)
    return _all_seen(height, width, gain=gain, offset=offset, fit=fit)


def sound_canvas(
    shape: tuple[int, int, int], *, rate: int, gain: float = 2.0, offset: float = -1.0
) -> Canvas:
    """The canvas of a model that hears a window of (channel, height, width) values.

    Of a waveform shape is (1, 1, samples), and v in [0, 1] stands for the sample 2 v - 1 in [-1, 1].
    Features are gain * v + offset. rate: samples a second.
    """
    channels, height, width = shape
    fit = Fit(resize="none", height=height, width=width)
    gains, offsets = (gain,) * channels, (offset,) * channels
    return _all_seen(height, width, gain=gains, offset=offsets, fit=fit, rate=rate)


def strip_canvas(columns: int) -> Canvas:
    """A window (1, 1, columns) of values in the model's own units, with nothing to normalise.

    Raises InvalidArgument where it is larger than a canvas may be.
    """
    fit = Fit(resize="none", height=1, width=columns)
    return _all_seen(1, columns, gain=(1.0,), offset=(0.0,), fit=fit)


def _all_seen(
    height: int,
    width: int,
    *,
    gain: tuple[float, ...],
    offset: tuple[float, ...],
    fit: Fit,
    rate: int = 0,
) -> Canvas:
    return Canvas(
        height=height,
        width=width,
        top=0,
        left=0,
        window_height=height,
        window_width=width,
        channels=len(gain),
        gain=gain,
        offset=offset,
        order=tuple(range(len(gain))),
        fit=fit,
        rate=rate,
    )
