"""Where a training stands, in a file that is whole or not there."""

import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from catch11.errors import InvalidArgument, ReleaseError
from catch11.releases.durable import sync_file, sync_folder

NAME = "training.pt"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the state in `folder`. Raises ReleaseError where it cannot be written; what stood stands."""
    path, rough = folder / NAME, folder / f".{NAME}.new"
    try:
        torch.save(dict(state), rough)
        sync_file(rough)
        os.replace(rough, path)
        sync_folder(folder)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError of a disk that is full
        with suppress(OSError):
            rough.unlink()
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ReleaseError(
            path, f"the state of the training cannot be written ({reason}); the last whole one stands",
            "make room and go on with --resume",
        ) from None  # fmt: skip


def load_state(folder: Path) -> dict[str, Any] | None:
    """The state in `folder`, tensors on the CPU; None where there is none. Raises ReleaseError where it
    is none of ours: nothing in it runs as code."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
        state = None
    if not isinstance(state, dict) or not {"facts", "epoch", "module"} <= set(state):
        raise ReleaseError(path, "it holds no state of a training", "remove it and begin anew")
    return state


def check_same(stands: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises InvalidArgument, naming the first difference, where a training of other facts stands."""
    for name in [*asked, *(name for name in stands if name not in asked)]:
        before, now = stands.get(name), asked.get(name)
        if before != now:
            raise InvalidArgument(
                "resume", expected=f"the training that stands, with {name} {_short(before)}",
                found=_short(now), remedy="give what it was begun with, or another folder",
            )  # fmt: skip


def _short(value: object) -> str:
    return str(value)[:60]
