"""How many pictures a model was asked about: the price of a search."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from catch11.models.frame import Model


@contextmanager
def counted(model: Model) -> Iterator[list[int]]:
    """The pictures of each pass of a torch model within the block."""
    passes: list[int] = []

    def note(module: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        passes.append(len(next(iter((*given, *named.values())))))

    assert model.module is not None
    hook = model.module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield passes
    finally:
        hook.remove()
