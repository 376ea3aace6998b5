"""What is done to released sounds: filters, other rates, a lossy codec, and two who know more.

Windows are (n, 1, 1, time) in pixel units, (sample + 1) / 2. Every function returns windows of the
same shape; nothing here sees a clean sound of what it attacks.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import amplitude
from catch11.fronts.front import Front

Waves = Float[Tensor, "batch 1 1 time"]
Others = Float[Tensor, "_ 1 1 time"]
_BLOCK = 256  # of the codec, samples in half a window
_FRAME = 64  # of the Wiener filter
_FLOOR = 1e-6


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


def wiener(windows: Waves, public: Others) -> Waves:
    """The best linear estimate frame by frame, the noise's covariance taken to be what the released
    sounds have more than public ones; frames overlap by half."""
    both = [_frames(_samples(item)) for item in (windows, public)]
    noisy, clean = (frames.flatten(0, 1).T @ frames.flatten(0, 1) for frames in both)
    noisy, clean = noisy / both[0].flatten(0, 1).shape[0], clean / both[1].flatten(0, 1).shape[0]
    values, vectors = torch.linalg.eigh(noisy - clean)
    noise = (vectors * values.clamp_min(0.0)) @ vectors.T
    total = clean + noise + _FLOOR * torch.eye(_FRAME, dtype=clean.dtype)
    return _windows(_overlapped(both[0] @ torch.linalg.solve(total, clean), windows), windows)


def projected(windows: Waves, public: Others, front: Front) -> Waves:
    """By one who knows the authorized front of frames: what it sees is kept, the rest is the best
    linear guess from public sounds."""
    size = front.kernel[1]
    weight = front.weight.flatten(1).float()
    frames = _samples(windows).unfold(1, size, size)
    known = _samples(public).unfold(1, size, size).flatten(0, 1)
    covariance = known.T @ known / len(known) + _FLOOR * torch.eye(size)
    gain = torch.linalg.solve(weight @ covariance @ weight.T, weight @ covariance).T
    made = (frames @ weight.T @ gain.T).flatten(1)
    samples = _samples(windows).clone()
    samples[:, : made.shape[1]] = made
    return _windows(samples, windows)


def blind_attacks() -> Mapping[str, Callable[[Waves], Waves]]:
    """What needs nothing but the released sounds, by name."""
    return {
        "low-pass 1/2": lambda w: low_pass(w, share=0.5),
        "low-pass 1/4": lambda w: low_pass(w, share=0.25),
        "half the rate": lambda w: other_rate(w, down=2),
        "codec 12 dB": lambda w: codec(w, decibels=12.0),
        "codec 6 dB": lambda w: codec(w, decibels=6.0),
    }


def _frames(samples: Tensor) -> Float[Tensor, "batch frame sample"]:
    return samples.unfold(1, _FRAME, _FRAME // 2)


def _overlapped(frames: Tensor, like: Tensor) -> Float[Tensor, "batch time"]:
    """Frames back to samples, weighted so that each fades into the next."""
    total = torch.zeros(len(frames), like.shape[-1])
    weight = torch.full((like.shape[-1],), 1e-9)
    fade = torch.from_numpy(np.hanning(_FRAME + 2)[1:-1]).float()
    for index in range(frames.shape[1]):
        place = slice(index * _FRAME // 2, index * _FRAME // 2 + _FRAME)
        total[:, place] += frames[:, index] * fade
        weight[place] += fade
    return total / weight


def _samples(windows: Waves) -> Float[Tensor, "batch time"]:
    return windows[:, 0, 0] * 2.0 - 1.0


def _windows(samples: Tensor, like: Waves) -> Waves:
    """Samples as windows on the 16-bit grid of a file."""
    made = ((samples.clamp(-1.0, 1.0) + 1.0) / 2.0 * 65536.0).round().clamp(0, 65535) / 65536.0
    return made.to(like)[:, None, None]
