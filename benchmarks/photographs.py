"""Photographs, DeiT-tiny who reads them, its key; beside them fronts of random weights."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from catch11 import Canvas, Fit, Key, build_key
from catch11.canvas.plain import plain_canvas
from catch11.data.windows import folder_windows
from catch11.models.frame import Model
from catch11.studies.place import Place
from catch11.studies.trial import SECRET


@dataclass(frozen=True)
class Photographs:
    """Those of a folder of assets."""

    assets: Path

    @property
    def folder(self) -> Path:
        return Place(assets=self.assets).folder("images", "nips2017")

    @cached_property
    def model(self) -> Model:
        return Place(assets=self.assets).model("photographs", "deit-tiny")

    @cached_property
    def key(self) -> Key:
        return build_key(self.model, secret=SECRET)

    def windows(self, count: int) -> Tensor:
        """The first ones by name, as DeiT-tiny sees them."""
        return folder_windows(self.folder, self.model.canvas, most=count).contiguous()


def patches(side: int, outputs: int, patch: int = 16) -> Key:
    """The key of a random patch front, all of whose outputs are kept, on a square that is all window."""
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, outputs, patch, patch)
    canvas = plain_canvas(side, side)
    return build_key(net, canvas=canvas, rank=3 * patch * patch - outputs, secret=SECRET)


def margined() -> Key:
    """The key of a random patch front, on a canvas with a margin."""
    torch.manual_seed(0)
    canvas = Canvas(
        height=256, width=256, top=16, left=16, window_height=224, window_width=224,
        gain=(2.0, 2.0, 2.0), offset=(-1.0, -1.0, -1.0), fit=Fit(resize="exact", height=256, width=256),
    )  # fmt: skip
    return build_key(torch.nn.Conv2d(3, 192, 16, 16), canvas=canvas, energy=5e-4)
