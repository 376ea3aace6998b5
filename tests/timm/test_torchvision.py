"""Where torchvision is installed, transformers resizes tensors: the same canvases, with a remark."""

from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from catch11.data.pictures import fit_picture
from catch11.models.hub.pictures import processor_canvas, processor_prepare

if find_spec("torchvision") is None:
    pytest.skip(
        "torchvision has an environment of its own: tests/timm/run.sh", allow_module_level=True
    )

pytestmark = pytest.mark.filterwarnings("ignore")


class Row(NamedTuple):
    kind: str
    settings: dict[str, Any]
    size: int
    start: int
    resize: str


ROWS = (
    Row("DeiT", {}, 256, 16, "exact"),
    Row("CLIP", {}, 224, 0, "short"),
    Row("CLIP", {"size": {"shortest_edge": 256}, "crop_size": 225}, 256, 15, "short"),
    Row("ConvNext", {"size": {"shortest_edge": 224}}, 256, 16, "short"),
    Row("Beit", {}, 224, 0, "exact"),
    Row("Siglip", {}, 224, 0, "exact"),
    Row("Levit", {}, 256, 16, "short"),
    Row("MobileNetV2", {}, 256, 16, "short"),
    Row("MobileViT", {"size": {"shortest_edge": 288}}, 288, 16, "short"),
    Row("EfficientNet", {}, 346, 0, "exact"),
)


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_canvas_of_a_processor_on_tensors(row: Row) -> None:
    own = getattr(transformers, f"{row.kind}ImageProcessor")(**row.settings)
    assert own.backend == "torchvision"
    canvas, notes = processor_canvas(own)
    assert (canvas.height, canvas.top, canvas.fit.resize) == (row.size, row.start, row.resize)
    assert len(notes) <= 1
    assert all("resized a little differently" in note for note in notes)
    values = np.random.default_rng(5).integers(0, 256, (300, 401, 3), dtype=np.uint8)
    picture = Image.fromarray(values)
    fitted = torch.from_numpy(fit_picture(picture, canvas)).permute(2, 0, 1)[None] / 255
    seen = canvas.normalise(canvas.window(fitted))
    gap = (processor_prepare(own)([picture]) - seen).abs() / torch.tensor(canvas.gain).view(3, 1, 1)
    assert gap.max() * 255 < 4.5
    assert gap.mean() * 255 < 0.1
