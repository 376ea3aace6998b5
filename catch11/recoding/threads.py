"""The threads of torch, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many threads of torch until the end of the block, then as many as before; None changes nothing.

    One thread for each picture is faster than to share the cores within it, and nets of a few
    thousand weights run no faster on two. The processor seconds of several threads add up their
    waiting for each other.
    """
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
