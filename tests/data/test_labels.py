"""Labels: names and indices, with or without suffix; every contradiction refused by its line."""

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catch11.data.labels import Labels, folder_labels, read_labels
from catch11.errors import LabelsRefused

NAMES = ("tench", "Crane", "maillot", "crane", "wren", "wren")


def table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class Found(NamedTuple):
    row: str
    asked: str
    label: int | None


@pytest.mark.parametrize(
    "found",
    [
        Found("a.jpg,2", "a.jpg", 2),
        Found("a.jpg,2", "a.png", 2),
        Found("a.jpg,2", "a.jpg.png", 2),
        Found("a.jpg,2", "a", 2),
        Found("a,2", "a.png", 2),
        Found("./x/a.jpg, 2 ", "x/a.png", 2),
        Found("x\\a.jpg,tench", "x/a.png", 0),
        Found("a.jpg,TENCH", "a.png", 0),
        Found("a.jpg,crane", "a.png", 3),
        Found("a.jpg,Crane", "a.png", 1),
        Found('"a,b.jpg",1', "a,b.png", 1),
        Found("v1.2/a.jpg,1", "v1.2/a.png", 1),
        Found("a.jpg,1", "b.png", None),
        Found("x/a.jpg,1", "a.png", None),
        Found("Ame\u0301lie.jpg,1", "Am\u00e9lie.png", 1),
        Found("Am\u00e9lie.jpg,MAILLOT ", "Ame\u0301lie.png", 2),
    ],
    ids=repr,
)
def test_rows_are_found(found: Found, tmp_path: Path) -> None:
    labels = read_labels(table(tmp_path, f"file,label\n{found.row}\n"), names=NAMES)
    assert labels.of(found.asked) == found.label


class Refused(NamedTuple):
    text: str | bytes
    reason: str


@pytest.mark.parametrize(
    "refused",
    [
        Refused("", "expected the header file,label, found none"),
        Refused("name,class\na,1\n", "expected the header file,label, found name,class"),
        Refused("file,label\na\n", "row 2 has 1 columns"),
        Refused("file,label\na,1,2\n", "row 2 has 3 columns"),
        Refused("file,label\n,1\n", "row 2 names no file"),
        Refused("file,label\na,6\n", "row 2: '6' is no class name"),
        Refused("file,label\na,-1\n", "row 2: '-1'"),
        Refused("file,label\na,1.0\n", "row 2: '1.0'"),
        Refused("file,label\na,\n", "row 2: ''"),
        Refused("file,label\na,wren\n", "row 2: 'wren'"),
        Refused("file,label\na,CRANE\n", "row 2: 'CRANE'"),
        Refused("file,label\na.jpg,1\nb.jpg,1\na.jpg,1\n", "row 4 lists a.jpg a second time"),
        Refused("file,label\n./a.jpg,1\na.jpg,2\n", "row 3 lists a.jpg a second time"),
        Refused("file,label\na.jpg,1\na,1\n", "lists both a and a.jpg"),
        Refused(b"file,label\n\xff\xfe,1\n", "no CSV in UTF-8"),
        Refused(b"file,label\n" + b'"' + b"x" * 200_000 + b'",1\n', "no CSV in UTF-8"),
    ],
    ids=lambda refused: refused.reason,
)
def test_contradictions_are_refused(refused: Refused, tmp_path: Path) -> None:
    with pytest.raises(LabelsRefused, match=refused.reason):
        read_labels(table(tmp_path, refused.text), names=NAMES)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsRefused, match="cannot be read"):
        read_labels(tmp_path / "none.csv")


def test_without_names_only_indices_count(tmp_path: Path) -> None:
    assert read_labels(table(tmp_path, "\ufefffile,label\r\na,812\r\n")).of("a.png") == 812
    with pytest.raises(LabelsRefused, match="is no class index"):
        read_labels(table(tmp_path, "file,label\na,tench\n"))


def test_two_fitting_rows_must_agree(tmp_path: Path) -> None:
    labels = read_labels(table(tmp_path, "file,label\na.gif,1\na.jpg,2\nb.gif,3\nb.jpg,3\n"))
    assert labels.of("a.gif.png") == 1
    assert labels.of("b.png") == 3
    with pytest.raises(LabelsRefused, match=r"a\.gif, a\.jpg all fit a\.png and differ"):
        labels.of("a.png")


PATHS = st.text("ab/.", min_size=1, max_size=6)


@given(st.dictionaries(PATHS, st.integers(0, 9), max_size=6), PATHS)
def test_lookup_never_fails_otherwise(rows: dict[str, int], asked: str) -> None:
    try:
        label = Labels(rows=rows).of(asked)
    except LabelsRefused:
        return
    assert label is None or label in rows.values()


def test_class_folders() -> None:
    labels = folder_labels(["tench/a.jpg", "4/x/b.png"], names=NAMES)
    assert labels.of("tench/a.png") == 0
    assert labels.of("4/x/b.png") == 4
    assert len(labels) == 2


@pytest.mark.parametrize(
    ("file", "reason"),
    [("a.jpg", "lies in no folder"), ("cats/a.jpg", "the folder cats, which is no class name")],
)
def test_class_folders_must_be_classes(file: str, reason: str) -> None:
    with pytest.raises(LabelsRefused, match=reason):
        folder_labels([file], names=NAMES)
