"""What a training learns from: labelled pictures of folders, of a CSV, or of a saved data set."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from catch11.data.folder import walk
from catch11.data.labels import folder_labels, read_labels
from catch11.data.pictures import open_picture
from catch11.data.rows import csv_rows
from catch11.errors import InvalidArgument, LabelsRefused
from catch11.lab import needed
from catch11.training.lesions import TABLE, check_lesions, read_lesions
from catch11.training.recipe import seed_of

PARTS = {"train": ("train", "training"), "held": ("test", "val", "valid", "validation", "eval")}
DIAGNOSIS, LESION = "dx", "lesion_id"  # columns of HAM10000
_SAVED = ("dataset_info.json", "dataset_dict.json", "state.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One picture: what it is called, its class, and how it is opened (UnreadablePicture). group: what it
    shows, where others show the same: they are all learned from, or all judged by."""

    name: str
    label: int
    group: str = ""
    open: Callable[[], Image.Image]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """Pictures to learn from and pictures to be judged by, with the names of their classes."""

    classes: tuple[str, ...]
    train: tuple[Lesson, ...]
    held: tuple[Lesson, ...]


def read_lessons(
    source: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    share: float,
    seed: int,
) -> Lessons:
    """The labelled pictures of `source`.

    A folder of class folders, or of train/ and test/ (or val/) with class folders in each; a folder with
    a CSV `file,label`; HAM10000 as published; or a data set that `datasets` saved to disk, with one column
    of pictures and one of classes. Where it names no pictures to be judged by, `share` of each class is
    held back by the seed; pictures of one lesion stay together.
    Raises InvalidArgument, LabelsRefused, MissingExtra.
    """
    root = Path(source)
    if any((root / name).is_file() for name in _SAVED):
        if labels is not None:
            raise InvalidArgument("labels", expected="none, a data set has its own", found=labels)
        classes, parts = _saved(root)
    elif labels is not None:
        classes, parts = _listed(root, labels)
    elif (root / TABLE).is_file():
        classes, rows = read_lesions(root)
        parts = {"train": [_file(root, *row) for row in sorted(rows)]}
    else:
        classes, parts = _folders(root)
    _check(root, classes, parts["train"])
    if "held" not in parts:
        parts["train"], parts["held"] = _split(parts["train"], share, seed)
    return Lessons(classes=classes, train=tuple(parts["train"]), held=tuple(parts["held"]))


Parts = dict[str, list[Lesson]]


def _folders(root: Path) -> tuple[tuple[str, ...], Parts]:
    given = {
        part: next((root / name for name in names if (root / name).is_dir()), None)
        for part, names in PARTS.items()
    }
    if given["train"] is None:
        given = {"train": root, "held": None}
    train = given["train"]
    assert train is not None
    classes = tuple(sorted({name.split("/")[0] for name in walk(train).files if "/" in name}))
    parts: Parts = {}
    for part, folder in given.items():
        if folder is not None:
            files = [name for name in walk(folder).files if not name.startswith(".")]
            found = folder_labels(files, names=classes)
            parts[part] = [_file(folder, name, found.rows[name]) for name in sorted(found.rows)]
    return classes, parts


def _listed(root: Path, path: str | os.PathLike[str]) -> tuple[tuple[str, ...], Parts]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv_rows(file.read())[1:]
    said = {row[1].strip() for row in rows if len(row) == 2}
    numbers = all(text.isascii() and text.isdigit() for text in said)
    # Numbers are indices, and the classes are called by them.
    most = max((int(text) for text in said), default=-1) if numbers else 0
    classes = tuple(map(str, range(most + 1))) if numbers else tuple(sorted(said))
    found = read_labels(path, names=classes)
    lessons = []
    for name in walk(root).files:
        label = found.of(name)
        if label is not None:
            lessons.append(_file(root, name, label))
    if len(lessons) < len(found):
        here = f"{len(lessons)} of its {len(found)} files are below {root}"
        raise LabelsRefused(path, here, "give the folder that its paths start from")
    return classes, {"train": lessons}


def _file(root: Path, name: str, label: int, group: str = "") -> Lesson:
    return Lesson(name=name, label=label, group=group, open=lambda: open_picture(root / name))


