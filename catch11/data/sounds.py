"""Sounds from outside, treated as hostile, brought to a model's window.

Stated choices: what libsndfile reads of wave, FLAC and Ogg files, any number of channels, mixed down
to their mean; another sampling rate is resampled by scipy's polyphase filter; samples beyond [-1, 1]
are clipped, as every player does. A shorter sound is followed by silence, of a longer one the first
window is kept. Empty, truncated and not finite files are refused with a reason.
"""

import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from catch11.canvas.frame import RATE, Canvas
from catch11.data.pictures import read_source
from catch11.errors import MissingExtra, UnreadablePicture, UnreadableSound

SUFFIXES = frozenset({".wav", ".wave", ".flac", ".ogg", ".oga", ".opus"})
CHANNELS = 64
_MOST = (
    1 << 28
)  # samples of all channels: what two hours of stereo hold, far from what FLAC can state
# Sizes of a data chunk whose writer could not go back: FFFFFFFF of ffmpeg, 7FFFF000 of SoX, 80000000
# of arecord, all above MAX_BYTES; or none, and none of the whole file.
_ENDLESS, _UNSTATED = 0x7FFFF000, (b"\0\0\0\0", b"\xff\xff\xff\xff")
_BLOCK = 1 << 18  # samples of each channel decoded at a time
_TURNS = 1 << 14  # largest factor of a resampling: the filter has twenty taps for each


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A sound: one channel of samples, full scale [-1, 1], at `rate` samples a second."""

    samples: Float[np.ndarray, " time"]
    rate: int


def open_clip(path: str | os.PathLike[str]) -> Clip:
    """The sound in a file. Raises UnreadableSound, whose `reason` is one clause, and MissingExtra."""
    try:
        data = read_source(path)
    except UnreadablePicture as error:
        raise UnreadableSound(path, error.reason) from None
    return decode_clip(data, path=path)


def decode_clip(data: bytes, *, path: object = "sound", canvas: Canvas | None = None) -> Clip:
    """As `open_clip`, of bytes. canvas: keep what its window needs alone, so that a long sound takes no memory."""
    return _read(data, path, lambda file: _decoded(file, canvas))


def sound_size(data: bytes, *, path: object = "sound") -> int:
    """The samples of all channels that a sound states; nothing is decoded. Raises as `decode_clip` does."""
    return _read(data, path, lambda file: int(file.frames) * int(file.channels))


def _read(data: bytes, path: object, use: Callable[[Any], Result]) -> Result:
    soundfile = _soundfile()
    try:
        if not data.startswith((b"RIFF", b"fLaC", b"OggS")):
            raise _Bad("it is not a RIFF wave file, FLAC or Ogg")
        with soundfile.SoundFile(
            BytesIO(_whole(data) if data.startswith(b"RIFF") else data)
        ) as file:
            return use(file)
    except _Bad as error:
        raise UnreadableSound(path, str(error)) from None
    except soundfile.LibsndfileError as error:
        why = error.error_string.rstrip(".")
        raise UnreadableSound(path, f"it cannot be decoded ({why})") from None


def encode_clip(samples: Float[np.ndarray, " time"], rate: int, *, bits: int = 16) -> bytes:
    """A mono wave file: 16-bit PCM, rounded and clipped, or 32-bit floats as they are."""
    # libsndfile writes the time of day into a float file; scipy writes the samples alone.
    from scipy.io import wavfile

    stream = BytesIO()
    if bits == 16:
        samples = np.clip(np.round(samples * 32768.0), -32768, 32767)
    wavfile.write(stream, rate, samples.astype("<i2" if bits == 16 else "<f4"))
    return stream.getvalue()


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
    most = _reach(clip.rate, rate, samples)
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


def _decoded(file: Any, canvas: Canvas | None) -> Clip:
    rate, frames = int(file.samplerate), int(file.frames)
    if file.channels > CHANNELS or rate > RATE:
        raise _Bad(f"it states {file.channels} channels at {rate} samples a second")
    if frames * file.channels > _MOST:
        raise _Bad(f"it states more than {_MOST} samples")
    most = frames if canvas is None else _reach(rate, canvas.rate, canvas.window_width)
    kept, done = [np.zeros(0, dtype=np.float32)], 0
    while done < frames:
        block = file.read(min(_BLOCK, frames - done), dtype="float64", always_2d=True)
        if not len(block):
            raise _Bad(f"it is cut short: {done} of {frames} samples are there")
        if not np.isfinite(block).all():
            raise _Bad("it holds samples that are no numbers")
        if done < most:
            kept.append(block[: most - done].mean(axis=1).astype(np.float32))
        done += len(block)
    if not done:
        raise _Bad("it holds no samples")
    return Clip(samples=np.concatenate(kept), rate=rate)


def _reach(rate: int, to: int, samples: int) -> int:
    """How many samples at a rate a window of so many at another hangs on."""
    return math.ceil((samples + 1) * rate / to) + 64


def _whole(data: bytes) -> bytes:
    """A wave file that states what is there: one from a stream could not know its size. One that was
    cut is refused, as libsndfile takes what there is of it."""
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        place += 8
        there = len(data) - place
        if name == b"data":
            if size >= _ENDLESS or (size == 0 and data[4:8] in _UNSTATED):
                return data[: place - 4] + struct.pack("<I", there) + data[place:]
            if there < size:
                raise _Bad(f"it is cut short: {there} of {size} bytes of samples are there")
        place += size + size % 2
    return data


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError):  # the latter where libsndfile itself is missing
        raise MissingExtra("soundfile", "audio") from None
    return soundfile
