"""Studies beside one another give what they give in turn, and end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from catch11.errors import InvalidArgument
from catch11.evaluation.record import read_records
from catch11.studies.beside import Ended, run_beside
from catch11.studies.frame import run_studies, studies, study_of
from catch11.studies.place import Place

DIGITS = Place(config="digits")
PATIENCE = 200.0  # seconds, on a machine with much else to do
CHOSEN = [study_of(name) for name in ("table5", "assumption2")]


def _numbers(folder: Path) -> dict[str, list[tuple[str, float, float]]]:
    return {
        path.stem: [(r.model, round(r.value, 4), round(r.high, 4)) for r in read_records(path)]
        for path in sorted(folder.glob("*.jsonl"))
    }


def test_two_at_once_give_what_one_after_another_gives(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    run_beside(CHOSEN, DIGITS, out=tmp_path / "beside", jobs=2, progress=lambda *a: seen.append(a))
    run_studies(CHOSEN, DIGITS, out=tmp_path / "turn")
    assert _numbers(tmp_path / "beside") == _numbers(tmp_path / "turn")
    assert set(_numbers(tmp_path / "turn")) == {"table5", "assumption2"}
    cells = sum(len(study.cells("quick", DIGITS)) for study in CHOSEN)
    assert {total for _, total, _ in seen} == {cells}
    assert max(done for done, _, _ in seen) == cells
    assert {what.partition(":")[0] for *_, what in seen} == {"table5", "assumption2"}


def test_what_measures_times_is_left_for_later(tmp_path: Path) -> None:
    alone = [study for study in studies().values() if study.alone]
    assert {study.name for study in alone} == {"runtime", "table3"}
    run_beside(alone, DIGITS, out=tmp_path, jobs=2)
    assert not list(tmp_path.iterdir())


def test_what_cannot_run_here_is_left_for_the_turn_that_says_why(tmp_path: Path) -> None:
    nowhere = Place(config="local")
    run_beside(CHOSEN, nowhere, out=tmp_path, jobs=2)
    done, skipped = run_studies(CHOSEN, nowhere, out=tmp_path)
    assert not done
    assert {name for name, _ in skipped} == {"table5", "assumption2"}


def test_a_refused_study_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "table5.jsonl").write_text("not a record\n")
    run_beside(CHOSEN, DIGITS, out=tmp_path, jobs=2)
    assert (tmp_path / "table5.jsonl").read_text() == "not a record\n"
    assert list(read_records(tmp_path / "assumption2.jsonl"))
    with pytest.raises(InvalidArgument):
        run_studies(CHOSEN, DIGITS, out=tmp_path)


def test_a_study_that_fails_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "table5.jsonl").mkdir()
    with pytest.raises(IsADirectoryError):
        run_beside(CHOSEN, DIGITS, out=tmp_path, jobs=2)
    cells = study_of("assumption2").cells("quick", DIGITS)
    assert {r.settings["cell name"] for r in read_records(tmp_path / "assumption2.jsonl")} == {
        cell.name for cell in cells
    }


def test_no_jobs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="jobs: expected 1 or more"):
        run_beside(CHOSEN, DIGITS, out=tmp_path, jobs=0)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _workers(pid: int) -> list[int]:
    """Those of its children that run studies, and not the one that keeps track of resources."""
    return [
        child
        for child in _children(pid)
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    words = ["study", "table1", "table2", "--digits", "--jobs", "2", "--out", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-m", "catch11", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        end = time.monotonic() + PATIENCE
        while len(workers := _workers(run.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        assert len(workers) == 2
        run.kill()
    end = time.monotonic() + PATIENCE
    while any(map(_alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(_alive, workers))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_a_worker_that_is_killed_is_told_in_a_sentence(tmp_path: Path) -> None:
    def kill(done: int, total: int, what: str) -> None:
        for worker in _workers(os.getpid()):
            os.kill(worker, signal.SIGKILL)

    with pytest.raises(Ended, match="run it again, with fewer --jobs"):
        run_beside([study_of("table1")], DIGITS, out=tmp_path, jobs=2, progress=kill)
