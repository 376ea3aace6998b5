"""Which class of one model is which of another: by name, where both name theirs."""

import re
from collections import Counter
from collections.abc import Sequence

from catch11.data.labels import folded

# What loaders call classes that have no names.
_NUMBER = re.compile(r"(label|class)?\W*\d+")


def same_classes(own: Sequence[str], theirs: Sequence[str]) -> tuple[int, ...] | None:
    """The place of each class of one model among another's; None where that is not known, of another
    number of classes or of other names. Classes that one of them numbers keep their order."""
    if len(own) != len(theirs):
        return None
    if len(own) < 2:
        return tuple(range(len(own)))  # a score, or words
    for spelled in (folded, _first_word):
        mine, other = [[spelled(name) for name in names] for names in (own, theirs)]
        if mine == other:
            return tuple(range(len(own)))
        if len(set(mine)) == len(mine) and set(mine) == set(other):
            return tuple(other.index(name) for name in mine)
        if _one_list(mine, other):
            return tuple(range(len(own)))
    return tuple(range(len(own))) if _unnamed(own) or _unnamed(theirs) else None


def _one_list(mine: Sequence[str], other: Sequence[str]) -> bool:
    """Whether both name the same classes in one order, of which one tells some apart by longer names:
    ImageNet has two cranes, "crane bird" in some lists."""
    often = [Counter(mine), Counter(other)]
    pairs = list(zip(mine, other, strict=True))
    told = [(a, b) for a, b in pairs if often[0][a] == 1 == often[1][b]]
    return len(told) > len(pairs) // 2 and all(a == b for a, b in told)


def _first_word(name: str) -> str:
    """Of a list of synonyms, as ImageNet has them."""
    return folded(name.split(",")[0])


def _unnamed(names: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(folded(name)) for name in names)
