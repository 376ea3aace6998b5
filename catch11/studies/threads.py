"""One processor thread for a while, where processor time is measured or nets are tiny."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch until the end of the block, then as many as before.

    The processor seconds of several threads add up their waiting for each other, and nets of a few thousand
    weights run no faster on two, and far slower on busy cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
