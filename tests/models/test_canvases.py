"""Canvases of real processors: proved on them, and refused where nothing is left untouched."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas, Fit
from catch11.data.pictures import fit_picture
from catch11.errors import CanvasRefused, InvalidArgument
from catch11.models.canvases import (
    Proposal,
    canvas_prepare,
    derive_canvas,
    measure_normalisation,
    resample_name,
)
from catch11.models.hub.pictures import processor_canvas, processor_prepare


class Row(NamedTuple):
    kind: str
    settings: dict[str, Any]
    size: tuple[int, int]
    window: tuple[int, int, int, int]  # top, left, height, width
    resize: str
    resample: str = "bicubic"


# Small sizes where the class allows: the rules do not depend on them.
ROWS = (
    Row("DeiT", {}, (256, 256), (16, 16, 224, 224), "exact"),
    Row("DeiT", {"size": {"height": 32, "width": 32}, "crop_size": 25}, (32, 32), (3, 3, 25, 25), "exact"),
    Row("ViT", {"size": {"height": 24, "width": 24}}, (24, 24), (0, 0, 24, 24), "exact", "bilinear"),
    Row("ViT", {"size": {"height": 24, "width": 20}}, (24, 20), (0, 0, 24, 20), "exact", "bilinear"),
    Row("CLIP", {"size": {"shortest_edge": 28}, "crop_size": 28}, (28, 28), (0, 0, 28, 28), "short"),
    Row("CLIP", {"size": {"shortest_edge": 32}, "crop_size": 25}, (32, 32), (3, 3, 25, 25), "short"),
    Row("CLIP", {"do_resize": False, "crop_size": 28}, (28, 28), (0, 0, 28, 28), "none"),
    Row("ConvNext", {"size": {"shortest_edge": 224}}, (256, 256), (16, 16, 224, 224), "short"),
    Row("ConvNext", {"size": {"shortest_edge": 28}, "crop_pct": 0.9}, (31, 31), (1, 1, 28, 28), "short"),
    Row("ConvNext", {"size": {"shortest_edge": 384}}, (384, 384), (0, 0, 384, 384), "exact"),
    Row("Beit", {"size": {"height": 32, "width": 32}, "crop_size": 28, "do_center_crop": True},
        (32, 32), (2, 2, 28, 28), "exact"),
    Row("Siglip", {"size": {"height": 28, "width": 28}}, (28, 28), (0, 0, 28, 28), "exact"),
    Row("Levit", {"size": {"shortest_edge": 28}, "crop_size": 28}, (32, 32), (2, 2, 28, 28), "short"),
    Row("MobileNetV2", {"size": {"shortest_edge": 32}, "crop_size": 28}, (32, 32), (2, 2, 28, 28), "short", "bilinear"),
    Row("PoolFormer", {"size": {"shortest_edge": 28}, "crop_size": 28}, (31, 31), (1, 1, 28, 28), "short"),
    Row("MobileViT", {"size": {"shortest_edge": 36}, "crop_size": 32}, (36, 36), (2, 2, 32, 32), "short"),
    Row("EfficientNet", {"size": {"height": 30, "width": 30}}, (30, 30), (0, 0, 30, 30), "exact"),
)  # fmt: skip


def processor(kind: str, settings: dict[str, Any]) -> Any:
    return getattr(transformers, f"{kind}ImageProcessorPil")(**settings)


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_canvas_of_a_real_processor(row: Row) -> None:
    own = processor(row.kind, row.settings)
    canvas, notes = processor_canvas(own)
    assert (canvas.height, canvas.width) == row.size
    assert (canvas.top, canvas.left, canvas.window_height, canvas.window_width) == row.window
    assert (canvas.fit.resize, canvas.fit.resample) == (row.resize, row.resample)
    assert notes == ()
    if row.resize != "none":
        _reads_as_the_processor(own, canvas)


def _reads_as_the_processor(own: Any, canvas: Canvas) -> None:
    """A size that no probe of the derivation has."""
    values = np.random.default_rng(5).integers(0, 256, (53, 71, 3), dtype=np.uint8)
    picture = Image.fromarray(values)
    fitted = torch.from_numpy(fit_picture(picture, canvas)).permute(2, 0, 1)[None] / 255
    expected = canvas.normalise(canvas.window(fitted))
    torch.testing.assert_close(processor_prepare(own)([picture]), expected, rtol=0, atol=2e-5)


class Affine(NamedTuple):
    kind: str
    settings: dict[str, Any]
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    order: tuple[int, ...] = (0, 1, 2)


SMALL = {"size": {"height": 16, "width": 16}}
AFFINE = (
    Affine("ViT", SMALL | {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.25, 0.2]},
           (2, 4, 5), (-0.2, -0.8, -1.5)),
    Affine("ViT", SMALL | {"do_normalize": False}, (1, 1, 1), (0, 0, 0)),
    Affine("ViT", SMALL | {"do_rescale": False, "do_normalize": False}, (255, 255, 255), (0, 0, 0)),
    Affine("MobileViT", {"size": {"shortest_edge": 16}, "crop_size": 16}, (1, 1, 1), (0, 0, 0), (2, 1, 0)),
    # Rescaled to [-1, 1], then (v - 0.5) / 0.5, then, with include_top, divided by 0.5 once more.
    Affine("EfficientNet", SMALL | {"rescale_offset": True, "rescale_factor": 1 / 127.5},
           (8, 8, 8), (-6, -6, -6)),
    Affine("EfficientNet", SMALL | {"include_top": False}, (2, 2, 2), (-1, -1, -1)),
)  # fmt: skip


@pytest.mark.parametrize("row", AFFINE, ids=repr)
def test_normalisation_of_a_real_processor(row: Affine) -> None:
    canvas, _ = processor_canvas(processor(row.kind, row.settings))
    assert canvas.order == row.order
    assert canvas.gain == pytest.approx(row.gain, rel=1e-5)
    assert canvas.offset == pytest.approx(row.offset, abs=1e-5)


def test_stated_normalisation_keeps_its_digits() -> None:
    canvas, _ = processor_canvas(processor("ViT", SMALL | {"image_std": [0.229, 0.224, 0.225]}))
    assert canvas.gain == (1 / 0.229, 1 / 0.224, 1 / 0.225)


class Refused(NamedTuple):
    kind: str
    settings: dict[str, Any]
    match: str


REFUSED = (
    Refused("ViT", {"do_resize": False}, "neither resizes nor crops"),
    Refused("CLIP", {"size": {"shortest_edge": 28}, "do_center_crop": False}, "other sizes are not"),
    Refused("CLIP", {"size": {"shortest_edge": 28}, "crop_size": 32}, "28 x 28 pixels is brought to 32 x 32"),
    Refused("DPT", {"size": {"height": 32, "width": 32}, "keep_aspect_ratio": True,
                    "ensure_multiple_of": 8}, "other sizes are not"),
    Refused("Pixtral", {}, "states no fixed size"),
    Refused("Detr", {"size": {"shortest_edge": 28, "longest_edge": 60}}, "other sizes are not"),
    Refused("Swin2SR", {}, "neither resizes nor crops"),
    Refused("Qwen2VL", {"size": {"shortest_edge": 3136, "longest_edge": 6272}}, "not one tensor"),
    Refused("ImageGPT", {}, "fails on a plain picture"),
    Refused("ViT", {"image_mean": [0.5], "image_std": [0.5]}, "prepares pictures of 1 channels.*may have one"),
)  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_processors_without_a_canvas_are_refused(row: Refused) -> None:
    with pytest.raises(CanvasRefused, match=row.match):
        processor_canvas(processor(row.kind, row.settings))


def _tensor(pictures: Sequence[Image.Image]) -> Tensor:
    return torch.stack(
        [torch.from_numpy(np.array(p)).permute(2, 0, 1).float() / 255 for p in pictures]
    )


def _flipping(pictures: Sequence[Image.Image]) -> Tensor:
    values = _tensor([picture.resize((16, 16)) for picture in pictures])
    flips = torch.rand(len(pictures)) < 0.5
    return torch.where(flips[:, None, None, None], values.flip(-1), values)


def test_a_random_pipeline_is_refused() -> None:
    with pytest.raises(CanvasRefused, match="does more to pictures"):
        derive_canvas(_flipping, [Proposal(resize="exact", height=16, width=16)])


def test_a_cropping_resize_is_not_taken_for_a_squash() -> None:
    def squash(pictures: Sequence[Image.Image]) -> Tensor:
        return _tensor([p.resize((16, 16), Image.Resampling.BILINEAR) for p in pictures])

    proposals = [
        Proposal(resize=resize, height=16, width=16, resample="bilinear")
        for resize in ("short", "exact")
    ]
    canvas, notes = derive_canvas(squash, proposals)
    assert (canvas.fit.resize, notes) == ("exact", ())


def test_a_resize_that_differs_by_a_level_is_remarked() -> None:
    """Without rounding to 8 bits in between, as pipelines on tensors do it."""

    def smooth(pictures: Sequence[Image.Image]) -> Tensor:
        planes = [
            [band.convert("F").resize((16, 16), Image.Resampling.BILINEAR) for band in p.split()]
            for p in pictures
        ]
        return torch.tensor(np.array([[np.asarray(b) for b in three] for three in planes])) / 255

    canvas, notes = derive_canvas(
        smooth, [Proposal(resize="exact", height=16, width=16, resample="bilinear")]
    )
    assert canvas.size == (3, 16, 16)
    assert len(notes) == 1
    assert "resized a little differently" in notes[0]


@pytest.mark.parametrize("crop", ["floor", "round"])
@pytest.mark.parametrize("window", [12, 13])
def test_both_crop_rules_are_told_apart(crop: Any, window: int) -> None:
    """13 of 16 leaves 3: transformers crops from 1, torchvision (half to even) from 2."""
    fit = Fit(resize="short", height=16, width=16, crop=crop)
    start = {(12, "floor"): 2, (12, "round"): 2, (13, "floor"): 1, (13, "round"): 2}[window, crop]
    true = Canvas(
        height=16, width=16, top=start, left=start, window_height=window, window_width=window,
        gain=(1.0,) * 3, offset=(0.0,) * 3, fit=fit,
    )  # fmt: skip
    canvas, notes = derive_canvas(
        canvas_prepare(true), [Proposal(resize="short", height=16, width=16)]
    )
    assert notes == ()
    assert canvas == true


def test_grey_output_is_refused() -> None:
    def grey(pictures: Sequence[Image.Image]) -> Tensor:
        return _tensor(pictures).mean(1, keepdim=True)

    with pytest.raises(CanvasRefused, match="three colours"):
        derive_canvas(grey, [Proposal(resize="exact", height=16, width=16)])


def test_measured_normalisation_undoes_a_channel_swap() -> None:
    canvas = Canvas(
        height=4, width=4, top=0, left=0, window_height=4, window_width=4, gain=(1.0, 2.0, -3.0),
        offset=(0.5, 0.0, 1.0), order=(1, 2, 0), fit=Fit(resize="exact", height=4, width=4),
    )  # fmt: skip
    found = measure_normalisation(canvas_prepare(canvas), 4, 4)
    assert found.order == canvas.order
    assert found.gain == pytest.approx(canvas.gain)
    assert found.offset == pytest.approx(canvas.offset)


def test_resample_names() -> None:
    assert resample_name(3, argument="resample") == "bicubic"
    assert resample_name("Lanczos", argument="resample") == "lanczos"
    for bad in ("cubic", 9, None):
        with pytest.raises(InvalidArgument, match="interpolation: expected one of nearest"):
            resample_name(bad, argument="interpolation")


def test_no_pictures_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least one picture"):
        processor_prepare(processor("ViT", {}))([])
