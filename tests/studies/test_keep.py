"""The study of keeps: its measures in closed form, and its cells from end to end on a few digits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from catch11.attacks.nets import Training
from catch11.evaluation.record import Record
from catch11.studies import assault, trial
from catch11.studies.frame import run_study, study_of
from catch11.studies.keep import beyond, third, use
from catch11.studies.passes import counted
from catch11.studies.place import Place
from catch11.studies.tables import Pivot
from catch11.studies.trial import Trial

torch.set_num_threads(1)
DIGITS = Place(config="digits")
SHORT = Training(steps=2, batch=2, width=4)


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Pictures enough to run, not to conclude."""
    patch = pytest.MonkeyPatch()
    patch.setattr(trial, "MOST_DIGITS", 12)
    for family, sweeps in third.SWEEPS.items():
        patch.setitem(beyond.TRAINING[family], "quick", SHORT)
        patch.setitem(sweeps, "quick", replace(sweeps["quick"], epochs=(1,)))
    yield
    patch.undo()


def _shown(records: tuple[Record, ...], keep: str) -> dict[str, Record]:
    rows = [r for r in records if r.settings["keep"] == keep]
    return {str(r.settings["shown"]): r for r in rows}


@pytest.mark.parametrize("keep", ["originals", "answer", "all"])
def test_every_part_of_a_keep(keep: str, tmp_path: Path) -> None:
    done = run_study(study_of("keep"), DIGITS, out=tmp_path, only=f"thumbnails, {keep}")
    found = _shown(done.records, keep)
    assert {r.settings["of"] for r in done.records} == {"use", "third parties", "licensee"}
    assert all(r.low <= r.value <= r.high for r in done.records)
    assert found["same answer"].value == 1.0
    assert (found["forwards"].value > 0) == (keep == "answer")
    assert {"patch-twin", "patch-twin, fine-tune", "bright?", "bright? by answer"} <= set(found)
    decoded, floor = (found[f"{name}, PSNR"].value for name in ("licensee-decoder", "mean-picture"))
    assert (decoded > floor + 1.5) == (keep != "answer")
    if keep == "originals":
        assert found["recall@10"].value == found["reverse"].value == 1.0
        assert found["cosine"].value == pytest.approx(1.0)
        assert found["KL, nats"].value == pytest.approx(0.0, abs=1e-6)
    shown = done.study.view(done.records)
    assert isinstance(shown, Pivot)
    assert shown.columns == (keep,)
    assert ("thumbnails", "same answer", "12") in shown.rows


def test_sealed_files_tell_third_parties_nothing_and_the_licensee_all(tmp_path: Path) -> None:
    done = run_study(study_of("keep"), DIGITS, out=tmp_path, only="thumbnails, sealed")
    found = _shown(done.records, "sealed")
    assert {r.settings["of"] for r in done.records} == {"use", "third parties"}
    assert found["cosine"].value > 0.9  # of what the copy opens
    assert found["patch-twin"].value < 0.5


@pytest.mark.parametrize("config", ["digits", "local", "paper"])
def test_cells_are_listed_without_a_model(config: str) -> None:
    for scale in ("quick", "full"):
        listed = study_of("keep").cells(scale, Place(config=config))  # type: ignore[arg-type]
        assert len({cell.id for cell in listed}) == len(listed) > 20


def test_recall_counts_own_pictures_only() -> None:
    gallery = torch.eye(40)
    assert use.recalled(gallery, gallery).estimate == 1.0
    away = gallery.roll(1, 0) - gallery
    assert use.recalled(away, gallery).estimate == 0.0


def test_calibration_in_closed_form() -> None:
    """Sure to .75 in half of the cases that are right: off by a quarter."""
    logits = torch.tensor([[3.0, 0.0]]).log1p().expand(8, 2)
    sure = float(logits.softmax(1)[0, 0])
    found = use.calibration(logits, torch.tensor([0, 1] * 4))
    assert found.estimate == pytest.approx(abs(sure - 0.5), abs=1e-6)
    assert found.low <= found.estimate <= found.high


def test_passes_are_counted_by_pictures() -> None:
    model = Trial(place=DIGITS, family="photographs", authorized="patch", n=4).model
    values = torch.zeros(5, *model.canvas.shape)
    with counted(model) as passes:
        model.logits(values, batch=2)
    model.logits(values)
    assert passes == [2, 2, 1]


def test_above_a_map_little_learns() -> None:
    model = Trial(place=DIGITS, family="photographs", authorized="patch", n=4).model
    reader = use.upper(model)
    learns = [name for name, p in reader.named_parameters() if p.requires_grad]
    assert learns
    assert len(learns) < len(list(reader.parameters()))
    assert not any(p.requires_grad for p in model.module.parameters())  # type: ignore[union-attr]


@pytest.mark.real
def test_no_judged_picture_is_public(assets: Path) -> None:
    """Of 500 photographs the first 400 are judged; of 120 from the end the last 20 are among them."""
    place = Place(assets=assets)
    trial = Trial(
        place=place, family="photographs", authorized="deit-tiny", n=400, keep="originals"
    )
    found = assault._public(trial, 80)
    other = replace(trial, part="train", n=120)
    assert set(other.pictures.names[100:]) < set(trial.pictures.names)
    assert torch.equal(found, other.source[80:100])


def test_sealed_files_are_noise_that_the_copy_opens() -> None:
    sealed, opened, plain = (
        Trial(place=DIGITS, family="thumbnails", authorized="patch", n=8, keep=keep).made.windows
        for keep in ("sealed", "opened", "all")
    )
    off = (opened - plain).abs() * 255
    assert 0 < float(off.max()) < 1.01  # lowest bits, of half the values of so small a picture
    assert float((sealed - plain).abs().mean()) > 0.25
