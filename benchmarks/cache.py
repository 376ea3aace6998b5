"""What is worked out some items at a time and kept in a file, so that a stop loses only those."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

Columns = dict[str, Tensor]


def kept(path: Path, items: Tensor, work: Callable[[Tensor], Columns], *, together: int) -> Columns:
    """Columns, a row an item; an older file may hold more of them."""
    held: Columns = torch.load(path, weights_only=True) if path.exists() else {}
    while (done := min(map(len, held.values()), default=0)) < len(items):
        new = work(items[done : done + together])
        held = {name: torch.cat([held[name], v]) if held else v for name, v in new.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(held, half := path.with_suffix(".part"))
        half.replace(path)
    return {name: values[: len(items)] for name, values in held.items()}


def as_bytes(images: Tensor) -> Tensor:
    """As 8-bit files hold them."""
    return (images * 255).round().byte()
