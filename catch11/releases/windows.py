"""Releases of pictures and sounds: what they share, the window that the authorized model sees."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.data.stores.folders import FolderSource
from catch11.data.stores.frame import Source
from catch11.data.windows import as_pictures, to_pixels
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.releases.form import Form, form_of
from catch11.releases.pipeline import Draft, Pipeline, Request

Read = Callable[[bytes, str, Canvas], np.ndarray]
"""Bytes, path and canvas to (height, width, channel): 8-bit levels, or float32 in [0, 1].

Raises UnreadableSource."""


class WindowForm(Form[Tensor, Tensor]):
    """A file of one image in pixel units, on the grid that `GRIDS` has under the form's name.

    whole: the file holds the canvas picture, else the window alone. A format says how an image,
    float (channel, height, width), is encoded and loaded, as float32.
    """

    whole: ClassVar[bool] = False

    @abstractmethod
    def load(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        """The image in a file, of any size."""

    def decode(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        """The image in a file, of the size that the canvas says."""
        image = self.load(data, canvas)
        size = canvas.size if self.whole else canvas.shape
        if tuple(image.shape) != size:
            raise ValueError(f"its size is {tuple(image.shape)}, expected {size}")
        return image

    def same(self, meant: Tensor, read: Tensor) -> bool:
        """Equal samples, not merely close values."""
        grid = GRIDS[self.name]
        if not grid.bounded:
            return torch.equal(meant, read)
        return torch.equal(grid.index(meant), grid.index(read))

    def window(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        image = self.decode(data, canvas)
        return canvas.window(image[None])[0] if self.whole else image

    def picture(self, data: bytes, canvas: Canvas) -> Image.Image:
        """The image clipped and rounded to 8 bits."""
        return Image.fromarray(to_pixels(self.decode(data, canvas)))


class Windows(Pipeline[np.ndarray, Tensor]):
    """The files of a source, each brought to the key's canvas: (height, width, channel)."""

    options = frozenset({"read"})
    form: WindowForm

    def __init__(
        self, source: Source, *, recoder: Recoder, read: Read, check: Model | None = None
    ) -> None:
        self.names, self.problems, self.keyed = source.names, source.problems, source.keyed
        form = form_of(recoder.domain.format)
        assert isinstance(form, WindowForm)  # every format that has a grid is one
        self.form, self.batch = form, recoder.batch
        self._source, self._recoder, self._read, self._check = source, recoder, read, check
        self._canvas = recoder.key.canvas

    @classmethod
    @abstractmethod
    def usual(cls, asked: Request) -> Read:
        """How sources come to the canvas where nothing else is asked for."""

    @classmethod
    def open(cls, source: Path, asked: Request) -> "Windows":
        recoder, check = asked.recoder, asked.check
        if recoder.key.private and recoder.scramble is None:
            raise InvalidArgument(
                "copy", expected="the secret of the personalised copy that the key is of", found="none",
                remedy="a copy reads scrambled pictures only: give the recoder copy=load_secret(FILE)",
            )  # fmt: skip
        if check is not None:
            same_canvas(check, recoder.key.canvas)
            recoder.key.check_reader(check)
        read = asked.read or cls.usual(asked)
        files = FolderSource(source) if asked.source is None else asked.source
        return cls(files, recoder=recoder, read=read, check=check)

    def data(self, name: str) -> bytes:
        return self._source.data(name)

    def sort(self, names: Sequence[str]) -> Sequence[str]:
        """As in the source, where rows or members hang on it."""
        return self.names if self._source.ordered else names

    def facts(self) -> dict[str, Any]:
        column = self._source.column
        return {"column": column} if column else {}

    def read(self, name: str, data: bytes) -> np.ndarray:
        return self._read(data, name, self._canvas)

    def seen(self, item: np.ndarray) -> bytes:
        """The bytes of the window: another margin is no other picture."""
        rows = slice(self._canvas.top, self._canvas.top + self._canvas.window_height)
        columns = slice(self._canvas.left, self._canvas.left + self._canvas.window_width)
        return item[rows, columns].tobytes()

    def recode(self, items: Sequence[np.ndarray]) -> list[Draft[Tensor]]:
        made = self._recoder(_images(items))
        whole = self.form.whole
        images = made.images if whole else self._canvas.window(made.images)
        rows = zip(images, made.psnr, made.front_shift, made.distances, made.reasons, strict=True)
        return [
            Draft(value=image, psnr=decibels, front_shift=shift, distance=distance)
            if reason is None
            else Draft(reason=reason)
            for image, decibels, shift, distance, reason in rows
        ]

    def judge(
        self, items: Sequence[np.ndarray], made: Sequence[Draft[Tensor]], files: Sequence[bytes]
    ) -> list[Draft[Tensor]]:
        clean, released = self._clean_answers(items), self._released_answers(files)
        return [
            one
            if before == after
            else Draft(
                reason=f"the authorized model answers {after} and answered {before} on the source"
            )
            for one, before, after in zip(made, clean, released, strict=True)
        ]

    def _clean_answers(self, items: Sequence[np.ndarray]) -> list[int]:
        """Of levels, through the model's own preprocessing, which keeps exactly the window of a
        canvas picture, so that the answer is the one to the original file. Floats are windows, and
        a personalised copy reads scrambled ones."""
        scramble = self._recoder.scramble
        if scramble is None and items[0].dtype == np.uint8:
            pictures = [
                Image.fromarray(np.squeeze(i, -1) if i.shape[-1] == 1 else i) for i in items
            ]
            return self._answers(self._model.preprocess(pictures))
        windows = self._canvas.window(_images(items))
        windows = windows if scramble is None else scramble(windows)
        return self._answers(self._model.canvas.normalise(windows))

    def _released_answers(self, files: Sequence[bytes]) -> list[int]:
        """Through the model's own preprocessing where a licensee's pipeline reads the file so; of sealed
        files, as their copy opens them."""
        seal = self._recoder.domain.seal
        mode = "RGB" if self._canvas.channels == 3 else "L"
        if seal is not None:
            windows = torch.stack([self.form.window(data, self._canvas) for data in files])
            opened = as_pictures(seal.opened(windows), self._canvas)
            return self._answers(self._model.preprocess([one.convert(mode) for one in opened]))
        if self.form.exact_for_stock_pipelines:
            pictures = [self.form.picture(data, self._canvas).convert(mode) for data in files]
            return self._answers(self._model.preprocess(pictures))
        windows = torch.stack([self.form.window(data, self._canvas) for data in files])
        return self._answers(self._model.canvas.normalise(windows))

    @property
    def _model(self) -> Model:
        assert self._check is not None
        return self._check

    def _answers(self, values: Tensor) -> list[int]:
        return [int(answer) for answer in self._model.answers(values)]


def same_canvas(model: Model, canvas: Canvas) -> None:
    """Raise KeyMismatch where the model to check with does not read the key's canvas."""
    if model.canvas.size != canvas.size or model.canvas.shape != canvas.shape:
        raise KeyMismatch("canvas", expected=str(canvas.size), found=str(model.canvas.size))


def _images(items: Sequence[np.ndarray]) -> Float[Tensor, "batch channel height width"]:
    """Sources in pixel units."""
    stack = torch.from_numpy(np.stack(items))
    images = rearrange(stack, "n height width channel -> n channel height width").float()
    return images / 255 if stack.dtype == torch.uint8 else images
