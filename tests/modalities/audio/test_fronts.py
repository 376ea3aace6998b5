"""Fronts of one dimension: the law is torch's own conv1d; and what their recodings leave unseen."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.canvas.plain import sound_canvas
from catch11.errors import InvalidArgument
from catch11.fronts.find import find_front
from catch11.keys.file import key_bytes, key_from_bytes
from catch11.keys.key import Key, build_key
from catch11.modalities.audio.nets import Features, Heard
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.form import form_of


class Row(NamedTuple):
    channels: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    groups: int
    time: int


ROWS = (
    Row(1, 6, 10, 5, 0, 1, 1, 203),  # wav2vec2
    Row(1, 4, 16, 16, 0, 1, 1, 128),  # frames
    Row(1, 4, 16, 16, 0, 1, 1, 131),  # frames with a rest that no frame covers
    Row(1, 5, 9, 1, 4, 1, 1, 64),
    Row(1, 5, 7, 2, 3, 3, 1, 90),
    Row(8, 6, 3, 1, 1, 1, 1, 40),  # Whisper: mel channels
    Row(8, 8, 3, 2, 1, 1, 4, 41),
)


def layer(row: Row) -> nn.Conv1d:
    torch.manual_seed(1)
    return nn.Conv1d(
        row.channels, row.outputs, row.kernel, row.stride, row.padding, row.dilation, row.groups
    )


def made(row: Row) -> tuple[nn.Conv1d, nn.Module, Canvas]:
    conv = layer(row)
    canvas = sound_canvas((row.channels, 1, row.time), rate=8000)
    if row.channels == 1:
        return conv, Heard(conv), canvas
    return conv, Features(conv, layout="channels"), canvas


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_a_front_of_one_dimension_is_conv1d(row: Row) -> None:
    conv, module, canvas = made(row)
    front = find_front(module, canvas)
    windows = torch.rand(2, *canvas.shape, dtype=torch.float64)
    expected = conv.double()(windows[:, :, 0] * 2.0 - 1.0)
    got = front.apply(front.centred(windows)).squeeze(2) + front.bias[:, None]
    if row.padding == 0:  # padding is zero samples, which are not zero pixels
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    delta = torch.randn(2, *canvas.shape, dtype=torch.float64)
    moved = nn.functional.conv1d(
        2.0 * delta[:, :, 0], conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups
    )  # fmt: skip
    torch.testing.assert_close(front.apply(delta).squeeze(2), moved, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_the_subspace_is_what_the_layer_hardly_sees(row: Row) -> None:
    _, module, canvas = made(row)
    key = build_key(module, canvas=canvas, energy=0.02, secret=bytes(32))
    noise = torch.randn(3, *canvas.shape, dtype=torch.float64)
    inside = key.subspace.project(noise)
    exact = key.front.geometry == "patch"  # a convolution keeps directions near its cut in part
    assert not exact or bool(key.subspace.contains(inside, tolerance=1e-5).all())
    seen = key.front.apply(inside).flatten(1).norm(dim=1) / inside.flatten(1).norm(dim=1)
    plain = key.front.apply(noise).flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    assert bool((seen < 0.6 * plain).all())


def framed_key() -> Key:
    row = ROWS[1]
    _, module, canvas = made(row)
    return build_key(module, canvas=canvas, secret=bytes(range(32)))


KEY = framed_key()


def quiet(seed: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + 0.05 * torch.randn(count, 1, 1, 128, generator=generator)


@given(
    seed=st.integers(0, 1000), psnr=st.floats(9.0, 40.0), kind=st.sampled_from(["wav16", "wav32"])
)
@settings(max_examples=25, deadline=None)
def test_a_recoded_wave_is_on_the_grid_as_strong_as_asked_and_unseen(
    seed: int, psnr: float, kind: str
) -> None:
    windows = quiet(seed)
    recoder = SpectralRecoder(KEY, psnr=psnr, noise="gaussian", format=kind)
    out = recoder(windows)
    form = form_of(kind)
    for image, strength, shift in zip(out.images, out.psnr, out.front_shift, strict=True):
        back = form.decode(form.encode(image, KEY.canvas), KEY.canvas)
        assert form.same(image, back)
        assert strength == pytest.approx(psnr, abs=0.5)
        assert shift < 0.02
    again = recoder(windows[1:])
    assert torch.equal(again.images[0], out.images[1])


@given(st.integers(0, 65535))
def test_every_16_bit_sample_survives_the_file(index: int) -> None:
    canvas = sound_canvas((1, 1, 1), rate=8000)
    form = form_of("wav16")
    image = torch.full((1, 1, 1), index / 65536)
    assert torch.equal(form.decode(form.encode(image, canvas), canvas), image)


@given(st.floats(-1.0, 2.0, width=32))
def test_every_value_of_the_float_grid_survives_the_file(value: float) -> None:
    canvas = sound_canvas((1, 1, 1), rate=8000)
    form = form_of("wav32")
    image = GRIDS["wav32"].round(torch.full((1, 1, 1), value))
    assert torch.equal(form.decode(form.encode(image, canvas), canvas), image)


@pytest.mark.parametrize("level", [0.5, 0.0, 65535 / 65536])
def test_silence_and_clipped_sound_are_recoded_too(level: float) -> None:
    windows = torch.full((1, 1, 1, 128), level)
    out = SpectralRecoder(KEY, psnr=12.0, noise="gaussian", format="wav16")(windows)
    assert torch.isfinite(out.images).all()
    assert float(out.images.min()) >= 0.0
    assert float(out.images.max()) <= 65535 / 65536


def test_a_wave_of_another_rate_or_length_is_not_read() -> None:
    form, canvas = form_of("wav16"), sound_canvas((1, 1, 4), rate=8000)
    data = form.encode(torch.full((1, 1, 4), 0.5), canvas)
    with pytest.raises(ValueError, match="8000 samples a second, expected 16000"):
        form.decode(data, sound_canvas((1, 1, 4), rate=16000))
    with pytest.raises(ValueError, match=r"its size is \(1, 1, 4\)"):
        form.decode(data, sound_canvas((1, 1, 5), rate=8000))
    with pytest.raises(ValueError, match="not a RIFF"):
        form.decode(b"no", canvas)


def test_a_key_of_a_long_window_survives_its_file() -> None:
    torch.manual_seed(0)
    canvas = sound_canvas((1, 1, 40000), rate=16000)
    key = build_key(Heard(nn.Conv1d(1, 4, 16, 16)), canvas=canvas)
    assert key_from_bytes(key_bytes(key)).canvas == canvas


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("rate", -1, "samples a second"),
        ("rate", 1 << 21, "samples a second"),
    ],
)
def test_hostile_rates_are_refused(field: str, value: object, match: str) -> None:
    facts = sound_canvas((1, 1, 4), rate=8000).to_dict()
    with pytest.raises(InvalidArgument, match=match):
        Canvas.from_dict({**facts, field: value})


def test_a_picture_is_not_longer_than_its_limit() -> None:
    facts = sound_canvas((1, 1, 1 << 20), rate=8000).to_dict()
    assert Canvas.from_dict(facts).width == 1 << 20
    with pytest.raises(InvalidArgument, match="whole pixels"):
        Canvas.from_dict({**facts, "height": 2})
