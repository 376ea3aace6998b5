"""Wave files from outside: every format that is read, everything that is refused, and the window."""

import contextlib
import re
import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import (
    Clip,
    decode_clip,
    encode_clip,
    fit_clip,
    heard,
    open_clip,
    resample,
    sound_size,
)
from catch11.errors import MissingExtra, UnreadableSound

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
    pcm = bytes.fromhex("0100000000001000800000aa00389b71")
    facts = struct.pack("<HHIIHHHHI16s", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 0, pcm)
    data = b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", 3) + b"abc\0fmt "
    data += struct.pack("<I", len(facts)) + facts + b"data" + struct.pack("<I", len(body)) + body
    np.testing.assert_allclose(decode_clip(data).samples, WAVE, atol=1 / 32768)


@pytest.mark.parametrize("bits", [16, 32])
def test_what_is_written_is_what_scipy_reads(bits: int) -> None:
    rate, values = wavfile.read(BytesIO(encode_clip(WAVE, 8000, bits=bits)))
    scale = 32768 if bits == 16 else 1
    assert rate == 8000
    np.testing.assert_allclose(values / scale, WAVE, atol=0.51 / 32768 if bits == 16 else 1e-7)


def coded(kind: str) -> bytes:
    stream = BytesIO()
    soundfile.write(stream, WAVE, 8000, format=kind)
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "step"), [("FLAC", 1 / 32768), ("OGG", 0.1), ("WAV", 1 / 32768)])
def test_flac_and_ogg_are_read(kind: str, step: float) -> None:
    clip = decode_clip(coded(kind))
    assert clip.rate == 8000
    np.testing.assert_allclose(clip.samples, WAVE, atol=step)


def test_a_header_of_two_minds_is_read_where_its_samples_are_clear() -> None:
    odd_block = GOOD[:32] + b"\x07\0" + GOOD[34:]
    np.testing.assert_array_equal(decode_clip(odd_block).samples, decode_clip(GOOD).samples)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtra, match=r"soundfile is needed .* 'catch11\[audio\]'"):
        decode_clip(GOOD)


def test_what_is_written_holds_nothing_but_samples() -> None:
    """No time, no program's name: the same samples are the same bytes, of known chunks."""
    for bits, size in ((16, 2), (32, 4)):
        data = encode_clip(WAVE, 8000, bits=bits)
        assert len(data) <= size * len(WAVE) + 58
        assert set(re.findall(rb"[A-Za-z]{3}[A-Za-z ]", data[: -size * len(WAVE)])) <= {
            b"RIFF", b"WAVE", b"fmt ", b"fact", b"data"
        }  # fmt: skip


GOOD = written(KINDS[1].values)
# 36 bits of a FLAC header are its number of samples; a file of a kilobyte may state any.
LONG = coded("FLAC")[:21] + b"\xff\xff\xff\xff\xff" + coded("FLAC")[26:]
HOSTILE = {
    "empty": (b"", "it is empty"),
    "text": (b"hello, this is no sound at all", "not a RIFF wave file"),
    "header only": (GOOD[:44], "cut short"),
    "cut": (GOOD[:-100], "cut short: 300 of 400 bytes"),
    "no samples": (written(np.zeros(0, np.int16)), "no samples"),
    "no data": (GOOD[:36], r"cannot be decoded \(.*No 'data' chunk marker\)"),
    "silent header": (GOOD[:12] + b"fmt \x04\0\0\0abcd" + GOOD[36:], "Short 'fmt ' chunk"),
    "mp3 inside": (GOOD[:20] + b"\x55\0" + GOOD[22:], "Malformed 'fmt ' chunk"),
    "no channels": (GOOD[:22] + b"\0\0" + GOOD[24:], "Channel count is zero"),
    "65 channels": (written(np.zeros((9, 65), np.int16)), "states 65 channels at 8000 samples"),
    "no rate": (GOOD[:24] + b"\0\0\0\0" + GOOD[28:], "cannot be decoded"),
    "rate beyond": (GOOD[:24] + b"\xff\xff\xff\xff" + GOOD[28:], "cannot be decoded"),
    "rate above ours": (written(KINDS[1].values, (1 << 24) + 1), "1 channels at 16777217 samples"),
    "no wave": (b"RIFF\x04\0\0\0WEBP" + bytes(20), "Format not recognised"),
    "FLAC, cut": (coded("FLAC")[:-60], "cannot be decoded|cut short"),
    "Ogg, cut": (coded("OGG")[:60], "cannot be decoded"),
    "more than fits": (LONG, "states more than 268435456 samples"),
    "NaN": (written(np.full(9, np.nan, np.float32)), "no numbers"),
    "infinite": (written(np.full(9, np.inf, np.float32)), "no numbers"),
}


@pytest.mark.parametrize(
    ("file", "samples"),
    [(~0, ~0), (0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000), (~0, 0), (0, 0)],
)
def test_a_streamed_file_is_all_that_is_there(file: int, samples: int) -> None:
    sizes = [struct.pack("<I", size & 0xFFFFFFFF) for size in (file, samples)]
    assert GOOD[36:40] == b"data"
    data = GOOD[:4] + sizes[0] + GOOD[8:40] + sizes[1] + GOOD[44:]
    np.testing.assert_array_equal(decode_clip(data).samples, decode_clip(GOOD).samples)


def test_no_samples_are_none_where_the_file_states_its_size() -> None:
    data = GOOD[:40] + bytes(4) + b"LIST\4\0\0\0abcd"
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    with pytest.raises(UnreadableSound, match="no samples"):
        decode_clip(data)


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
    bodies = (data, GOOD[:36] + data, GOOD[: len(data) % 44] + data)
    for body in (*bodies, coded("FLAC")[:42] + data, coded("OGG")[:58] + data):
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


def test_a_long_sound_takes_no_memory_and_gives_the_same_window() -> None:
    """Eight million samples, of which the window needs a thousandth: blocks of them are held at a time."""
    import tracemalloc

    long = np.zeros((1 << 23, 1), dtype=np.int16)
    long[:20000, 0] = np.random.default_rng(1).integers(-3000, 3000, 20000)
    made = BytesIO()
    soundfile.write(made, long, 44100, format="FLAC")
    canvas = sound_canvas((1, 1, 4000), rate=16000)
    whole = fit_clip(decode_clip(made.getvalue()), canvas)
    tracemalloc.start()
    clip = decode_clip(made.getvalue(), canvas=canvas)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(fit_clip(clip, canvas), whole)
    assert peak < 32 << 20, peak
    assert sound_size(made.getvalue()) == 1 << 23


def test_a_long_sound_that_is_cut_after_its_window_is_refused() -> None:
    made = BytesIO()
    soundfile.write(made, np.zeros((1 << 20, 1), dtype=np.int16), 44100, format="WAV")
    canvas = sound_canvas((1, 1, 4000), rate=16000)
    with pytest.raises(UnreadableSound, match="cut short"):
        decode_clip(made.getvalue()[: 1 << 19], canvas=canvas)
