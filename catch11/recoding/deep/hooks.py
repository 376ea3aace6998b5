"""What a module reads and makes, noted for the thread that asks and for no other.

A module carries one hook for good, once it was asked about: hooks that come and go would have the
threads of a release wait for each other. Where no thread asks, the hook notes nothing.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from torch import nn

Noted = dict[nn.Module, tuple[tuple[Any, ...], Any]]

_HOOKED: WeakSet[nn.Module] = WeakSet()
_HANGING = threading.Lock()  # held while a hook is hung, never while a model runs
_ASKED = threading.local()


@contextmanager
def noted(modules: Iterable[nn.Module]) -> Iterator[Noted]:
    """What these modules were given and what they made of it, when they ran in this thread within
    the block."""
    asked = set(modules)
    with _HANGING:
        for module in (one for one in asked if one not in _HOOKED):
            module.register_forward_hook(_note)
            _HOOKED.add(module)
    before = getattr(_ASKED, "now", None)
    seen: Noted = {}
    _ASKED.now = asked, seen
    try:
        yield seen
    finally:
        _ASKED.now = before


def _note(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
    now: tuple[set[nn.Module], Noted] | None = getattr(_ASKED, "now", None)
    if now is not None and module in now[0]:
        now[1][module] = given, made
