"""Forms: what is written is read back exactly, by us and by the libraries licensees use."""

import io
import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, save

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, Format
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument
from catch11.releases.form import form_of

NAMES = ("png8", "tensor")
COLOUR = plain_canvas(5, 7, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
GREY = plain_canvas(5, 7, mean=(0.1,), std=(0.5,))


def image(canvas: Canvas, seed: int, *, spread: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(canvas.size, generator=generator) - 0.5) * spread + 0.5


@pytest.mark.parametrize("canvas", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1))
def test_round_trip_is_exact(name: Format, canvas: Canvas, seed: int) -> None:
    form, grid = form_of(name), GRIDS[name]
    given_image = grid.round(grid.clip(image(canvas, seed)))
    data = form.encode(given_image, canvas)
    read = form.decode(data, canvas)
    assert torch.equal(read, given_image)
    assert read.dtype == torch.float32
    assert form.same(read, given_image)
    assert form.encode(given_image, canvas) == data


@pytest.mark.parametrize("name", NAMES)
def test_another_image_is_not_the_same(name: Format) -> None:
    form, grid = form_of(name), GRIDS[name]
    one = grid.round(grid.clip(image(COLOUR, 0)))
    other = one.clone()
    other[0, 0, 0] = 0.25 if one[0, 0, 0] > 0.5 else 0.75
    assert not form.same(one, grid.round(other))


def test_every_level_of_eight_bits() -> None:
    canvas = plain_canvas(16, 16, mean=(0.0,), std=(1.0,))
    levels = (torch.arange(256.0) / 255).reshape(1, 16, 16)
    data = form_of("png8").encode(levels, canvas)
    assert np.asarray(Image.open(io.BytesIO(data))).ravel().tolist() == list(range(256))
    assert torch.equal(form_of("png8").decode(data, canvas), levels)


def test_tensor_states_the_models_affine(tmp_path: object) -> None:
    window = image(COLOUR, 2)
    data = form_of("tensor").encode(window, COLOUR)
    path = f"{tmp_path}/x.safetensors"
    with open(path, "wb") as file:
        file.write(data)
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["catch11"])
        stock = file.get_tensor("image")
    gain, offset = torch.tensor(facts["gain"]), torch.tensor(facts["offset"])
    values = stock[facts["order"]] * gain[:, None, None] + offset[:, None, None]
    assert torch.allclose(values, COLOUR.normalise(window[None])[0], atol=1e-6)


PICTURE = io.BytesIO()
Image.new("RGB", (7, 6)).save(PICTURE, "PNG")


class Bad(NamedTuple):
    form: str
    data: bytes
    reason: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad("png8", b"", "not a picture"),
        Bad("png8", PICTURE.getvalue()[:40], "damaged|not a picture"),
        Bad("png8", PICTURE.getvalue(), r"size is \(3, 6, 7\), expected \(3, 5, 7\)"),
        Bad("tensor", b"", "not a safetensors file"),
        Bad("tensor", b"\xff" * 64, "not a safetensors file"),
        Bad("tensor", save({"picture": torch.zeros(3, 5, 7)}), "named image"),
        Bad("tensor", save({"image": torch.zeros(3, 5, 7, dtype=torch.float64)}), "float32"),
        Bad("tensor", save({"image": torch.full((3, 5, 7), torch.nan)}), "not finite"),
        Bad("tensor", save({"image": torch.zeros(35)}), "not three-dimensional"),
        Bad("tensor", save({"image": torch.zeros(3, 7, 5)}), r"size is \(3, 7, 5\)"),
    ],
    ids=lambda bad: f"{bad.form} {bad.reason}",
)
def test_other_files_are_refused(bad: Bad) -> None:
    with pytest.raises(ValueError, match=bad.reason):
        form_of(bad.form).decode(bad.data, COLOUR)


def test_unknown_format_names_the_known() -> None:
    with pytest.raises(
        InvalidArgument,
        match="expected one of png8, tensor, csv, tsv, parquet, wav16, wav32, embeds, found jpeg",
    ):
        form_of("jpeg")


def test_tensor_holds_nothing_else() -> None:
    assert list(load(form_of("tensor").encode(image(COLOUR, 3), COLOUR))) == ["image"]
