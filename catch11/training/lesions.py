"""HAM10000 as it is published: a table of pictures with their diagnoses and lesions, and folders of pictures
(Tschandl et al. 2018). A lesion that was photographed twice is never in both parts."""

from collections.abc import Sequence
from pathlib import Path

from catch11.data.folder import walk
from catch11.data.rows import csv_rows
from catch11.errors import LabelsRefused

TABLE = "HAM10000_metadata.csv"
COLUMNS = ("lesion_id", "image_id", "dx")


def read_lesions(root: Path) -> tuple[tuple[str, ...], list[tuple[str, int, str]]]:
    """The diagnoses, sorted, and (file below `root`, diagnosis, lesion) of each picture.

    Pictures lie anywhere below `root` (HAM10000_images_part_1 and _2 as published), called by their
    image_id. Raises LabelsRefused, where a column, a diagnosis or a picture is missing.
    """
    path = root / TABLE
    first, *rows = csv_rows(path.read_text(encoding="utf-8-sig")) or [()]
    head = [name.strip() for name in first]
    if missing := [name for name in COLUMNS if name not in head]:
        raise LabelsRefused(
            path, f"expected the columns {', '.join(COLUMNS)}, found no {missing[0]}"
        )
    places = [head.index(name) for name in COLUMNS]
    files = {Path(name).stem: name for name in walk(root).files}
    named: list[tuple[str, str, str]] = []
    for row in rows:
        lesion, image, diagnosis = (
            row[place].strip() if place < len(row) else "" for place in places
        )
        if not (lesion and image and diagnosis):
            raise LabelsRefused(path, f"the row of {image or 'a picture'} has an empty cell")
        if image not in files:
            raise LabelsRefused(path, f"its picture {image} is not below {root}")
        named.append((files[image], diagnosis, lesion))
    check_lesions(path, [(lesion, diagnosis) for _, diagnosis, lesion in named])
    classes = tuple(sorted({diagnosis for _, diagnosis, _ in named}))
    return classes, [(file, classes.index(diagnosis), lesion) for file, diagnosis, lesion in named]


def check_lesions(path: object, rows: Sequence[tuple[str, str]]) -> None:
    """Raises LabelsRefused where a lesion has two diagnoses. rows: (lesion, diagnosis)."""
    known: dict[str, str] = {}
    for lesion, diagnosis in rows:
        if known.setdefault(lesion, diagnosis) != diagnosis:
            both = f"{known[lesion]} and {diagnosis}"
            raise LabelsRefused(path, f"the lesion {lesion} is called {both}")
