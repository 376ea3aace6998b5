"""Labels of files: a CSV with the header `file,label`, or the folders the files lie in."""

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import PurePosixPath
from typing import Any

from catch11.data.rows import csv_rows
from catch11.errors import LabelsRefused

HEADER = ["file", "label"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Class indices by file: paths below the source or the release, with or without suffix."""

    rows: Mapping[str, int]
    source: str = "labels"
    _stems: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stems: dict[str, tuple[str, ...]] = {}
        for name in self.rows:
            base = _composed(stem(name))
            stems[base] = (*stems.get(base, ()), name)
        object.__setattr__(self, "_stems", stems)

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, path: str) -> int | None:
        """The label of a file, None where there is none.

        The name itself decides, then the name without its suffix, then the only row that differs
        in how its letters are composed (macOS takes accents apart), then in the suffix alone.
        Raises LabelsRefused where several rows with different labels fit.
        """
        path = tidy(path)
        for name in (path, stem(path)):
            if name in self.rows:
                return self.rows[name]
        fitting = self._stems.get(_composed(stem(path)), ())
        fitting = tuple(n for n in fitting if _composed(n) == _composed(path)) or fitting
        found = {self.rows[name] for name in fitting}
        if len(found) > 1:
            reason = f"{', '.join(fitting)} all fit {path} and differ"
            raise LabelsRefused(self.source, reason, f"add a row for {path}")
        return next(iter(found), None)


def given_labels(
    labels: Labels | Mapping[str, Any] | str | os.PathLike[str], *, names: Sequence[str] = ()
) -> Labels:
    """Labels as they are given: themselves, a mapping of indices, or a CSV. Raises LabelsRefused."""
    if not isinstance(labels, Mapping):
        return labels if isinstance(labels, Labels) else read_labels(labels, names=names)
    for file, label in labels.items():
        if not isinstance(label, Integral) or not 0 <= int(label) < (len(names) or math.inf):
            most = f" from 0 to {len(names) - 1}" if names else " (0 or more)"
            raise LabelsRefused("mapping", f"{label!r} of {file} is no class index{most}")
    return Labels(rows={file: int(label) for file, label in labels.items()}, source="mapping")


def read_labels(path: str | os.PathLike[str], *, names: Sequence[str] = ()) -> Labels:
    """Read a CSV with the header `file,label`, UTF-8.

    names: the model's class names; a label is one of them (spelling as in `folded` if that is
    unambiguous) or an index. Without names only indices are taken. Raises LabelsRefused, naming
    the line, for anything else and for files listed twice.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv_rows(file.read())
    except OSError as error:
        raise LabelsRefused(path, f"it cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise LabelsRefused(path, f"it is no CSV in UTF-8 ({error})") from None
    head = [cell.strip().lower() for cell in table[0]] if table else []
    if head != HEADER:
        raise LabelsRefused(
            path, f"expected the header file,label, found {','.join(head) or 'none'}"
        )
    classes = Classes(names)
    rows: dict[str, int] = {}
    for number, row in enumerate(table[1:], start=2):
        if len(row) != 2:
            raise LabelsRefused(path, f"row {number} has {len(row)} columns, expected 2")
        name, index = tidy(row[0]), classes.index(row[1])
        if not name:
            raise LabelsRefused(path, f"row {number} names no file")
        if index is None:
            raise LabelsRefused(path, f"row {number}: {row[1]!r} is no {classes}")
        if name in rows:
            raise LabelsRefused(path, f"row {number} lists {name} a second time")
        rows[name] = index
    # A row without suffix labels every file of that stem: one with suffix would contradict it.
    for name in rows:
        if stem(name) != name and stem(name) in rows:
            raise LabelsRefused(path, f"it lists both {stem(name)} and {name}")
    return Labels(rows=rows, source=str(path))


def folder_labels(files: Iterable[str], *, names: Sequence[str] = ()) -> Labels:
    """Labels from class folders: the first folder of each path is a class name or an index.

    Raises LabelsRefused for a file outside such a folder.
    """
    classes = Classes(names)
    rows: dict[str, int] = {}
    for file in files:
        folder, _, rest = tidy(file).partition("/")
        index = classes.index(folder)
        if not rest or index is None:
            found = f"in the folder {folder}, which is no {classes}" if rest else "in no folder"
            raise LabelsRefused("class folders", f"{file} lies {found}")
        rows[tidy(file)] = index
    return Labels(rows=rows, source="class folders")


def tidy(path: str) -> str:
    """A relative path in one spelling: forward slashes, no leading ./ and no outer blanks."""
    text = str(PurePosixPath(path.strip().replace("\\", "/")))
    return "" if text == "." else text


def stem(path: str) -> str:
    """The path without its last suffix; `.hidden` and `a.` have none."""
    return str(PurePosixPath(path).with_suffix("")) if PurePosixPath(path).suffix else path


def folded(name: str) -> str:
    """A class name without what spellings of one name differ in: case, composition, underscores."""
    return " ".join(_composed(_composed(name).casefold()).replace("_", " ").split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


class Classes:
    """Class names to indices; its text says what a label may be."""

    def __init__(self, names: Sequence[str]) -> None:
        self.count = len(names)
        self.exact = _unique(names)
        self.folded = _unique([folded(name) for name in names])

    def __str__(self) -> str:
        if not self.count:
            return "class index (0 or more)"
        return f"class name of the model and no index from 0 to {self.count - 1}"

    def index(self, text: str) -> int | None:
        text = text.strip()
        if text in self.exact:
            return self.exact[text]
        if folded(text) in self.folded:
            return self.folded[folded(text)]
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            return None
        return int(text) if not self.count or int(text) < self.count else None


def _unique(names: Sequence[str]) -> dict[str, int]:
    # A name that two classes share (ImageNet has two cranes) says nothing: their indices must.
    count = Counter(names)
    return {name: index for index, name in enumerate(names) if count[name] == 1}
