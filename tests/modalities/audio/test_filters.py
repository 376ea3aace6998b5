"""What is done to released sounds does what it says, on tones and on a recoded release."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from catch11.attacks.frame import Material, attack_names, attack_of
from catch11.canvas.grid import psnr
from catch11.canvas.plain import sound_canvas
from catch11.keys.key import build_key
from catch11.modalities.audio.filters import (
    codec,
    frames,
    low_pass,
    other_rate,
)
from catch11.modalities.audio.nets import Heard
from catch11.recoding.spectral.recoder import SpectralRecoder

TIME = 1024
CANVAS = sound_canvas((1, 1, TIME), rate=8000)


def tones(pitch: float, count: int = 2) -> Tensor:
    """Windows of a tone of `pitch` cycles a sample, at several phases."""
    phase = torch.arange(count)[:, None] * 0.7
    wave = 0.4 * torch.sin(2 * np.pi * pitch * torch.arange(TIME) + phase)
    return ((wave + 1) / 2)[:, None, None]


def power(windows: Tensor) -> float:
    """Of the middle, where no filter meets a border."""
    return float((windows[..., 128:-128] - 0.5).square().mean())


@pytest.mark.parametrize("run", [lambda w: low_pass(w, share=0.5), lambda w: other_rate(w, down=2)])
def test_filters_keep_what_is_low_and_take_what_is_high(run) -> None:
    low, high = tones(0.02), tones(0.45)
    torch.testing.assert_close(run(low)[..., 128:-128], low[..., 128:-128], atol=5e-3, rtol=0.0)
    assert power(run(high)) < 0.01 * power(high)


def test_a_codec_is_near_and_coarser_ones_are_farther() -> None:
    noise = 0.5 + 0.1 * torch.randn(2, 1, 1, TIME, generator=torch.Generator().manual_seed(0))
    strengths = [float(psnr(codec(noise, decibels=d), noise).mean()) for d in (60.0, 20.0, 6.0)]
    assert strengths[0] > 70.0
    assert strengths[0] > strengths[1] > strengths[2] > 18.0


def restored(name: str, **more: object) -> Tensor:
    """The released sounds after an attack's one try."""
    material = Material(canvas=CANVAS, pieces=frames, **more)  # type: ignore[arg-type]
    one = attack_of(name, "audio")()
    (attempt,) = one.run(material.cut(one.knowledge), generator=torch.Generator().manual_seed(0))
    assert attempt.restored is not None
    return attempt.restored


def test_every_attack_gives_windows_of_a_file() -> None:
    front = build_key(Heard(nn.Conv1d(1, 6, 16, 16)), canvas=CANVAS).front
    noise = torch.rand(9, 1, 1, TIME, generator=torch.Generator().manual_seed(1))
    for name in attack_names("audio"):
        made = restored(
            name, released=tones(0.1) if name != "none" else tones(0.1).mul(65536).round() / 65536,
            public=noise, front=front, pairs=(noise, noise),
        )  # fmt: skip
        assert made.shape == (2, 1, 1, TIME), name
        assert torch.equal(made * 65536, (made * 65536).round()), name


def test_a_known_front_gives_back_what_it_sees_and_a_filter_some_of_it() -> None:
    torch.manual_seed(0)
    module = Heard(nn.Conv1d(1, 6, 16, 16))
    key = build_key(module, canvas=CANVAS, secret=bytes(32))
    clean = torch.cat([tones(p, 6) for p in (0.01, 0.02, 0.03)])
    released = SpectralRecoder(key, psnr=15.0, noise="gaussian", format="wav16")(clean).images
    known = restored("front known", released=released, public=clean, front=key.front)
    assert float(key.front.relative_shift(known, clean).max()) < 0.1
    for made in (known, restored("Wiener", released=released, public=clean)):
        assert float(psnr(made, clean).mean()) > float(psnr(released, clean).mean()) + 6.0
