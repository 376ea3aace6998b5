import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from catch11.attacks import Assault, Effort, attack_release
from catch11.attacks.frame import attack_names
from catch11.errors import InvalidArgument
from catch11.recode.spectral import SpectralRecoder
from catch11.record import read_records
from catch11.release import release
from tests.world import World, build_world

QUICK = ("none", "blur", "mean-patch", "project-out", "project-inpaint", "linear-reconstruction")
FEW = Effort(judged=12, training=12, public=12)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=36)


@pytest.fixture(scope="module")
def public(world: World) -> Path:
    """Sources and nothing else: those that are attacked must be left out."""
    folder = world.source.parent / "public"
    folder.mkdir()
    for number in range(24):
        (folder / f"p{number:02}.png").symlink_to(world.source / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def assault(world: World, public: Path) -> Assault:
    return attack_release(
        world.released, [world.rival], attacks=QUICK, source=world.source, key=world.key,
        model=world.model, labels=world.labels, public=public, effort=FEW,
    )  # fmt: skip


def test_a_record_an_attack_and_model(assault: Assault) -> None:
    seen = [(record.attack, record.model) for record in assault.records]
    assert sorted(seen) == sorted((a, m) for a in QUICK for m in ("ours", "theirs"))
    for record in assault.records:
        assert record.condition == "attack"
        assert record.n == 12
        assert record.role == ("authorized" if record.model == "ours" else "ta")
        assert record.settings["setting"]
        assert record.settings["cut"] == 0
        assert "released" in record.knowledge
    assert json.loads(json.dumps(assault.to_dict()))["records"]


def test_the_front_gives_the_rival_what_the_release_took(assault: Assault) -> None:
    found = {(r.attack, r.model): r for r in assault.records}
    plain, inpainted = found["none", "theirs"], found["project-inpaint", "theirs"]
    assert inpainted.value > plain.value + 0.2
    assert inpainted.psnr is not None
    assert plain.psnr is not None
    assert inpainted.psnr > plain.psnr + 8
    assert found["none", "ours"].value == 1.0


def test_originals_are_no_public_pictures(assault: Assault) -> None:
    """Every third file is attacked: until 12 others are found, 6 originals are met."""
    assert any(
        warning.startswith("6 public pictures are originals") for warning in assault.warnings
    )
    assert all(record.settings["public"] == 12 for record in assault.records)


def test_without_names_everything_possible_runs(world: World) -> None:
    seen: list[str] = []
    found = attack_release(
        world.released, [world.rival], labels=world.labels, effort=Effort(judged=4, training=0),
        progress=lambda name, done, total: seen.append(name),
    )  # fmt: skip
    ran = {record.attack for record in found.records}
    assert {"none", "codec", "blur", "resize"} <= ran
    assert dict(found.skipped)["project-out"] == "needs front"
    assert dict(found.skipped)["fine-tune"] == "needs labels"  # nothing is left to learn from
    assert ran | {name for name, _ in found.skipped} == set(attack_names())
    assert seen[-1] == ""


def test_without_labels_clean_answers_are_the_truth(world: World) -> None:
    found = attack_release(
        world.released, [world.rival], attacks=["none"], source=world.source, effort=FEW
    )
    assert [record.metric for record in found.records] == ["agreement"]


def test_the_control_attacks_plain_noise(world: World) -> None:
    found = attack_release(
        world.released, [world.rival], attacks=["none"], source=world.source,
        labels=world.labels, effort=replace(FEW, control=True),
    )  # fmt: skip
    assert found.records[0].psnr == pytest.approx(9.0, abs=0.3)
    assert found.records[0].settings["control"] is True
    assert any("control" in warning for warning in found.warnings)


def test_other_releases(world: World, tmp_path: Path) -> None:
    release(world.source, tmp_path / "second", SpectralRecoder(world.key, psnr=9.0, tag="b"))
    found = attack_release(
        world.released, [world.rival], attacks=["none", "average"], source=world.source,
        labels=world.labels, others=[tmp_path / "second"], effort=FEW,
    )  # fmt: skip
    before, after = (record.psnr for record in found.records)
    assert before is not None
    assert after is not None
    assert after > before + 2


def test_a_stopped_matrix_goes_on(world: World, tmp_path: Path) -> None:
    """Conditions and attacks as JSON lines; what is there is not worked out again."""
    path = tmp_path / "records.jsonl"

    def run(*attacks: str) -> Assault:
        return attack_release(
            world.released, [world.rival], attacks=attacks, source=world.source, model=world.model,
            labels=world.labels, effort=FEW, records=path,
        )  # fmt: skip

    first = run("none")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines) + '\n{"model": "cut sho')
    whole = run("none", "resize")
    kept = path.read_text().splitlines()
    assert kept[: len(lines)] == lines
    assert [r.to_line() for r in read_records(path)] == kept
    assert {r.condition for r in whole.records} == {"clean", "nte", "gaussian", "control", "attack"}
    assert {r.role for r in whole.records} == {"authorized", "ta"}
    assert len(whole.records) == len(first.records) + 2
    assert all(r.ssim is not None for r in whole.records if r.condition == "nte")
    assert len({r.settings["release"] for r in whole.records}) == 1
    assert whole.records == run("none", "resize").records
    assert path.read_text().splitlines() == kept


