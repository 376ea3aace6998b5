"""wav16 and wav32: one channel of samples at the model's rate; v in pixel units is (sample + 1) / 2.

16-bit files hold samples in [-1, 1) and are rounded in the recoder's loop. Float files hold -3 to
3, so that noise has room beyond full scale; players clip it, models read it.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.data.sounds import decode_clip, encode_clip
from catch11.errors import UnreadableSound
from catch11.releases.windows import WindowForm


class Wav(WindowForm):
    """A window of samples."""

    suffix = ".wav"

    def __init__(self, name: str, *, bits: int) -> None:
        self.name, self._bits = name, bits

    def encode(self, meant: Float[Tensor, "1 1 time"], canvas: Canvas) -> bytes:
        exact = meant.double().flatten()
        if self._bits == 16:
            samples = (GRIDS[self.name].index(exact) - 32768.0) / 32768.0
        else:
            samples = (exact * 2.0 - 1.0).float()
        return encode_clip(samples.numpy(), canvas.rate, bits=self._bits)

    def load(self, data: bytes, canvas: Canvas) -> Float[Tensor, "1 1 time"]:
        try:
            clip = decode_clip(data)
        except UnreadableSound as error:
            raise ValueError(error.reason) from None
        if clip.rate != canvas.rate:
            raise ValueError(f"it has {clip.rate} samples a second, expected {canvas.rate}")
        return torch.from_numpy((clip.samples.astype(np.float64) + 1.0) / 2.0).float()[None, None]


WAV16, WAV32 = Wav("wav16", bits=16), Wav("wav32", bits=32)
