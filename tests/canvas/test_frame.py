"""Canvas: its affine map inverts, window and place are inverse, its numbers come from strangers."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from catch11.canvas.fit import Fit, centre, short_side
from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument

CANVAS = Canvas(
    height=20,
    width=24,
    top=3,
    left=5,
    window_height=13,
    window_width=15,
    gain=(2.0, -3.0, 4.0),
    offset=(-1.0, 0.5, 0.0),
    order=(2, 0, 1),
    fit=Fit(resize="exact", height=20, width=24),
)


@contextmanager
def refused(match: str) -> Iterator[None]:
    """Refused by the canvas, or before that by the tests' type checker where the type is wrong."""
    with pytest.raises((InvalidArgument, TypeCheckError)) as caught:
        yield
    if isinstance(caught.value, InvalidArgument):
        assert re.search(match, str(caught.value))


def test_normalise_is_gain_order_and_offset() -> None:
    v = torch.rand(2, 3, 5, 4)
    seen = CANVAS.normalise(v)
    torch.testing.assert_close(seen[:, 0], 2 * v[:, 2] - 1)
    torch.testing.assert_close(seen[:, 1], -3 * v[:, 0] + 0.5)
    torch.testing.assert_close(seen[:, 2], 4 * v[:, 1])
    torch.testing.assert_close(CANVAS.denormalise(seen), v)


def test_neutral_pixel_normalises_to_zero() -> None:
    pixel = torch.tensor(CANVAS.neutral).reshape(1, 3, 1, 1)
    torch.testing.assert_close(CANVAS.normalise(pixel), torch.zeros(1, 3, 1, 1))


