import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from catch11.errors import InvalidArgument, KeyMismatch, ReleaseError
from catch11.evaluation.record import Condition, Record
from catch11.evaluation.verification import Verification
from catch11.evaluation.verify import verify
from catch11.keys.key import build_key
from catch11.models.frame import Model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from tests.world import CANVAS, World, build_world

torch.set_num_threads(1)

COUNT = 40


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=COUNT)


@pytest.fixture(scope="module")
def full(world: World) -> Verification:
    return verify(
        world.released, world.model, rivals=[world.rival], labels=world.labels,
        source=world.source, key=world.key, max_drop=0.05, max_rival=0.7,
    )  # fmt: skip


def _value(found: Verification, model: str, condition: Condition, metric: str) -> Record:
    rows = [
        row
        for row in found.records
        if (row.model, row.condition, row.metric) == (model, condition, metric)
    ]
    assert len(rows) == 1
    return rows[0]


def test_the_authorized_model_reads_and_the_rival_does_not(full: Verification) -> None:
    clean, released = (_value(full, "ours", c, "accuracy") for c in ("clean", "nte"))
    assert clean.value == released.value == 1.0
    assert _value(full, "theirs", "clean", "accuracy").value == 1.0
    assert _value(full, "theirs", "nte", "accuracy").value < 0.7
    assert full.verdict.retention == 1.0
    assert not full.failed
    assert full.problems == ()


def test_controls_have_the_strength_they_claim(full: Verification) -> None:
    released = _value(full, "ours", "nte", "accuracy").psnr
    noisy = _value(full, "ours", "gaussian", "accuracy").psnr
    assert released == pytest.approx(9.0, abs=0.2)
    assert noisy == pytest.approx(released, abs=0.02)
    for name in ("ours", "theirs"):
        control = _value(full, name, "control", "accuracy")
        assert control.psnr is None
        assert control.value == _value(full, name, "clean", "accuracy").value


def test_records_say_what_reproduces_them(full: Verification, world: World) -> None:
    for record in full.records:
        assert record.key_fingerprint == world.key.fingerprint
        assert record.model_fingerprint in (world.model.fingerprint, world.rival.fingerprint)
        assert {"torch", "catch11"} <= set(record.versions)
        assert record.n == COUNT
        assert record.low <= record.value <= record.high
    assert json.loads(json.dumps(full.to_dict()))["files"] == COUNT


def test_batches_do_not_change_a_number(full: Verification, world: World) -> None:
    again = verify(
        world.released, world.model, rivals=[world.rival], labels=world.labels,
        source=world.source, key=world.key, max_drop=0.05, max_rival=0.7, batch=7,
    )  # fmt: skip
    assert [r.to_line() for r in again.records] == [r.to_line() for r in full.records]


def test_without_labels_a_clean_answer_is_the_truth(world: World) -> None:
    found = verify(world.released, world.model, rivals=[world.rival], source=world.source)
    assert "accuracy" not in {record.metric for record in found.records}
    assert _value(found, "ours", "nte", "agreement").value == 1.0
    assert found.verdict.drop is not None
    assert found.verdict.drop.estimate == 0.0
    assert any("no labels" in warning for warning in found.warnings)


def test_without_source_only_the_released_files_are_scored(world: World) -> None:
    found = verify(world.released, world.model, rivals=[world.rival], labels=world.labels)
    assert {record.condition for record in found.records} == {"nte"}
    assert found.verdict.drop is None
    assert any("no source" in warning for warning in found.warnings)


def test_with_neither_rivals_are_held_against_the_authorized_model(world: World) -> None:
    found = verify(world.released, world.model, rivals=[world.rival])
    assert [record.metric for record in found.records] == ["agreement with the authorized model"]
    assert found.records[0].model == "theirs"


class Missed(NamedTuple):
    max_drop: float | None
    max_rival: float | None
    match: str


@pytest.mark.parametrize(
    "row", [Missed(-0.01, None, "the authorized model lost"), Missed(None, 0.0, "theirs reaches")], ids=repr
)  # fmt: skip
def test_a_missed_limit_fails(world: World, row: Missed) -> None:
    found = verify(
        world.released, world.model, rivals=[world.rival], labels=world.labels,
        source=world.source, max_drop=row.max_drop, max_rival=row.max_rival, limit=12,
    )  # fmt: skip
    assert found.failed
    assert row.match in found.verdict.failures[0]