def test_the_matrix_tells_siblings_from_strangers(world: World, tmp_path: Path) -> None:
    """A descendant reads the release, and the records and the warnings say what it is."""
    module = copy.deepcopy(world.model.module)
    assert module is not None
    with torch.no_grad():
        for value in module.parameters():
            value.mul_(1.001)
    sibling = replace(world.model, name="kin", module=module, fingerprint="other")
    path = tmp_path / "records.jsonl"
    found = attack_release(
        world.released, [world.rival, sibling], attacks=["blur"], source=world.source,
        model=world.model, labels=world.labels, effort=FEW, records=path,
    )  # fmt: skip
    roles = {(r.model, r.role) for r in found.records}
    assert roles == {("ours", "authorized"), ("theirs", "ta"), ("kin", "sibling")}
    places = {(r.model, r.condition) for r in found.records}
    assert len(places) == 15
    assert len(tuple(read_records(path))) == len(found.records)
    read = {
        r.model: r.value for r in found.records if r.condition == "nte" and r.metric == "accuracy"
    }
    assert read["kin"] == read["ours"] == 1.0
    assert any("kin descends from" in warning for warning in found.warnings)


def test_lessons_come_from_another_release(world: World, tmp_path: Path) -> None:
    release(world.source, tmp_path / "lessons", SpectralRecoder(world.key, psnr=9.0, tag="b"))
    found = attack_release(
        world.released, [world.rival], attacks=["learned-front"], labels=world.labels,
        learn=tmp_path / "lessons", effort=Effort(judged=36, training=9),
    )  # fmt: skip
    assert found.records[0].settings["training"] == 9
    assert found.records[0].n == 36
    with pytest.raises(InvalidArgument, match="learn: expected labels of its files"):
        attack_release(
            world.released, [world.rival], attacks=["none"], source=world.source,
            learn=tmp_path / "lessons",
        )  # fmt: skip


def test_refusals(world: World, tmp_path: Path) -> None:
    def attack(**given: object) -> Assault:
        return attack_release(world.released, [world.rival], effort=FEW, **given)  # type: ignore[arg-type]

    with pytest.raises(InvalidArgument, match="labels: expected labels or a source"):
        attack(attacks=["none"])
    with pytest.raises(InvalidArgument, match=r"attack project-out: .* without front"):
        attack(attacks=["project-out"], labels=world.labels)
    with pytest.raises(InvalidArgument, match="attack: expected one of none"):
        attack(attacks=["nonsense"], labels=world.labels)
    with pytest.raises(InvalidArgument, match="public: expected a folder of other pictures"):
        attack(attacks=["none"], labels=world.labels, public=tmp_path)
    with pytest.raises(InvalidArgument, match="rivals: expected at least one model"):
        attack_release(world.released, [], labels=world.labels)
    with pytest.raises(InvalidArgument, match="control: expected a source"):
        attack_release(
            world.released, [world.rival], labels=world.labels, effort=replace(FEW, control=True)
        )
    with pytest.raises(InvalidArgument, match="judged: expected 1 or more"):
        Effort(judged=0)
