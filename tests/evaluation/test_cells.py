import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catch11.errors import InvalidArgument
from catch11.evaluation.cells import Cell, run_cells
from catch11.evaluation.record import Record

ROW = Record(
    model="m", role="ga", condition="nte", metric="accuracy", value=0.5, low=0.4, high=0.6, n=9
)
CELLS = [Cell(name=f"{db} dB", settings={"psnr": float(db)}) for db in (5, 10, 20)]


class _Worker:
    def __init__(self, *, stop_at: str | None = None) -> None:
        self.seen: list[str] = []
        self.stop_at = stop_at

    def __call__(self, cell: Cell) -> Sequence[Record]:
        if cell.name == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(cell.name)
        return [ROW, replace(ROW, model=f"other at {cell.name}")]


def test_a_stopped_matrix_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "matrix.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_cells(CELLS, path, _Worker(stop_at="20 dB"))
    second = _Worker()
    records = run_cells(CELLS, path, second)
    assert second.seen == ["20 dB"]
    assert [r.settings["cell name"] for r in records] == [c.name for c in CELLS for _ in "ab"]
    assert [r.to_line() for r in run_cells(CELLS, path, _Worker(stop_at="5 dB"))] == [
        r.to_line() for r in records
    ]


@pytest.mark.parametrize("cut", [1, 60, 700])
def test_a_cell_cut_short_is_worked_out_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "matrix.jsonl"
    whole = run_cells(CELLS, path, _Worker())
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    worker = _Worker()
    again = run_cells(CELLS, path, worker)
    assert "5 dB" not in worker.seen
    assert "20 dB" in worker.seen
    assert [r.to_line() for r in again] == [r.to_line() for r in whole]


def _four(cell: Cell) -> Sequence[Record]:
    return [replace(ROW, model=f"m{number}") for number in range(4)]


def _unnumbered(path: Path) -> None:
    """The file as earlier versions wrote it: how many records a cell has, and not which is which."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["settings"]["cell records"] = int(str(row["settings"]["cell records"]).split()[-1])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("earlier", [False, True])
@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 3), max_size=6), torn=st.booleans())
def test_a_cell_cut_again_and_again_is_never_taken_for_whole(
    cuts: list[int], torn: bool, earlier: bool
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.jsonl"
        for cut in cuts:
            before = path.read_bytes() if path.exists() else b""
            before = before[: before.rfind(b"\n") + 1]
            run_cells(CELLS[:1], path, _four)
            made = path.read_bytes()[len(before) :].splitlines(keepends=True)
            assert len(made) == 4  # what is there was not enough
            path.write_bytes(before + b"".join(made[:cut]))
            if earlier:
                _unnumbered(path)
            if torn:
                path.write_bytes(path.read_bytes() + made[cut][:40])
        found = run_cells(CELLS[:1], path, _four)
        assert [record.model for record in found] == ["m0", "m1", "m2", "m3"]
        if earlier:
            _unnumbered(path)
        again = run_cells(CELLS[:1], path, _refused)
        assert [record.model for record in again] == ["m0", "m1", "m2", "m3"]


def _refused(cell: Cell) -> Sequence[Record]:
    raise AssertionError("worked out again")


def test_two_writers_in_turn_leave_no_whole_cell(tmp_path: Path) -> None:
    path = tmp_path / "matrix.jsonl"
    run_cells(CELLS[:1], path, _four)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines for _ in "ab"))
    with pytest.raises(AssertionError, match="worked out again"):
        run_cells(CELLS[:1], path, _refused)


def test_another_setting_is_another_cell(tmp_path: Path) -> None:
    path = tmp_path / "matrix.jsonl"
    run_cells(CELLS[:1], path, _Worker())
    worker = _Worker()
    seen: list[tuple[int, int]] = []
    changed = Cell(name=CELLS[0].name, settings={"psnr": 5.5})
    run_cells([changed], path, worker, progress=lambda done, total: seen.append((done, total)))
    assert worker.seen == ["5 dB"]
    assert seen == [(0, 1), (1, 1)]


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cells: expected each cell once"):
        run_cells([CELLS[0], CELLS[0]], tmp_path / "a.jsonl", _Worker())
    with pytest.raises(InvalidArgument, match="cell 5 dB: expected records"):
        run_cells(CELLS, tmp_path / "b.jsonl", lambda cell: [])
    (tmp_path / "c.jsonl").write_text("something else\n")
    with pytest.raises(InvalidArgument, match="record: expected one JSON line"):
        run_cells(CELLS, tmp_path / "c.jsonl", _Worker())
