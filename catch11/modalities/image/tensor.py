"""tensor: safetensors with the window the model sees, key `image`, float32, channel first.

The metadata entry `catch11` is JSON: the gain, offset and channel order that turn the image, in
pixel units, into the model's input: input[c] = gain[c] * image[order[c]] + offset[c].
"""

import json

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.releases.windows import WindowForm


class TensorForm(WindowForm):
    """A window in pixel units; values beyond [0, 1] are kept."""

    name, suffix = "tensor", ".safetensors"

    def encode(self, meant: Float[Tensor, "channel height width"], canvas: Canvas) -> bytes:
        affine = {"gain": canvas.gain, "offset": canvas.offset, "order": canvas.order}
        # One entry: safetensors keeps no order among several, and equal releases are equal bytes.
        note = {"catch11": json.dumps({**affine, "peak": 1.0, "size": canvas.shape})}
        return save({"image": meant.to(torch.float32).contiguous()}, metadata=note)

    def load(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        try:
            tensors = load(data)
        except SafetensorError as error:
            raise ValueError(f"it is not a safetensors file ({str(error)[:80]})") from None
        if set(tensors) != {"image"} or tensors["image"].dtype != torch.float32:
            raise ValueError("it does not hold one float32 tensor named image")
        image = tensors["image"]
        if image.dim() != 3 or not torch.isfinite(image).all():
            raise ValueError("its image is not three-dimensional or not finite")
        return image


TENSOR = TensorForm()
