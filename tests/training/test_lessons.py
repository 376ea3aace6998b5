"""What a source of lessons holds, and what is none."""

from pathlib import Path

import pytest

from catch11.errors import InvalidArgument, LabelsRefused
from catch11.training.lessons import read_lessons
from tests.training.worlds import COLOURS, write_pictures

CLASSES = tuple(sorted(COLOURS))


def test_class_folders_are_split_within_each_class(tmp_path: Path) -> None:
    found = read_lessons(write_pictures(tmp_path, count=10), share=0.2, seed=0)
    assert found.classes == CLASSES
    assert [sum(one.label == k for one in found.train) for k in range(3)] == [8, 8, 8]
    assert [sum(one.label == k for one in found.held) for k in range(3)] == [2, 2, 2]
    assert not {one.name for one in found.train} & {one.name for one in found.held}
    assert all(one.name.split("/")[0] == CLASSES[one.label] for one in found.train)
    again = read_lessons(tmp_path, share=0.2, seed=0)
    assert [one.name for one in again.held] == [one.name for one in found.held]
    other = read_lessons(tmp_path, share=0.2, seed=1)
    assert [one.name for one in other.held] != [one.name for one in found.held]


@pytest.mark.parametrize("held", ["test", "val"])
def test_a_source_may_hold_its_own_pictures_to_be_judged_by(tmp_path: Path, held: str) -> None:
    write_pictures(tmp_path / "train", count=4)
    write_pictures(tmp_path / held, count=2, seed=1)
    found = read_lessons(tmp_path, share=0.5, seed=0)
    assert (len(found.train), len(found.held), found.classes) == (12, 6, CLASSES)


@pytest.mark.parametrize("numbers", [False, True])
def test_a_csv_names_the_classes(tmp_path: Path, numbers: bool) -> None:
    write_pictures(tmp_path / "p", count=3)
    names = {name: str(2 * k) if numbers else name for k, name in enumerate(CLASSES)}
    rows = [f"{name}/{k}.png,{names[name]}\n" for name in CLASSES for k in range(3)]
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(rows))
    if numbers:  # the classes 1 and 3 of five have no picture
        with pytest.raises(LabelsRefused, match="the class 1 has no picture"):
            read_lessons(tmp_path / "p", labels=tmp_path / "labels.csv", share=0.4, seed=0)
        return
    found = read_lessons(tmp_path / "p", labels=tmp_path / "labels.csv", share=0.4, seed=0)
    assert (found.classes, len(found.train), len(found.held)) == (CLASSES, 6, 3)


def test_a_csv_of_another_folder_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p", count=3)
    (tmp_path / "labels.csv").write_text("file,label\nred/0.png,a\nred/1.png,b\nelsewhere.png,a\n")
    with pytest.raises(LabelsRefused, match="2 of its 3 files are below"):
        read_lessons(tmp_path / "p", labels=tmp_path / "labels.csv", share=0.4, seed=0)


def test_one_class_and_a_class_of_one_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p", count=2)
    for name in ("green", "blue"):
        for path in (tmp_path / "p" / name).iterdir():
            path.unlink()
    with pytest.raises(LabelsRefused, match="expected two classes or more, found 1: red"):
        read_lessons(tmp_path / "p", share=0.1, seed=0)
    write_pictures(tmp_path / "q", count=2)
    (tmp_path / "q" / "green" / "0.png").unlink()
    with pytest.raises(LabelsRefused, match="class green has one picture to learn from"):
        read_lessons(tmp_path / "q", share=0.1, seed=0)
    (tmp_path / "none").mkdir()
    with pytest.raises(LabelsRefused, match="found no class folder"):
        read_lessons(tmp_path / "none", share=0.1, seed=0)


def test_a_picture_outside_every_class_folder_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, count=2)
    (tmp_path / "red" / "0.png").rename(tmp_path / "loose.png")
    with pytest.raises(LabelsRefused, match=r"loose\.png lies in no folder"):
        read_lessons(tmp_path, share=0.1, seed=0)


@pytest.mark.parametrize("kind", ["classes", "words"])
def test_a_row_without_a_label_is_refused(tmp_path: Path, kind: str) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra datasets is not installed")
    write_pictures(tmp_path / "p", count=2)
    files = [str(tmp_path / "p" / name / f"{k}.png") for name in CLASSES for k in range(2)]
    given = {"classes": ("label", [0, 0, None, 1, 2, 2]), "words": ("dx", ["a", "a", None, "b", "b", "b"])}  # fmt: skip
    column, labels = given[kind]
    table = datasets.Dataset.from_dict({"image": files, column: labels})
    table = table.cast_column("image", datasets.Image())
    if kind == "classes":
        table = table.cast_column("label", datasets.ClassLabel(names=list(CLASSES)))
    table.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(LabelsRefused, match=r"a row (of train )?has no label"):
        read_lessons(tmp_path / "saved", share=0.1, seed=0)


def test_a_saved_data_set_brings_its_names_and_its_splits(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra datasets is not installed")
    write_pictures(tmp_path / "p", count=4)
    files = [str(tmp_path / "p" / name / f"{k}.png") for name in CLASSES for k in range(4)]
    table = datasets.Dataset.from_dict(
        {"image": files, "label": [k for k in range(3) for _ in range(4)]},
        features=datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))}
        ),
    )
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(str(tmp_path / "saved"))
    found = read_lessons(tmp_path / "saved", share=0.1, seed=0)
    assert (found.classes, len(found.train), len(found.held)) == (CLASSES, 12, 12)
    assert found.train[-1].open().size == (32, 32)
    table.remove_columns("label").save_to_disk(str(tmp_path / "bare"))
    with pytest.raises(InvalidArgument, match="one column of classes, found none of image"):
        read_lessons(tmp_path / "bare", share=0.1, seed=0)
