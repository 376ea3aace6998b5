"""Form: how one released file becomes bytes and comes back; the table of them."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.kinds import fetched, forms, named

Meant = TypeVar("Meant")
Value = TypeVar("Value")


class Form(ABC, Generic[Meant, Value]):
    """The format of a file. Meant: what is to be written. Value: what a reader gets, as a rule the
    same type. Every reading method raises ValueError, whose text is one clause, for a file that
    this format would not hold.

    exact_for_stock_pipelines: whether any pipeline that opens the file sees what was meant, so that
    the model's own preprocessing can read it. option: what `--format` calls it, its name unless said.
    """

    name: str
    suffix: str
    option: str = ""
    exact_for_stock_pipelines: ClassVar[bool] = False

    @abstractmethod
    def encode(self, meant: Meant, canvas: Canvas) -> bytes:
        """The bytes of a file; the same for the same input."""

    @abstractmethod
    def decode(self, data: bytes, canvas: Canvas) -> Value:
        """What a file holds; treated as a stranger's."""

    @abstractmethod
    def same(self, meant: Meant, read: Value) -> bool:
        """Whether a file reads back as it was meant."""

    def intact(self, data: bytes, meant: Meant, canvas: Canvas) -> bool:
        """Whether the bytes of a file read back as it was meant."""
        return self.same(meant, self.decode(data, canvas))

    def window(self, data: bytes, canvas: Canvas) -> Tensor:
        """What the authorized model sees of a picture or sound, (channel, height, width) in pixel
        units."""
        raise ValueError(f"it is a {self.name} file, which holds no picture or sound")

    def picture(self, data: bytes, canvas: Canvas) -> Image.Image:
        """A file as pipelines of 8 bits see it."""
        raise ValueError(f"it is a {self.name} file, which holds no picture or sound")


def form_of(name: str) -> Form[Any, Any]:
    """The form of that name; raises InvalidArgument with the known ones."""
    found: Form[Any, Any] = fetched(named(forms(), name, argument="format"))
    return found


def digest(data: bytes) -> str:
    """SHA-256 in hex, of what the manifest lists."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """The same of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
