"""Sounds from outside, treated as hostile, brought to a model's window.

Stated choices: what libsndfile reads of wave, FLAC and Ogg files, any number of channels, mixed down
to their mean; another sampling rate is resampled by scipy's polyphase filter; samples beyond [-1, 1]
are clipped, as every player does. A shorter sound is followed by silence, of a longer one the first
window is kept. Empty, truncated and not finite files are refused with a reason.
"""

import math
import os
import struct
from dataclasses import dataclass
from io import BytesIO
from types import ModuleType

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
_TURNS = 1 << 14  # largest factor of a resampling: the filter has twenty taps for each


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


def decode_clip(data: bytes, *, path: object = "sound") -> Clip:
    """As `open_clip`, of bytes."""
    soundfile = _soundfile()
    try:
        return _decoded(soundfile, data)
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


def _decoded(soundfile: ModuleType, data: bytes) -> Clip:
    if not data.startswith((b"RIFF", b"fLaC", b"OggS")):
        raise _Bad("it is not a RIFF wave file, FLAC or Ogg")
    if data.startswith(b"RIFF"):
        data = _whole(data)
    with soundfile.SoundFile(BytesIO(data)) as file:
        if file.channels > CHANNELS or file.samplerate > RATE:
            raise _Bad(f"it states {file.channels} channels at {file.samplerate} samples a second")
        if file.frames * file.channels > _MOST:
            raise _Bad(f"it states more than {_MOST} samples")
        values = file.read(dtype="float64", always_2d=True)
        if len(values) < file.frames:
            raise _Bad(f"it is cut short: {len(values)} of {file.frames} samples are there")
    if not len(values):
        raise _Bad("it holds no samples")
    if not np.isfinite(values).all():
        raise _Bad("it holds samples that are no numbers")
    return Clip(samples=values.mean(axis=1).astype(np.float32), rate=file.samplerate)


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
