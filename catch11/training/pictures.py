"""Lessons as pixels: each picture brought to the canvas once, kept in memory as far as it fits."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.data.pictures import fit_picture, quiet
from catch11.errors import UnreadablePicture
from catch11.training.lessons import Lesson

MEMORY = 2 << 30  # bytes of pictures that are kept
CHUNK = 64
Pixels = UInt8[np.ndarray, "height width channel"]


class Pictures:
    """The readable ones of some lessons, at canvas size. lost: (name, reason) of the others."""

    def __init__(
        self,
        lessons: Sequence[Lesson],
        canvas: Canvas,
        *,
        memory: int = MEMORY,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.canvas = canvas
        self.lost: list[tuple[str, str]] = []
        self._kept: dict[int, Pixels] = {}
        room = memory // (canvas.height * canvas.width * canvas.channels)
        lessons_read: list[Lesson] = []
        with ThreadPoolExecutor() as pool, quiet():
            for start in range(0, len(lessons), CHUNK):
                part = lessons[start : start + CHUNK]
                for lesson, read in zip(part, pool.map(self._try, part), strict=True):
                    if isinstance(read, str):
                        self.lost.append((lesson.name, read))
                        continue
                    if len(self._kept) < room:
                        self._kept[len(lessons_read)] = read
                    lessons_read.append(lesson)
                progress(min(start + CHUNK, len(lessons)), len(lessons))
        self.lessons = tuple(lessons_read)
        self.labels: Int[Tensor, " count"] = torch.tensor([one.label for one in self.lessons])

    def __len__(self) -> int:
        return len(self.lessons)

    def batch(self, indices: Sequence[int]) -> Float[Tensor, "batch channel height width"]:
        """Whole canvas pictures in [0, 1]. Raises UnreadablePicture where a file has gone."""
        with quiet():
            stack = np.stack([self._pixels(index) for index in indices])
        return rearrange(torch.from_numpy(stack).float() / 255, "n h w c -> n c h w")

    def _pixels(self, index: int) -> Pixels:
        kept = self._kept.get(index)
        return self._fit(self.lessons[index]) if kept is None else kept

    def _fit(self, lesson: Lesson) -> Pixels:
        return fit_picture(lesson.open(), self.canvas)

    def _try(self, lesson: Lesson) -> Pixels | str:
        try:
            return self._fit(lesson)
        except UnreadablePicture as error:
            return error.reason
