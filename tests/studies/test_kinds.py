"""The studies of sounds and tables: their cells, one small cell each, and a table of the records."""

from collections.abc import Iterator
from io import StringIO

import pytest
import torch
from rich.console import Console

from catch11.evaluation.cells import Cell
from catch11.studies import recoded_rows, sounds
from catch11.studies.frame import study_of
from catch11.studies.nets import rows, spoken
from catch11.studies.place import Place, Unavailable

PLACE = Place(config="digits")


@pytest.mark.parametrize("name", ["rows", "sounds"])
def test_cells_are_known_and_full_has_what_quick_has(name: str) -> None:
    study = study_of(name)
    quick, full = (study.cells(scale, PLACE) for scale in ("quick", "full"))
    assert 0 < len(quick) <= len(full)
    assert len({cell.id for cell in full}) == len(full)


def text(study: str, records: object) -> str:
    console = Console(width=250, record=True, file=StringIO())
    console.print(study_of(study).view(records))  # type: ignore[arg-type]
    return console.export_text()


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nets of few epochs, which no other test may find in the cache."""
    monkeypatch.setattr(rows, "EPOCHS", 8)
    rows.trained.cache_clear()
    yield
    rows.trained.cache_clear()


@pytest.mark.usefixtures("briefly")
def test_a_table_is_recoded_and_attacked() -> None:
    cell = Cell(name="wine spectral -30 dB", settings={"table": "wine", "psnr": -30.0})
    found = recoded_rows.work(cell, PLACE)
    shares = {(r.model, r.attack or r.condition): r.value for r in found}
    assert shares["perceptron", "nte"] == shares["perceptron", "clean"] > 0.8
    assert shares["logistic", "nte"] < 0.7 < shares["logistic", "front known"]
    assert "regression" in text("rows", found)


def test_sounds_are_recoded_and_attacked(monkeypatch: pytest.MonkeyPatch) -> None:
    small = spoken.chirps(120, 20)
    net = spoken.sound_net("framed", small, epochs=3)
    monkeypatch.setattr(sounds, "nets", lambda words: {"framed": net})
    monkeypatch.setattr(spoken, "chirps", lambda: small)
    cell = next(c for c in sounds.cells("quick", PLACE) if c.name == "framed spectral 15 dB")
    found = sounds.work(cell, PLACE)
    shares = {r.attack or r.condition: r.value for r in found}
    assert abs(shares["nte"] - shares["clean"]) < 0.11
    assert {"gaussian", "Wiener", "front known", "codec 6 dB"} <= set(shares)
    assert "front known" in text("sounds", found)


def test_words_need_a_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken.spoken_words.cache_clear()
    monkeypatch.setattr(spoken, "PROGRAM", "no-such-program")
    with pytest.raises(Unavailable, match="no-such-program"):
        spoken.spoken_words()


def test_the_same_seed_gives_the_same_net() -> None:
    small = spoken.chirps(40, 10)
    one, other = (spoken.sound_net("framed", small, epochs=1) for _ in range(2))
    assert one.fingerprint == other.fingerprint
    assert torch.equal(rows.load_rows("wine").test, rows.load_rows("wine").test)
