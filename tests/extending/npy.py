"""A form from outside the package: the window as a .npy file, in steps of 1/1023."""

import io

import numpy as np
import torch
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import Grid
from catch11.releases.windows import WindowForm

GRID = Grid(low=0.0, high=1.0, levels=1023)


class Npy(WindowForm):
    """Steps of a window as whole numbers."""

    name, suffix = "npy", ".npy"

    def encode(self, meant: Tensor, canvas: Canvas) -> bytes:
        file = io.BytesIO()
        np.save(file, GRID.index(meant).numpy().astype(np.uint16))
        return file.getvalue()

    def load(self, data: bytes, canvas: Canvas) -> Tensor:
        try:
            steps = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"it is no .npy file ({str(error)[:40]})") from None
        return GRID.value(torch.from_numpy(steps.astype(np.float32)))


NPY = Npy()
