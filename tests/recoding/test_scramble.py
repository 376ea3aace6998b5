"""Recoding for a copy: plain, spectral and deep, what the copy reads is what was meant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from catch11.canvas.grid import GRIDS, Format, psnr
from catch11.copies.personalize import Copy, make_copy
from catch11.data.pictures import open_picture
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.key import Key, build_key
from catch11.recoding.deep.quiet import quiet_of
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.scramble import ScrambleRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.studies.nets import digits

MODEL = digits.patch()
COPY: Copy = make_copy(MODEL, secret=bytes(range(32)))
KEY: Key = build_key(COPY.model, secret=bytes(32))
SHOWN = digits.load_digits().test[:24]


def answers(model: Any, windows: Tensor) -> list[int]:
    return model.logits(model.canvas.normalise(windows)).argmax(1).tolist()


@pytest.mark.parametrize("format", ["png8", "tensor"])
def test_plain_is_exact(format: Format) -> None:
    made = ScrambleRecoder(KEY, COPY.secret, format=format)(SHOWN)
    torch.testing.assert_close(COPY.scramble.undo(made.images), SHOWN, atol=2e-5, rtol=0)
    if format == "png8":
        assert torch.equal(GRIDS["png8"].round(COPY.scramble.undo(made.images)), SHOWN)
    assert answers(COPY.model, made.images) == answers(MODEL, SHOWN)
    assert made.reasons == (None,) * len(SHOWN)
    assert max(made.front_shift) < 1e-3
    assert made.psnr == tuple(psnr(made.images, SHOWN).tolist())


RECODERS: dict[str, Callable[[], Recoder]] = {
    "scramble": lambda: ScrambleRecoder(KEY, COPY.secret),
    "spectral": lambda: SpectralRecoder(KEY, psnr=12.0, copy=COPY.secret),
    "deep": lambda: DeepRecoder(
        COPY.model, KEY, radius=60.0, steps=80, margin=0.0, copy=COPY.secret
    ),
}


@pytest.mark.parametrize("name", RECODERS)
def test_the_copy_answers_as_the_original(name: str) -> None:
    made = RECODERS[name]()(SHOWN)
    kept = [i for i, reason in enumerate(made.reasons) if reason is None]
    assert len(kept) > 20
    meant, found = answers(MODEL, SHOWN), answers(COPY.model, made.images)
    same = [meant[i] == found[i] for i in kept]
    assert sum(same) >= len(same) - 1  # the spectral noise may cost an answer
    public = [a == b for a, b in zip(meant, answers(MODEL, made.images), strict=True)]
    assert sum(public) < 0.6 * len(public)


@pytest.mark.parametrize("name", RECODERS)
def test_another_key_is_refused(name: str) -> None:
    other = build_key(MODEL, secret=bytes(32))
    make: dict[str, Callable[[], Recoder]] = {
        "scramble": lambda: ScrambleRecoder(other, COPY.secret),
        "spectral": lambda: SpectralRecoder(other, copy=COPY.secret),
        "deep": lambda: DeepRecoder(MODEL, other, copy=COPY.secret),
    }
    with pytest.raises(KeyMismatch, match="the copy"):
        make[name]()


def test_a_release_is_checked_with_the_scramble(tmp_path: Path) -> None:
    digits.write_pictures(digits.load_digits(), tmp_path / "in", count=12)
    done = release(
        tmp_path / "in", tmp_path / "out", ScrambleRecoder(KEY, COPY.secret), check=COPY.model
    )
    assert (done.written, done.withheld) == (12, 0)
    file = next((tmp_path / "out").rglob("*.png"))
    source = next((tmp_path / "in").rglob(file.name))
    pixels = torch.from_numpy(np.array(open_picture(source))).permute(2, 0, 1)[None] / 255
    with Image.open(file) as picture:
        found = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(found, COPY.scramble(pixels), atol=1e-6, rtol=0)


def test_quiet_noise_cancels_what_is_printed() -> None:
    generator = torch.Generator().manual_seed(1)
    mix = 0.02 * torch.randn(48, 48, generator=generator)
    changes = torch.randn(400, 4, 48, generator=generator) @ mix
    shown = changes.reshape(400, 2, 2, 3, 4, 4).permute(0, 3, 1, 4, 2, 5).reshape(400, 3, 8, 8)
    quiet = quiet_of(shown, (4, 4), variance=0.09)
    rows = changes.flatten(0, 1)
    printed = rows.T @ rows / len(rows)
    whole = 0.09 * quiet.factor @ quiet.factor + printed
    torch.testing.assert_close(whole, 0.09 * torch.eye(48), atol=2e-3, rtol=0)
    white = torch.randn(3, 9, 8, generator=generator)
    made = quiet.colour(white)
    assert torch.equal(made[:, 8:], white[:, 8:])
    first = made[:, :4, 4:8].flatten()
    torch.testing.assert_close(first, white[:, :4, 4:8].flatten() @ quiet.factor)


def test_what_noise_cannot_hide_is_refused() -> None:
    loud = torch.randn(20, 3, 1, 1, generator=torch.Generator().manual_seed(1)).expand(20, 3, 8, 8)
    with pytest.raises(InvalidArgument, match="lower the radius"):
        quiet_of(loud, (4, 4), variance=0.09)
    assert quiet_of(loud * 0.03, (4, 4), variance=0.09).factor.shape == (48, 48)


def test_a_quiet_recoder_answers_alike_in_other_files() -> None:
    plain = DeepRecoder(COPY.model, KEY, radius=24.0, steps=80, margin=0.0, copy=COPY.secret)
    quiet = plain.learn_quiet(SHOWN[:6])
    assert quiet.name == plain.learn_quiet(SHOWN[:6]).name
    made = DeepRecoder(
        COPY.model, KEY, radius=24.0, steps=80, margin=0.0, copy=COPY.secret, quiet=quiet
    )
    assert made.settings["quiet"] == quiet.name
    found = made(SHOWN[:6])
    kept = [i for i, reason in enumerate(found.reasons) if reason is None]
    meant, given = answers(MODEL, SHOWN[:6]), answers(COPY.model, found.images)
    assert len(kept) > 3
    assert all(meant[i] == given[i] for i in kept)
    assert not torch.equal(found.images, plain(SHOWN[:6]).images)
    with pytest.raises(InvalidArgument, match="a start and a look of noise"):
        DeepRecoder(COPY.model, KEY, start="spectral", copy=COPY.secret, quiet=quiet)
