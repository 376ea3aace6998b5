"""Some of many, evenly spaced: neighbours share a folder, a row, a class."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item], count: int | None) -> tuple[Item, ...]:
    """`count` of the items in their order, evenly spaced, the first among them; all without it."""
    total = len(items)
    some = total if count is None else min(count, total)
    return tuple(items[place * total // some] for place in range(some))


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in their order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