def _saved(root: Path) -> tuple[tuple[str, ...], Parts]:
    datasets = needed("datasets", "datasets")
    loaded = datasets.load_from_disk(str(root))
    whole = loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    tables: dict[str, Any] = {
        part: next((whole[name] for name in (*names, part) if name in whole), None)
        for part, names in PARTS.items()
    }
    if tables["train"] is None:
        found = ", ".join(whole) or "none"
        raise InvalidArgument("source", expected="a split called train", found=found)
    features = tables["train"].features
    columns = [
        [name for name, feature in features.items() if isinstance(feature, kind)]
        for kind in (datasets.Image, datasets.ClassLabel)
    ]
    if not columns[1] and DIAGNOSIS in features:  # HAM10000 has words there
        tables = {part: _classed(table, tables["train"]) for part, table in tables.items()}
        columns[1], features = [DIAGNOSIS], tables["train"].features
    for kind, names in zip(("pictures", "classes"), columns, strict=True):
        if len(names) != 1:
            found = ", ".join(names) or f"none of {', '.join(features)}"
            raise InvalidArgument("source", expected=f"one column of {kind}", found=found)
    (picture,), (label,) = columns
    parts: Parts = {}
    for part, table in tables.items():
        if table is not None:
            given = table[label]
            if any(value is None or value < 0 for value in given):
                raise LabelsRefused(root, f"a row of {part} has no label")
            groups = table[LESION] if LESION in table.features else [""] * len(given)
            parts[part] = [
                _row(table, picture, f"{part}/{index}", index, value, str(group or ""))
                for index, (value, group) in enumerate(zip(given, groups, strict=True))
            ]
    _check_groups(root, features[label].names, parts)
    return tuple(features[label].names), parts


def _classed(table: Any, train: Any) -> Any:
    """The same with the words of the diagnosis as classes, those of the pictures to learn from."""
    from datasets import ClassLabel

    if table is None:
        return None
    if not all([*train[DIAGNOSIS], *table[DIAGNOSIS]]):
        raise LabelsRefused(DIAGNOSIS, "a row has no label")
    names = sorted(set(train[DIAGNOSIS]))
    if other := sorted(set(table[DIAGNOSIS]) - set(names)):
        raise LabelsRefused(DIAGNOSIS, f"no picture to learn from is called {other[0]}")
    return table.cast_column(DIAGNOSIS, ClassLabel(names=names))


def _check_groups(root: Path, classes: Sequence[str], parts: Parts) -> None:
    """Raises LabelsRefused where a lesion has two diagnoses, or pictures in both parts."""
    rows = [lesson for part in parts.values() for lesson in part if lesson.group]
    check_lesions(root, [(lesson.group, classes[lesson.label]) for lesson in rows])
    sides = [{lesson.group for lesson in part if lesson.group} for part in parts.values()]
    if both := set.intersection(*sides) if len(sides) > 1 else set():
        reason = f"{len(both)} lesions have pictures in both of its splits, first {min(both)}"
        raise LabelsRefused(root, reason, "give its train split alone: a share of it is held back")


def _row(table: Any, column: str, name: str, index: int, label: int, group: str) -> Lesson:
    return Lesson(
        name=name, label=int(label), group=group, open=lambda: table[index][column].convert("RGB")
    )  # fmt: skip


def _check(root: Path, classes: Sequence[str], train: Sequence[Lesson]) -> None:
    if len(classes) < 2:
        found = f"{len(classes)}: {', '.join(classes)}" if classes else "no class folder"
        raise LabelsRefused(root, f"expected two classes or more, found {found}")
    for index, name in enumerate(classes):
        count = sum(lesson.label == index for lesson in train)
        if count < 2:
            pictures = "one picture" if count else "no picture"
            raise LabelsRefused(root, f"the class {name} has {pictures} to learn from, expected 2")


def _split(lessons: Sequence[Lesson], share: float, seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """(to learn from, to be judged by): of each class at least one of each."""
    held: set[str] = set()
    for label in sorted({lesson.label for lesson in lessons}):
        names = list(dict.fromkeys(_group(lesson) for lesson in lessons if lesson.label == label))
        if len(names) < 2:
            continue  # one lesion, photographed more than once
        generator = torch.Generator().manual_seed(seed_of(seed, label))
        order = torch.randperm(len(names), generator=generator).tolist()
        count = min(max(1, round(share * len(names))), len(names) - 1)
        held |= {names[place] for place in order[:count]}
    return (
        [lesson for lesson in lessons if _group(lesson) not in held],
        [lesson for lesson in lessons if _group(lesson) in held],
    )


def _group(lesson: Lesson) -> str:
    return lesson.group or lesson.name
