"""Labels that can be read off where a file lies or what it is called, without a pixel."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath


def leaks(files: Sequence[str], labels: Mapping[str, int], names: Sequence[str]) -> Iterator[str]:
    """Folders or names of released files that give the label away. names: of the classes."""
    labelled = [file for file in files if file in labels]
    held: dict[str, set[int]] = defaultdict(set)
    for file in labelled:
        held[str(PurePosixPath(file).parent)].add(labels[file])
    several = len(set(labels.values())) > 1
    if several and len(held) > 1 and all(len(classes) == 1 for classes in held.values()):
        yield "the released folders give the labels away: release with opaque names"
        return
    named = sum(_spells(file, labels[file], names) for file in labelled)
    if labelled and named > len(labelled) / 2:
        yield "the released file names hold the class names: release with opaque names"


def _spells(file: str, label: int, names: Sequence[str]) -> bool:
    if label >= len(names):
        return False
    words = [word.strip().casefold() for word in names[label].replace("_", " ").split(",")]
    text = file.casefold().replace("_", " ").replace("-", " ")
    return any(len(word) > 2 and word in text for word in words)
