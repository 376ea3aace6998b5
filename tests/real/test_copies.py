"""A personalised copy of DeiT-tiny: written, read back by stock code, and read by nobody else."""

from pathlib import Path

import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification

from catch11.attacks.unscramble import order_of
from catch11.copies.personalize import make_copy
from catch11.copies.public import check_copy, write_copy
from catch11.data.windows import as_pictures, folder_windows
from catch11.keys.key import build_key
from catch11.models.load import load_picture_model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.scramble import ScrambleRecoder

pytestmark = pytest.mark.real
COUNT = 8


def test_copy_of_deit_tiny(assets: Path, tmp_path: Path) -> None:
    model = load_picture_model(f"hf:{assets / 'models' / 'deit-tiny-patch16-224'}")
    made = make_copy(model, secret=bytes(range(32)))
    assert (made.secret.across, made.secret.inversion) == (False, True)
    write_copy(model, made, tmp_path / "copy")
    clean = folder_windows(assets / "images" / "nips2017", model.canvas, most=COUNT)
    meant = model.logits(model.canvas.normalise(clean))

    # As a licensee reads it: transformers alone, from pictures of canvas size.
    key = build_key(made.model, secret=bytes(32))
    plain = ScrambleRecoder(key, made.secret)(clean).images
    stock = AutoModelForImageClassification.from_pretrained(tmp_path / "copy").eval()
    processor = AutoImageProcessor.from_pretrained(tmp_path / "copy")
    with torch.no_grad():
        pictures = as_pictures(plain, model.canvas)
        found = stock(**processor(images=pictures, return_tensors="pt")).logits
    torch.testing.assert_close(found, meant, atol=1e-3, rtol=1e-3)
    assert check_copy(made.model, model, made.secret).exact

    deep = DeepRecoder(made.model, key, copy=made.secret)(clean[:4]).images
    for released in (plain, deep):
        values = model.canvas.normalise(released)
        answers = meant[: len(released)].argmax(1)
        assert (model.logits(values).argmax(1) == answers).sum() <= 1
        assert (made.model.logits(values).argmax(1) == answers).all()

    guess = order_of(clean[:1], plain[:1], (16, 16), 3)
    assert (guess.source == made.scramble.source).double().mean() > 0.95
