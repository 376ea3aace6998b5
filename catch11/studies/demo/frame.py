"""What both demos share: how they tell what they do, what they found, and a folder of their own."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from catch11.errors import InvalidArgument
from catch11.evaluation.verification import Verification

MARK = "catch11-demo"  # a file that says a folder is the demo's own and may be emptied


@runtime_checkable
class Step(Protocol):
    """Called with what is being done, how much of it is done, and of how much."""

    def __call__(self, what: str, done: int, total: int, file: str = "") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demo found: one verification a method, the picture, the folder with the releases."""

    results: Mapping[str, Verification]
    picture: Path
    folder: Path


def clear(folder: Path) -> None:
    """An empty folder with the demo's mark; nobody else's files are touched. Raises InvalidArgument."""
    if folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise InvalidArgument("folder", expected="a new or empty folder", found=str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("Made by `catch11 demo`, which empties this folder.\n")