def test_limit_takes_files_from_everywhere(world: World) -> None:
    seen: list[tuple[int, int]] = []
    found = verify(
        world.released, world.model, labels=world.labels, limit=8, batch=4,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert found.files == 8
    assert seen == [(4, 8), (8, 8)]


def test_a_changed_file_fails(world: World, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    copy.mkdir()
    for file in world.released.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    victim = copy / "03.png"
    victim.write_bytes(victim.read_bytes() + b"x")
    (copy / "04.png").unlink()
    found = verify(copy, world.model, labels=world.labels)
    assert {name for name, _ in found.problems} == {"03.png", "04.png"}
    assert found.failed
    assert found.files == COUNT - 2


def test_a_ledger_that_disagrees_fails(world: World, tmp_path: Path) -> None:
    ledger = Path(f"{world.released}.ledger.jsonl")
    lines = ledger.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows[1]["psnr"] += 0.5
    rows[2]["front_shift"] += 0.5
    forged = tmp_path / "ledger.jsonl"
    forged.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = verify(
        world.released, world.model, labels=world.labels, source=world.source, ledger=forged,
        key=world.key,
    )  # fmt: skip
    assert len(found.problems) == found.verdict.disagreements == 2
    assert "dB" in found.problems[0][1]
    assert "front shift" in found.problems[1][1]
    assert found.failed


def test_refusals(world: World, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="max_drop: expected a source"):
        verify(world.released, world.model, max_drop=0.1)
    with pytest.raises(InvalidArgument, match="max_rival: expected a rival"):
        verify(world.released, world.model, max_rival=0.1)
    with pytest.raises(ReleaseError, match="manifest"):
        verify(tmp_path, world.model)
    another = build_key(world.model, secret=bytes(32))
    with pytest.raises(ReleaseError, match=r"signed by .* give the key that it was released under"):
        verify(world.released, world.model, key=another)
    (tmp_path / "empty").mkdir()
    release(tmp_path / "empty", tmp_path / "nothing", SpectralRecoder(world.key, psnr=9.0))
    with pytest.raises(ReleaseError, match="lists no files"):
        verify(tmp_path / "nothing", world.model)
    other = replace(world.model, canvas=replace(CANVAS, height=40))
    with pytest.raises(KeyMismatch, match="canvas"):
        verify(world.released, other)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\nnowhere.png,1\n")
    with pytest.raises(InvalidArgument, match="labels: expected labels of the released files"):
        verify(world.released, world.model, labels=labels)


def test_doubts_about_rivals(world: World) -> None:
    twin = replace(world.rival, name="twin")
    found = verify(
        world.released, world.model, rivals=[world.model, world.rival, twin], labels=world.labels,
        source=world.source, limit=8,
    )  # fmt: skip
    text = "\n".join(found.warnings)
    assert "authorized model itself" in text
    assert "twin has the same weights as theirs" in text
    roles = {record.model: record.role for record in found.records}
    assert sorted(roles.values()) == ["authorized", "sibling", "ta", "ta"]


def _renamed(world: World, labels: tuple[str, ...], *, flip: bool = False) -> Model:
    """The authorized model under other class names; flipped, it answers in the reverse order."""
    module = copy.deepcopy(world.model.module)
    if flip:
        assert isinstance(module, nn.Sequential)
        head = module[-1]
        assert isinstance(head, nn.Linear)
        head.weight.data, head.bias.data = head.weight.data.flip(0), head.bias.data.flip(0)
    fingerprint = "0" * 64
    return replace(world.model, name="copy", module=module, labels=labels, fingerprint=fingerprint)


def test_classes_are_matched_by_name(world: World) -> None:
    rival = _renamed(world, tuple(name.upper() for name in world.model.labels[::-1]), flip=True)
    found = verify(
        world.released, world.model, rivals=[rival], labels=world.labels, source=world.source,
        max_rival=0.7,
    )  # fmt: skip
    assert [_value(found, "copy", c, "accuracy").value for c in ("clean", "nte")] == [1.0, 1.0]
    assert found.failed
    bare = verify(world.released, world.model, rivals=[rival])
    assert [record.value for record in bare.records] == [1.0]


def test_other_names_are_not_matched_by_position(world: World) -> None:
    rival = _renamed(world, ("up", "down", "left", "right"))
    found = verify(
        world.released, world.model, rivals=[rival], labels=world.labels, source=world.source,
        max_rival=0.7,
    )  # fmt: skip
    assert "accuracy" not in {record.metric for record in found.records if record.model == "copy"}
    assert "copy reaches 1.000" in "".join(found.verdict.failures)
    assert "copy names other classes than the authorized model" in "\n".join(found.warnings)


def test_the_first_file_without_a_label_is_named(world: World, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("".join(world.labels.read_text().splitlines(keepends=True)[:-2]))
    found = verify(world.released, world.model, labels=labels)
    first = f"2 files have no label and were left out, first {COUNT - 2}.png"
    assert first in found.warnings
    labels.write_text("file,label\nnowhere.png,1\n")
    with pytest.raises(InvalidArgument, match=r"labels\.csv, which does not list 00\.png"):
        verify(world.released, world.model, labels=labels)


def test_opaque_names_need_the_ledger(world: World, tmp_path: Path) -> None:
    out = tmp_path / "opaque"
    release(world.source, out, SpectralRecoder(world.key, psnr=9.0), names="opaque")
    found = verify(out, world.model, labels=world.labels, source=world.source)
    assert found.files == COUNT
    assert _value(found, "ours", "nte", "accuracy").value == 1.0
    empty = tmp_path / "none.jsonl"
    lines = Path(f"{out}.ledger.jsonl").read_text().splitlines()
    empty.write_text(lines[0] + "\n")
    lost = verify(out, world.model, source=world.source, ledger=empty, limit=4)
    assert lost.files == 0
    assert all("no source" in reason for _, reason in lost.problems)


def test_other_formats(world: World, tmp_path: Path) -> None:
    out, few = tmp_path / "out", tmp_path / "few"
    few.mkdir()
    for number in range(8):
        (few / f"{number:02}.png").symlink_to(world.source / f"{number:02}.png")
    release(few, out, SpectralRecoder(world.key, psnr=9.0, format="tensor"))
    found = verify(
        out, world.model, rivals=[world.rival], labels=world.labels, source=few, key=world.key
    )  # fmt: skip
    assert found.problems == ()
    assert _value(found, "ours", "nte", "accuracy").value == 1.0
    assert _value(found, "theirs", "control", "accuracy").value == 1.0
