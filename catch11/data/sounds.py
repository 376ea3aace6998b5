"""Sounds from outside, treated as hostile, brought to a model's window.

Stated choices: RIFF wave files, PCM of 8, 16, 24 or 32 bits or floats of 32 or 64, any number of
channels, mixed down to their mean; another sampling rate is resampled by scipy's polyphase filter;
samples beyond [-1, 1] are clipped, as every player does. A shorter sound is followed by silence,
of a longer one the first window is kept. Compressed, empty, truncated and not finite files are
refused with a reason.
"""

import math
import os
import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from catch11.canvas.frame import RATE, Canvas
from catch11.data.pictures import read_source
from catch11.errors import UnreadablePicture, UnreadableSound

CHANNELS = 64
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_TURNS = 1 << 14  # largest factor of a resampling: the filter has twenty taps for each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A sound: one channel of samples, full scale [-1, 1], at `rate` samples a second."""

    samples: Float[np.ndarray, " time"]
    rate: int


def open_clip(path: str | os.PathLike[str]) -> Clip:
    """The sound in a wave file. Raises UnreadableSound, whose `reason` is one clause."""
    try:
        data = read_source(path)
    except UnreadablePicture as error:
        raise UnreadableSound(path, error.reason) from None
    return decode_clip(data, path=path)


def decode_clip(data: bytes, *, path: object = "sound") -> Clip:
    """As `open_clip`, of bytes."""
    try:
        facts, body = _chunks(data)
        rate, samples = _samples(facts, body)
    except _Bad as error:
        raise UnreadableSound(path, str(error)) from None
    return Clip(samples=samples, rate=rate)


def encode_clip(samples: Float[np.ndarray, " time"], rate: int, *, bits: int = 16) -> bytes:
    """A mono wave file: 16-bit PCM, rounded and clipped, or 32-bit floats as they are."""
    if bits == 16:
        body = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    else:
        body = samples.astype("<f4").tobytes()
    size = bits // 8
    kind = _PCM if bits == 16 else _FLOAT
    facts = struct.pack("<HHIIHH", kind, 1, rate, rate * size, size, bits)
    chunks = b"fmt " + struct.pack("<I", len(facts)) + facts
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def resample(samples: Float[np.ndarray, " time"], rate: int, to: int) -> Float[np.ndarray, " out"]:
    """The same sound at another rate, by scipy's polyphase filter. Raises ValueError."""
    if rate == to:
        return samples
    shared = math.gcd(rate, to)
    up, down = to // shared, rate // shared
    if max(up, down) > _TURNS:
        raise ValueError(f"{rate} samples a second have no usable ratio to {to}")
    from scipy.signal import resample_poly

    return resample_poly(samples.astype(np.float64), up, down).astype(np.float32)


def heard(clip: Clip, *, rate: int, samples: int) -> Float[np.ndarray, " time"]:
    """The window a model hears: resampled, clipped, cut or followed by silence; float32."""
    # What lies beyond the window is not resampled: a long recording costs no more than a short one.
    most = math.ceil((samples + 1) * clip.rate / rate) + 64
    try:
        made = resample(clip.samples[:most], clip.rate, rate)
    except ValueError as error:
        raise UnreadableSound("sound", str(error)) from None
    window = np.zeros(samples, dtype=np.float32)
    kept = made[:samples]
    window[: len(kept)] = np.clip(kept, -1.0, 1.0)
    return window


def fit_clip(clip: Clip, canvas: Canvas) -> Float[np.ndarray, "height width channel"]:
    """The window of a sound as the canvas holds it: (sample + 1) / 2, float32."""
    window = heard(clip, rate=canvas.rate, samples=canvas.window_width)
    return ((window + 1.0) / 2.0).astype(np.float32)[None, :, None]


class _Bad(Exception):
    """Why a file is not a usable sound; one clause."""


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    """The format and the samples of a RIFF wave file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _Bad("it is not a RIFF wave file")
    facts, place = b"", 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        body = data[place + 8 : place + 8 + size]
        if name == b"fmt ":
            facts = body
        elif name == b"data":
            if len(body) < size:
                raise _Bad(f"it is cut short: {len(body)} of {size} bytes of samples are there")
            return facts, body
        place += 8 + size + size % 2
    raise _Bad("it has no samples")


def _samples(facts: bytes, body: bytes) -> tuple[int, Float[np.ndarray, " time"]]:
    if len(facts) < 16:
        raise _Bad("it does not say what its samples are")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", facts[:16])
    if kind == _EXTENSIBLE and len(facts) >= 26:
        kind = int.from_bytes(facts[24:26], "little")
    if not 1 <= channels <= CHANNELS or not 1 <= rate <= RATE:
        raise _Bad(f"it states {channels} channels at {rate} samples a second")
    if block != channels * bits // 8:
        raise _Bad("its block size is not that of its samples")
    values = _decoded(kind, bits, body[: len(body) // block * block] if block else b"")
    if not len(values):
        raise _Bad("it holds no samples")
    if not np.isfinite(values).all():
        raise _Bad("it holds samples that are no numbers")
    mono = values.reshape(-1, channels).mean(axis=1, dtype=np.float64)
    return rate, mono.astype(np.float32)


def _decoded(kind: int, bits: int, body: bytes) -> np.ndarray:
    if kind == _PCM and bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.float32) - 128.0) / 128.0
    if kind == _PCM and bits == 16:
        return np.frombuffer(body, "<i2").astype(np.float32) / 32768.0
    if kind == _PCM and bits == 24:
        parts = np.frombuffer(body, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(parts), 4), np.uint8)
        wide[:, 1:] = parts
        return wide.view("<i4")[:, 0] / np.float64(1 << 31)
    if kind == _PCM and bits == 32:
        return np.frombuffer(body, "<i4") / np.float64(1 << 31)
    if kind == _FLOAT and bits in (32, 64):
        return np.frombuffer(body, f"<f{bits // 8}")
    raise _Bad(f"its samples are of kind {kind} with {bits} bits, neither PCM nor floats")
