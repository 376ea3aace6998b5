"""What a model sees of the pictures in a folder: windows in pixel units."""

import os

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.data.folder import walk
from catch11.data.pictures import fit_picture, open_picture, quiet
from catch11.errors import InvalidArgument, UnreadablePicture

MOST = 64


def folder_windows(
    folder: str | os.PathLike[str], canvas: Canvas, *, most: int = MOST
) -> Float[Tensor, "picture channel height width"]:
    """Windows of the first `most` readable pictures below a folder, in the order of their names.

    Raises InvalidArgument where there is no folder or no readable picture in it.
    """
    listed = walk(folder)
    found: list[Tensor] = []
    for path in listed.files:
        if len(found) == most:
            break
        try:
            with quiet():
                pixels = fit_picture(open_picture(listed.root / path), canvas)
        except UnreadablePicture:
            continue
        image = torch.from_numpy(pixels).float() / 255
        image = rearrange(image, "height width channel -> 1 channel height width")
        found.append(canvas.window(image))
    if not found:
        raise InvalidArgument("folder", expected="readable pictures", found=f"none in {folder}")
    return torch.cat(found)
