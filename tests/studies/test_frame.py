import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from catch11.errors import InvalidArgument, MissingExtra
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record, read_records
from catch11.studies.frame import Study, run_studies, run_study, studies, study_of
from catch11.studies.place import Place, Unavailable
from catch11.studies.tables import interval_text, model, number, pivot, setting

DIGITS = Place(config="digits")
ROW = Record(
    model="m", role="ga", condition="nte", metric="accuracy", value=0.5, low=0.4, high=0.6, n=9
)


class _Work:
    def __init__(self, *, stop_at: str = "", error: Exception | None = None) -> None:
        self.seen: list[str] = []
        self.stop_at, self.error = stop_at, error

    def __call__(self, cell: Cell, place: Place) -> Sequence[Record]:
        if self.error is not None:
            raise self.error
        if cell.name == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(cell.name)
        return [ROW]


def _draw(records: Sequence[Record], place: Place, path: Path) -> None:
    path.write_text("drawn")


def _study(work: _Work, *, name: str = "s", draw: bool = False) -> Study:
    return Study(
        name=name,
        title="A study",
        source="here",
        cells=lambda scale, place: [
            Cell(name=n, settings={"psnr": float(i)})
            for i, n in enumerate("ab" if scale == "quick" else "abc")
        ],
        work=work,
        view=lambda records: pivot(records, row=model, column=setting("psnr")),
        draw=_draw if draw else None,
    )


def test_a_stopped_study_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(_study(_Work(stop_at="b")), DIGITS, out=tmp_path)
    second, third = _Work(), _Work()
    done = run_study(_study(second), DIGITS, out=tmp_path)
    assert second.seen == ["b"]
    whole = run_study(_study(third), DIGITS, out=tmp_path, scale="full")
    assert third.seen == ["c"], "the full study takes up what the quick one worked out"
    assert whole.records[:2] == done.records
    assert list(read_records(done.file)) == list(whole.records)


def test_another_place_is_another_cell(tmp_path: Path) -> None:
    run_study(_study(_Work()), DIGITS, out=tmp_path)
    work = _Work()
    run_study(_study(work), Place(config="local"), out=tmp_path)
    assert work.seen == ["a", "b"]


def test_some_cells_only(tmp_path: Path) -> None:
    work = _Work()
    study = _study(work, draw=True)
    done = run_study(study, DIGITS, out=tmp_path, only="b")
    assert work.seen == ["b"]
    assert done.figure is None
    with pytest.raises(InvalidArgument, match="only: expected a part of one of: a, b"):
        run_study(study, DIGITS, out=tmp_path, only="z")
    _, skipped = run_studies([study], DIGITS, out=tmp_path, only="z")
    assert [name for name, _ in skipped] == ["s"]


def test_records_say_what_made_them(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    done = run_study(
        _study(_Work(), draw=True),
        DIGITS,
        out=tmp_path,
        progress=lambda done, total, name: seen.append((done, total, name)),
    )
    assert {record.command for record in done.records} == {"catch11 study s --quick --digits"}
    assert all(record.versions["torch"] for record in done.records)
    assert done.figure is not None
    assert done.figure.read_text() == "drawn"
    assert seen[-1][:2] == (2, 2)


@pytest.mark.parametrize(
    "error", [Unavailable("the moon", "wait"), MissingExtra("datasets", "datasets")], ids=repr
)
def test_what_cannot_run_is_skipped_and_said(tmp_path: Path, error: Exception) -> None:
    chosen = [_study(_Work(error=error), name="one"), _study(_Work(), name="two")]
    done, skipped = run_studies(chosen, DIGITS, out=tmp_path)
    assert [one.study.name for one in done] == ["two"]
    assert skipped == [("one", str(error))]


def test_studies_are_found_by_being_there() -> None:
    assert list(studies()) == sorted(studies())
    assert "table5" in studies()
    with pytest.raises(InvalidArgument, match="study: expected one of"):
        study_of("table99")


def test_places_refuse() -> None:
    with pytest.raises(Unavailable, match="the folder of assets is not at hand"):
        Place(config="local").model("photographs", "deit-tiny")
    with pytest.raises(Unavailable, match="no-such"):
        Place(config="local", assets=Path("/no-such")).pictures("thumbnails", 3)
    with pytest.raises(InvalidArgument, match="count: expected 1 or more"):
        DIGITS.pictures("photographs", 0)


class _Rows(list):
    """As much of a streamed data set as is used of one."""

    def shuffle(self, *, seed: int, buffer_size: int) -> "_Rows":
        return self

    def take(self, count: int) -> "list[object]":
        return self[:count]


def test_pictures_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = [{"image": Image.new("L", (20, 30), 9 * i), "label": i} for i in range(5)]
    asked: list[tuple[str, str, bool]] = []

    def load_dataset(name: str, *, split: str, streaming: bool) -> _Rows:
        asked.append((name, split, streaming))
        return _Rows(grey)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    found = Place(config="paper").pictures("photographs", 3)
    assert asked == [("ILSVRC/imagenet-1k", "validation", True)]
    assert found.labels.tolist() == [0, 1, 2]
    assert {image.mode for image in found.images} == {"RGB"}


def test_a_hub_out_of_reach_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, *, split: str, streaming: bool) -> _Rows:
        raise ConnectionError("no route to the hub")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    place = Place(config="paper", device="cpu")
    with pytest.raises(Unavailable, match="the hub says: no route to the hub"):
        place.pictures("photographs", 4)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"catch11\[datasets\]"):
        place.pictures("photographs", 5)
    with pytest.raises(Unavailable, match="the model vit-base"):
        place.model("photographs", "vit-base")


def test_pictures_of_a_place() -> None:
    place = Place(config="digits")
    some, more = place.pictures("photographs", 3), place.pictures("photographs", 5)
    assert some.names == more.names[:3]
    assert not set(some.names) & set(place.pictures("photographs", 5, part="train").names)
    canvas = place.model("photographs", "patch").canvas
    assert some.windows(canvas).shape == (3, *canvas.shape)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (ROW, ".50 [.40, .60]"),
        (replace(ROW, value=1.0, high=1.0), "1.00 [.40, 1.00]"),
        (replace(ROW, metric="P95", value=12.0, low=12.0, high=12.0), "12"),
        (replace(ROW, metric="shift", value=0.0123, low=0.0123, high=0.0123), "0.0123"),
    ],
    ids=repr,
)
def test_numbers_as_text(record: Record, text: str) -> None:
    assert interval_text(record) == text
    assert number(-0.02, share=True) == "-.020"