def test_normalise_keeps_dtype_and_gradient() -> None:
    v = torch.rand(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    seen = CANVAS.normalise(v)
    assert seen.dtype == torch.float64
    (gradient,) = torch.autograd.grad(seen.sum(), v)
    assert gradient[0, :, 0, 0].tolist() == [-3.0, 4.0, 2.0]


def test_window_and_place_are_inverse() -> None:
    image, background = torch.rand(2, 3, 20, 24), torch.rand(2, 3, 20, 24)
    window = CANVAS.window(image)
    assert window.shape == (2, 3, 13, 15)
    placed = CANVAS.place(window, background)
    assert torch.equal(CANVAS.window(placed), window)
    inside = torch.zeros(20, 24, dtype=torch.bool)
    inside[3:16, 5:20] = True
    assert torch.equal(placed[..., ~inside], background[..., ~inside])


@pytest.mark.parametrize("size", [(2, 3, 20, 23), (2, 1, 20, 24)])
def test_window_refuses_other_sizes(size: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgument, match="image: expected"):
        CANVAS.window(torch.zeros(size))
    with refused("background: expected"):
        CANVAS.place(torch.zeros(2, 3, 13, 15), torch.zeros(size))


def test_place_refuses_another_window() -> None:
    with pytest.raises(InvalidArgument, match="window: expected"):
        CANVAS.place(torch.zeros(1, 3, 13, 14), torch.zeros(1, 3, 20, 24))


def test_normalise_refuses_other_channels() -> None:
    with pytest.raises(InvalidArgument, match="window: expected"):
        CANVAS.normalise(torch.zeros(1, 4, 2, 2))
    with pytest.raises(InvalidArgument, match="window: expected"):
        CANVAS.denormalise(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(
    "canvas", [CANVAS, plain_canvas(7, 9), plain_canvas(5, 5, mean=[0.1], std=[2.0])]
)
def test_survives_json(canvas: Canvas) -> None:
    assert Canvas.from_dict(json.loads(json.dumps(canvas.to_dict()))) == canvas


def test_plain_canvas_states_mean_and_std() -> None:
    canvas = plain_canvas(4, 6, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.5))
    assert canvas.shape == canvas.size == (3, 4, 6)
    assert canvas.neutral == pytest.approx((0.5, 0.4, 0.3))
    assert canvas.fit.target(99, 5) == (4, 6)


class Bad(NamedTuple):
    field: str
    value: Any
    match: str


BAD = (
    Bad("height", 0, "whole pixels"),
    Bad("height", 1 << 20, "whole pixels"),
    Bad("width", 24.0, "whole pixels"),
    Bad("width", True, "whole pixels"),
    Bad("top", 8, "a window of 13 inside 20"),
    Bad("left", -1, "a window of 15 inside 24"),
    Bad("left", "5", "a window of 15 inside 24"),
    Bad("channels", 5, "1 to 4"),
    Bad("channels", 1, "finite numbers"),
    Bad("gain", [1.0, 2.0], "3 finite numbers"),
    Bad("gain", [1.0, 2.0, 0.0], "no zero"),
    Bad("gain", [1.0, 2.0, float("nan")], "finite"),
    Bad("gain", "abc", "a list"),
    Bad("offset", [1.0, 2.0, float("inf")], "finite"),
    Bad("offset", [1.0, 2.0, "3"], "finite"),
    Bad("order", [0, 1, 1], "permutation"),
    Bad("order", [0, 1, "2"], "permutation"),
    Bad("order", None, "a list"),
    Bad("fit", None, "the fields"),
)


@pytest.mark.parametrize("row", BAD, ids=repr)
def test_hostile_numbers_are_refused(row: Bad) -> None:
    with refused(row.match):
        Canvas.from_dict({**CANVAS.to_dict(), row.field: row.value})


FIT_BAD = (
    Bad("resize", "random", "one of none, exact, short"),
    Bad("resize", ["short"], "one of none"),
    Bad("resample", "cubic", "one of nearest"),
    Bad("long", "up", "one of floor"),
    Bad("crop", None, "one of floor"),
    Bad("height", -3, "whole pixels"),
    Bad("resize", "short", "height equal to width"),
)


@pytest.mark.parametrize("row", FIT_BAD, ids=repr)
def test_hostile_fits_are_refused(row: Bad) -> None:
    facts = CANVAS.to_dict()
    with refused(row.match):
        Canvas.from_dict({**facts, "fit": {**facts["fit"], row.field: row.value}})


@pytest.mark.parametrize("facts", [{}, {"height": 3}, {**CANVAS.to_dict(), "more": 1}, None, []])
def test_other_fields_are_refused(facts: Any) -> None:
    with refused("canvas: expected the fields"):
        Canvas.from_dict(facts)


class Short(NamedTuple):
    height: int
    width: int
    floor: tuple[int, int]
    nearest: tuple[int, int]


# floor: int(size * long / short), as torchvision and transformers; round: to the nearest
SHORT = (
    Short(299, 299, (256, 256), (256, 256)),
    Short(500, 333, (384, 256), (384, 256)),
    Short(333, 500, (256, 384), (256, 384)),
    Short(500, 374, (342, 256), (342, 256)),
    Short(375, 500, (256, 341), (256, 341)),
    Short(100, 149, (256, 381), (256, 381)),
    Short(7, 10, (256, 365), (256, 366)),
    Short(1, 3, (256, 768), (256, 768)),
)


@pytest.mark.parametrize("row", SHORT, ids=repr)
def test_short_side(row: Short) -> None:
    assert short_side(row.height, row.width, side=256) == row.floor
    assert short_side(row.height, row.width, side=256, long="round") == row.nearest


@given(st.integers(1, 400), st.integers(0, 400))
def test_centre_is_the_two_libraries_rule(small: int, extra: int) -> None:
    big = small + extra
    assert centre(big, small) == (big - small) // 2  # transformers
    assert centre(big, small, rounding="round") == round((big - small) / 2.0)  # torchvision


SIZES = st.integers(1, 60)


@given(SIZES, SIZES, st.integers(8, 20), st.integers(1, 8), st.sampled_from(["floor", "round"]))
def test_the_window_lies_where_the_pipeline_crops(
    height: int, width: int, side: int, window: int, crop: Any
) -> None:
    start = centre(side, window, rounding=crop)
    fit = Fit(resize="short", height=side, width=side, crop=crop)
    canvas = Canvas(
        height=side, width=side, top=start, left=start, window_height=window, window_width=window,
        gain=(1.0,) * 3, offset=(0.0,) * 3, fit=fit,
    )  # fmt: skip
    resized = fit.target(height, width)
    top, left = canvas.cut(*resized)
    assert top + start == centre(resized[0], window, rounding=crop)
    assert left + start == centre(resized[1], window, rounding=crop)
    assert 0 <= top <= resized[0] - side
    assert 0 <= left <= resized[1] - side


def test_cut_refuses_small_pictures() -> None:
    canvas = replace(CANVAS, fit=Fit(resize="none", height=20, width=24))
    assert canvas.fit.target(7, 9) == (7, 9)
    with pytest.raises(InvalidArgument, match="at least 20 x 24 pixels"):
        canvas.cut(19, 30)
