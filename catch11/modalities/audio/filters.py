"""What is done to released sounds: filters, other rates, a lossy codec; and their frames.

Windows are (n, 1, 1, time) in pixel units, (sample + 1) / 2. Every function returns windows of the
same shape; nothing here sees a clean sound of what it attacks.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import amplitude

Waves = Float[Tensor, "batch 1 1 time"]
_BLOCK = 256  # of the codec, samples in half a window
_FRAME = 64  # samples of a usual piece


def low_pass(windows: Waves, *, share: float) -> Waves:
    """Every frequency above a share of the highest one taken away, by a real filter."""
    from scipy.signal import firwin

    taps = torch.from_numpy(firwin(63, share)).to(windows)
    made = torch.nn.functional.conv1d(_samples(windows)[:, None], taps[None, None], padding=31)
    return _windows(made[:, 0], windows)


def other_rate(windows: Waves, *, down: int) -> Waves:
    """Resampled to a `down`-th of the rate and back, by scipy's polyphase filter."""
    from scipy.signal import resample_poly

    samples = _samples(windows).numpy()
    made = resample_poly(resample_poly(samples, 1, down, axis=1), down, 1, axis=1)
    return _windows(torch.from_numpy(made[:, : samples.shape[1]].copy()), windows)


def codec(windows: Waves, *, decibels: float) -> Waves:
    """As lossy codecs do: a lapped cosine transform whose coefficients are rounded to steps that
    lie `decibels` below the loudness around them in frequency; a model of MP3, not MP3 itself."""
    samples = _samples(windows).double()
    padded = torch.nn.functional.pad(samples, (_BLOCK, 2 * _BLOCK))
    frames = padded.unfold(1, 2 * _BLOCK, _BLOCK)
    place = torch.arange(2 * _BLOCK, dtype=torch.float64)
    shape = torch.sin(torch.pi * (place + 0.5) / (2 * _BLOCK))
    bins = torch.arange(_BLOCK, dtype=torch.float64)
    angle = torch.pi / _BLOCK * (place[:, None] + 0.5 + _BLOCK / 2) * (bins + 0.5)
    cosine = torch.cos(angle) * (2.0 / _BLOCK) ** 0.5
    heard = (frames * shape) @ cosine
    around = torch.nn.functional.avg_pool1d(
        heard.square(), 17, 1, 8, count_include_pad=False
    ).sqrt()
    step = (around * amplitude(decibels)).clamp_min(1e-4) * 12.0**0.5
    back = ((heard / step).round() * step) @ cosine.T * shape
    made = torch.zeros_like(padded)
    for index in range(back.shape[1]):
        made[:, index * _BLOCK : (index + 2) * _BLOCK] += back[:, index]
    return _windows(made[:, _BLOCK : _BLOCK + samples.shape[1]], windows)


@dataclass(frozen=True, slots=True)
class Frames:
    """Sounds as frames of `size` samples every `step`; put together, each fades into the next."""

    size: int
    step: int

    def cut(self, windows: Waves) -> Float[Tensor, "batch frame sample"]:
        return _samples(windows).double().unfold(1, self.size, self.step)

    def paste(self, pieces: Float[Tensor, "batch frame sample"], like: Waves) -> Waves:
        if self.step == self.size:
            samples, made = _samples(like).clone(), pieces.flatten(1)
            samples[:, : made.shape[1]] = made.to(samples)
            return _windows(samples, like)
        total = torch.zeros(len(pieces), like.shape[-1], dtype=pieces.dtype)
        weight = torch.full((like.shape[-1],), 1e-9, dtype=pieces.dtype)
        fade = torch.from_numpy(np.hanning(self.size + 2)[1:-1])
        for index in range(pieces.shape[1]):
            place = slice(index * self.step, index * self.step + self.size)
            total[:, place] += pieces[:, index] * fade
            weight[place] += fade
        return _windows(total / weight, like)


def frames(size: int | None) -> Frames:
    """Frames of so many samples one after the other; the usual ones overlap by half."""
    return Frames(_FRAME, _FRAME // 2) if size is None else Frames(size, size)


def _samples(windows: Waves) -> Float[Tensor, "batch time"]:
    return windows[:, 0, 0] * 2.0 - 1.0


def _windows(samples: Tensor, like: Waves) -> Waves:
    """Samples as windows on the 16-bit grid of a file."""
    made = ((samples.clamp(-1.0, 1.0) + 1.0) / 2.0 * 65536.0).round().clamp(0, 65535) / 65536.0
    return made.to(like)[:, None, None]
