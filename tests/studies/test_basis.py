"""What decides a study's cells beside their settings: another basis is another cell."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies import crossing, figure1, place, table1, trial
from catch11.studies.basis import basis, constants
from catch11.studies.frame import run_study, study_of
from catch11.studies.place import Place

HOME = table1.STUDY.cells.__module__
DIGITS = Place(config="digits")

Change = Callable[[pytest.MonkeyPatch], None]
CHANGES: list[tuple[str, Change]] = [
    ("strength", lambda patch: patch.setitem(trial.STRENGTH, "photographs", 20.0)),
    ("rule", lambda patch: patch.setitem(trial.ENERGY, "photographs", 1e-2)),
    ("radius", lambda patch: patch.setattr(trial, "DIGITS_RADIUS", 12.0)),
    ("its own", lambda patch: patch.setattr(crossing, "METHODS", ("spectral",))),
    ("models", lambda patch: patch.setitem(place.FAMILIES, "digits", {})),
    ("version", lambda patch: patch.setattr("catch11.studies.basis.__version__", "9")),
    ("a recoder's default", lambda patch: patch.setattr(SpectralRecoder, "__init__", lambda self, key, psnr=1.0: None)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_a_change_is_another_basis(name: str, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    before = basis(HOME, DIGITS)
    assert basis(HOME, DIGITS) == before
    change(monkeypatch)
    assert basis(HOME, DIGITS) != before


def test_every_process_finds_the_same() -> None:
    code = f"from catch11.studies.basis import *; print(basis({HOME!r}, Place(config='digits')))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert found == {basis(HOME, DIGITS)}


def test_models_and_pictures_count_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "models" / "net").write_bytes(b"weights")
    (tmp_path / "three" / "models" / "net").write_bytes(b"weighty")
    one, two, three = (basis(HOME, Place(assets=tmp_path / n)) for n in ("one", "two", "three"))
    assert one == two != three


def test_only_plain_data_counts() -> None:
    found = constants(figure1)
    assert "STUDY" not in found
    assert "STRENGTH" in constants(trial)
    assert "SECRET" in constants(trial)
    assert all(" at 0x" not in text for text in found.values())


def test_a_study_on_another_strength_is_worked_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of("table1")
    first = run_study(study, DIGITS, out=tmp_path, only="patch, spectral").records
    monkeypatch.setitem(trial.STRENGTH, "digits", 14.0)
    _forget()
    second = run_study(study, DIGITS, out=tmp_path, only="patch, spectral").records
    _forget()
    strengths = [{r.psnr for r in records if r.condition == "nte"} for records in (first, second)]
    assert strengths[0].isdisjoint(strengths[1])


def _forget() -> None:
    for held in (trial._made, trial._condition, trial._quality):
        held.cache_clear()
