"""Wave files from outside: every format that is read, everything that is refused, and the window."""

import contextlib
import struct
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import Clip, decode_clip, encode_clip, fit_clip, heard, open_clip, resample
from catch11.errors import UnreadableSound

WAVE = (0.5 * np.sin(np.arange(200) / 7)).astype(np.float64)


class Kind(NamedTuple):
    name: str
    values: np.ndarray
    step: float


KINDS = (
    Kind("8", np.round(WAVE * 127 + 128).astype(np.uint8), 1 / 128),
    Kind("16", np.round(WAVE * 32767).astype(np.int16), 1 / 32768),
    Kind("32", np.round(WAVE * (2**31 - 1)).astype(np.int32), 1e-6),
    Kind("float", WAVE.astype(np.float32), 1e-6),
    Kind("double", WAVE, 1e-6),
)


def written(values: np.ndarray, rate: int = 8000) -> bytes:
    stream = BytesIO()
    wavfile.write(stream, rate, values)
    return stream.getvalue()


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.name)
def test_what_another_library_writes_is_read(row: Kind) -> None:
    clip = decode_clip(written(row.values, 11025))
    assert clip.rate == 11025
    np.testing.assert_allclose(clip.samples, WAVE, atol=row.step)


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.name)
def test_channels_are_mixed_down_to_their_mean(row: Kind) -> None:
    other = row.values[::-1]
    clip = decode_clip(written(np.stack([row.values, other], axis=1)))
    np.testing.assert_allclose(clip.samples, (WAVE + WAVE[::-1]) / 2, atol=row.step)


def test_24_bits() -> None:
    whole = np.round(WAVE * (2**23 - 1)).astype("<i4")
    body = whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    facts = struct.pack("<HHIIHH", 1, 1, 8000, 24000, 3, 24)
    data = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + facts
    clip = decode_clip(data + b"data" + struct.pack("<I", len(body)) + body)
    np.testing.assert_allclose(clip.samples, WAVE, atol=2e-7)


def test_unknown_chunks_and_extensible_headers_are_stepped_over() -> None:
    body = np.round(WAVE * 32767).astype("<i2").tobytes()
    facts = struct.pack("<HHIIHHHHIH14x", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 0, 1)
    data = b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", 3) + b"abc\0fmt "
    data += struct.pack("<I", len(facts)) + facts + b"data" + struct.pack("<I", len(body)) + body
    np.testing.assert_allclose(decode_clip(data).samples, WAVE, atol=1 / 32768)


@pytest.mark.parametrize("bits", [16, 32])
def test_what_is_written_is_what_scipy_reads(bits: int) -> None:
    rate, values = wavfile.read(BytesIO(encode_clip(WAVE, 8000, bits=bits)))
    scale = 32768 if bits == 16 else 1
    assert rate == 8000
    np.testing.assert_allclose(values / scale, WAVE, atol=0.51 / 32768 if bits == 16 else 1e-7)


GOOD = written(KINDS[1].values)
HOSTILE = {
    "empty": (b"", "it is empty"),
    "text": (b"hello, this is no sound at all", "not a RIFF wave file"),
    "header only": (GOOD[:44], "cut short"),
    "cut": (GOOD[:-100], "cut short: 300 of 400 bytes"),
    "no samples": (written(np.zeros(0, np.int16)), "no samples"),
    "no data": (GOOD[:36], "it has no samples"),
    "silent header": (GOOD[:12] + b"fmt \x04\0\0\0abcd" + GOOD[36:], "does not say what"),
    "mp3 inside": (GOOD[:20] + b"\x55\0" + GOOD[22:], "of kind 85 with 16 bits"),
    "no channels": (GOOD[:22] + b"\0\0" + GOOD[24:], "0 channels"),
    "no rate": (GOOD[:24] + b"\0\0\0\0" + GOOD[28:], "at 0 samples a second"),
    "rate beyond": (GOOD[:24] + b"\xff\xff\xff\xff" + GOOD[28:], "4294967295 samples a second"),
    "odd block": (GOOD[:32] + b"\x07\0" + GOOD[34:], "block size"),
    "NaN": (written(np.full(9, np.nan, np.float32)), "no numbers"),
    "infinite": (written(np.full(9, np.inf, np.float32)), "no numbers"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_clause(name: str, tmp_path: Path) -> None:
    data, match = HOSTILE[name]
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(UnreadableSound, match=match):
        open_clip(path)


def test_a_folder_is_no_sound(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSound, match="not a usable sound"):
        open_clip(tmp_path)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_sound_or_a_sentence(data: bytes) -> None:
    for body in (data, GOOD[:36] + data, GOOD[: len(data) % 44] + data):
        with contextlib.suppress(UnreadableSound):
            assert np.isfinite(decode_clip(body).samples).all()


def test_a_shorter_sound_is_followed_by_silence_and_a_longer_one_cut() -> None:
    clip = Clip(samples=WAVE.astype(np.float32), rate=8000)
    window = heard(clip, rate=8000, samples=300)
    np.testing.assert_array_equal(window[:200], clip.samples)
    assert not window[200:].any()
    np.testing.assert_array_equal(heard(clip, rate=8000, samples=50), clip.samples[:50])


def test_loud_samples_are_clipped() -> None:
    clip = Clip(samples=np.array([-3.0, 0.5, 3.0], np.float32), rate=8000)
    assert heard(clip, rate=8000, samples=3).tolist() == [-1.0, 0.5, 1.0]
    assert fit_clip(clip, sound_canvas((1, 1, 3), rate=8000)).flatten().tolist() == [0.0, 0.75, 1.0]


def test_another_rate_is_resampled() -> None:
    time = np.arange(4410) / 44100
    clip = Clip(samples=np.sin(2 * np.pi * 300 * time).astype(np.float32), rate=44100)
    made = heard(clip, rate=8000, samples=800)
    expected = np.sin(2 * np.pi * 300 * np.arange(800) / 8000)
    np.testing.assert_allclose(made[100:700], expected[100:700], atol=5e-3)


def test_a_rate_without_a_usable_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="no usable ratio"):
        resample(np.zeros(9, np.float32), 1048573, 1048571)
    with pytest.raises(UnreadableSound, match="no usable ratio"):
        heard(Clip(samples=np.zeros(9, np.float32), rate=1048573), rate=1048571, samples=9)
