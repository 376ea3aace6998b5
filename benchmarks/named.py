"""Models by their short names or as any command takes them, what runs them, and the pictures they read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor, nn

from catch11 import Canvas
from catch11.data.pictures import fit_picture
from catch11.data.windows import to_pixels
from catch11.fronts.find import first_tensor
from catch11.lab import needed
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.studies.place import FAMILIES, Pictures, Place

BATCH = 16
NAMES = {name: family for family in ("thumbnails", "six") for name in FAMILIES["local"][family]}
KNOWN = f"{', '.join(NAMES)}, or any MODEL of catch11"


def model_of(assets: Path, name: str) -> Model:
    """A model of the assets by its name, or of anywhere."""
    if name in NAMES:
        return Place(assets=assets).model(NAMES[name], name)
    return load_picture_model(name)


def pictures_of(assets: Path, name: str, count: int) -> Pictures:
    """The first thumbnails, classes in turn, for a model of thumbnails; for others photographs."""
    family = "thumbnails" if NAMES.get(name) == "thumbnails" else "photographs"
    return Place(assets=assets).pictures(family, count)


def whole(pictures: Sequence[Image.Image], canvas: Canvas) -> Tensor:
    """Pictures as they lie on a canvas, margin and all, in [0, 1]."""
    pixels = np.stack([fit_picture(picture, canvas) for picture in pictures])
    return rearrange(torch.from_numpy(pixels), "n h w c -> n c h w").float() / 255.0


def as_files(images: Tensor) -> list[Image.Image]:
    """Whole pictures as 8-bit files show them."""
    return [Image.fromarray(to_pixels(image)) for image in images]


def answers(model: Model, pictures: Sequence[Image.Image]) -> Tensor:
    """What a model says behind its own preprocessing."""
    parts = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
    return torch.cat([model.logits(model.preprocess(part)) for part in parts]).argmax(1)


class Plain(nn.Module):
    """A net, of transformers too, that returns one tensor."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor) -> Tensor:
        return first_tensor(self.net(pixel_values))


def session(graph: Any) -> Any:
    """An onnx.ModelProto or the path of one, ready to run."""
    onnxruntime = needed("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    given = graph.SerializeToString() if hasattr(graph, "SerializeToString") else str(graph)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
