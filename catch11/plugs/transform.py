"""Recode: a recoder as a transform of pictures, for `Dataset.map`, torchvision and loaders of one's own."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from catch11.data.pictures import decode_picture, fit_picture, quiet, read_source
from catch11.errors import InvalidArgument, UnreadablePicture
from catch11.kinds import IMAGE
from catch11.recoding.frame import Recoder
from catch11.releases.form import form_of

_TORCHVISION = "torchvision.tv_tensors"


class Recode:
    """Recodes one picture at a time, to the bytes that `release` writes for it.

    Called with the bytes of a picture file, or a path, it returns the bytes of the released one; with a Pillow picture or
    a uint8 tensor (channel, height, width), the same of canvas size; an Image of torchvision stays one. Called with a row (a
    mapping), or a batch of rows, it returns it with its `column` recoded: the bytes, or the struct of bytes and path that `datasets` keeps.
    Called as torchvision's v2 calls, with a picture and more or with a tuple of them, it recodes the first and hands on the rest.
    Pixels that were decoded before give the same file as long as they are what the file holds; a picture that Pillow opened
    is turned and refused as its file is.

    recoder: of pictures. column: of rows. Raises InvalidArgument for recoders of other data, for boxes and masks, which
    would no longer fit, and for a second picture, UnreadablePicture where a picture cannot be read or the recoder withholds it.
    """

    def __init__(self, recoder: Recoder[Any], *, column: str = "image") -> None:
        if recoder.key.modality != IMAGE:
            expected = "a recoder of pictures"
            raise InvalidArgument(
                "recoder", expected=expected, found=f"one of {recoder.key.modality}"
            )
        if recoder.key.private and recoder.scramble is None:
            expected = "one with the secret of the personalised copy that the key is of (copy=)"
            raise InvalidArgument("recoder", expected=expected, found="one without it")
        self.recoder, self.column = recoder, column
        self._form = form_of(recoder.domain.format)

    def __repr__(self) -> str:
        return f"Recode({self.recoder.method}, key {self.recoder.key.fingerprint[:16]}, column={self.column!r})"

    def __call__(self, value: Any, *more: Any) -> Any:
        if more:
            return self((value, *more))
        if isinstance(value, tuple | list):
            _check_alone(value)
            first, *rest = value
            _check_passed(rest)
            return type(value)((self(first), *rest))
        if isinstance(value, Mapping):
            return self._row(value)
        if isinstance(value, Image.Image):
            return self._opened(self.file(value))
        if isinstance(value, Tensor):
            _check_passed([value])
            picture = self._opened(self.file(_picture(value.as_subclass(Tensor))))
            pixels = torch.from_numpy(np.array(picture))
            pixels = pixels[..., None] if pixels.ndim == 2 else pixels
            made = rearrange(pixels, "height width channel -> channel height width")
            return made if type(value) is Tensor else _as(value, made)
        if value is None:
            raise UnreadablePicture("picture", "there is none")
        if not isinstance(value, bytes | str | os.PathLike):
            raise InvalidArgument(
                "picture", expected="a file's bytes or path, a Pillow picture or a uint8 tensor",
                found=type(value).__name__,
            )  # fmt: skip
        return self.file(value if isinstance(value, bytes) else read_source(value))

    def file(self, picture: bytes | Image.Image) -> bytes:
        """The released file of a picture file, or of a picture that was opened."""
        canvas = self.recoder.key.canvas
        with quiet():
            pixels = fit_picture(decode_picture(picture), canvas)
        image = torch.from_numpy(pixels).float() / 255
        made = self.recoder(rearrange(image, "height width channel -> 1 channel height width"))
        if made.reasons[0] is not None:
            raise UnreadablePicture("picture", f"it is withheld: {made.reasons[0]}")
        images = made.images if getattr(self._form, "whole", False) else canvas.window(made.images)
        return self._form.encode(images[0], canvas)

    def _opened(self, data: bytes) -> Image.Image:
        return self._form.picture(data, self.recoder.key.canvas)

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if self.column not in row:
            found = ", ".join(map(str, row))
            raise InvalidArgument("column", expected=f"a column {self.column}", found=found)
        _check_passed(row.values())
        cell = row[self.column]
        several = isinstance(cell, list)  # a batch of rows
        return {**row, self.column: [*map(self._cell, cell)] if several else self._cell(cell)}

    def _cell(self, cell: Any) -> Any:
        if not isinstance(cell, Mapping):
            return self(cell)
        return {"bytes": self(cell.get("bytes") or cell.get("path")), "path": None}


def _check_alone(values: Sequence[Any]) -> None:
    """Refuse a second picture, which would be handed on as it is."""
    count = sum(
        isinstance(one, bytes | Image.Image) or _of_torchvision(one) == "Image" for one in values
    )
    if count > 1 or not values:
        raise InvalidArgument(
            "picture", expected="one picture, and what else belongs to it", found=f"{count} pictures",
            remedy="call it once for each",
        )  # fmt: skip


def _check_passed(values: Iterable[Any]) -> None:
    """Refuse what lies on the pixels of a picture: the recoded one has other pixels."""
    for one in values:
        if (name := _of_torchvision(one)) not in ("", "Image", "Tensor"):
            raise InvalidArgument(
                "picture", expected="a picture without boxes or masks, which would no longer fit",
                found=name, remedy="bring them to the canvas yourself, or leave them out",
            )  # fmt: skip


def _of_torchvision(value: Any) -> str:
    """What kind of its tensors something is; empty of what is none of its."""
    kind = type(value)
    return kind.__name__ if kind.__module__.startswith(_TORCHVISION) else ""


def _as(value: Tensor, made: Tensor) -> Any:
    """The same kind of tensor."""
    if not _of_torchvision(value):
        return made
    from torchvision import tv_tensors

    return tv_tensors.wrap(made, like=value)


def _picture(value: Tensor) -> Image.Image:
    if value.dtype != torch.uint8 or value.ndim != 3 or value.shape[0] not in (1, 3):
        raise InvalidArgument(
            "picture", expected="a uint8 tensor (channel, height, width) of 1 or 3 channels",
            found=f"{value.dtype} {tuple(value.shape)}",
        )  # fmt: skip
    pixels = rearrange(value.cpu(), "channel height width -> height width channel").numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
