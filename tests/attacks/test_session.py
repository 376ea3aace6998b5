import copy
import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from catch11.attacks import Assault, Attack, Effort, Jury, Material, attack_names, attack_release
from catch11.attacks.jury import ClassJury
from catch11.canvas.grid import psnr
from catch11.errors import InvalidArgument, Unsuited
from catch11.evaluation.record import read_records
from catch11.evaluation.verify import verify
from catch11.keys.key import build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.report.card.threats import cards
from tests.attacks.conftest import classifier
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
        progress=lambda step: seen.append(step.attack),
    )  # fmt: skip
    ran = {record.attack for record in found.records}
    assert {"none", "codec", "blur", "resize"} <= ran
    assert dict(found.skipped)["project-out"] == "needs front"
    assert dict(found.skipped)["fine-tune"] == "needs labels"  # nothing is left to learn from
    assert dict(found.skipped)["detection"] == "needs public"
    assert ran | {name for name, _ in found.skipped} == {*attack_names(), "detection"}
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


def test_a_matrix_says_why_not_to_rely_on_it(world: World, tmp_path: Path) -> None:
    """As `verify` of the same files says it, and again where the records are taken up."""
    weak = replace(
        world.rival, name="weak", prepare=lambda p: torch.zeros(len(p), 3, 24, 24),
        fingerprint="weak",
    )  # fmt: skip
    checked = verify(
        world.released, world.model, rivals=[weak], source=world.source, labels=world.labels
    )
    assert any(text.startswith("weak scores") for text in checked.warnings)
    for _ in "first", "taken up":
        found = attack_release(
            world.released, [weak], attacks=["none"], source=world.source, model=world.model,
            labels=world.labels, effort=Effort(judged=36, training=0),
            records=tmp_path / "records.jsonl",
        )  # fmt: skip
        assert set(checked.warnings) <= set(found.warnings)
        assert len(set(found.warnings)) == len(found.warnings)
        assert found.to_dict()["warnings"] == list(found.warnings)


def test_files_that_disagree_are_told(world: World, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    lines = Path(f"{world.released}.ledger.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        if "psnr" in row:
            row["psnr"] += 1.0
    ledger.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = attack_release(
        world.released, [world.rival], attacks=["none"], source=world.source, model=world.model,
        labels=world.labels, effort=FEW, records=tmp_path / "records.jsonl", ledger=ledger,
    )  # fmt: skip
    assert any(text.startswith("12 files were left out or disagree") for text in found.warnings)


@pytest.mark.parametrize("control", [False, True])
def test_the_detector_has_a_record_in_the_file(
    control: bool, world: World, public: Path, tmp_path: Path
) -> None:
    """A control's is marked as one, so that no card shows it as the release's."""
    path = tmp_path / "records.jsonl"

    def run(records: Path | None = path) -> Assault:
        return attack_release(
            world.released, [world.rival], attacks=["detection"], labels=world.labels,
            source=world.source, public=public, effort=replace(FEW, control=control),
            records=records,
        )  # fmt: skip

    (record,) = run(None).records
    assert record.settings["control"] is control
    (record,) = run().records
    assert (record.metric, record.attack, record.n) == ("auc", "detection", 12)
    assert record.settings["control"] is control
    assert record.settings["public"] == 12
    assert [r.to_line() for r in read_records(path)] == [record.to_line()]
    assert run().records == (record,)
    assert len(path.read_text().splitlines()) == 1
    assert len(cards(read_records(path))) == (0 if control else 1)


def _silent(self: Attack, material: Material, jury: Jury, *, seed: int) -> tuple[()]:
    return ()


def test_too_few_public_pictures_to_detect_by(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left out with the reason, or refused before anything is run."""
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        (few / f"{number}.png").symlink_to(world.source / f"{number + 1:02}.png")
    seen: list[str] = []
    reason = "needs 4 public pictures"
    monkeypatch.setattr(Attack, "__call__", _silent)
    found = attack_release(
        world.released, [world.rival], labels=world.labels, public=few, effort=FEW,
        progress=lambda step: seen.append(step.attack),
    )  # fmt: skip
    assert dict(found.skipped)["detection"].startswith(reason)
    assert "mean-patch" in seen
    seen.clear()
    with pytest.raises(Unsuited, match=f"attack detection: {reason}"):
        attack_release(
            world.released, [world.rival], attacks=["none", "detection"], labels=world.labels,
            public=few, effort=FEW, progress=lambda step: seen.append(step.attack),
        )  # fmt: skip
    with pytest.raises(InvalidArgument, match=r"attack detection: .* without public"):
        attack_release(
            world.released, [world.rival], attacks=["none", "detection"], labels=world.labels,
            effort=FEW, progress=lambda step: seen.append(step.attack),
        )  # fmt: skip
    assert seen == []


def test_a_control_has_noise_in_every_release(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its own, as strong as the release it stands for."""
    for tag, strength in (("b", 9.0), ("c", 15.0)):
        made = SpectralRecoder(world.key, psnr=strength, tag=tag)
        release(world.source, tmp_path / tag, made)
    held: dict[bool, tuple[Material, torch.Tensor]] = {}

    def call(self: Attack, material: Material, jury: ClassJury, *, seed: int) -> tuple[()]:
        assert jury.clean is not None
        held[control] = material, jury.clean
        return ()

    monkeypatch.setattr(Attack, "__call__", call)
    for control in (False, True):
        attack_release(
            world.released, [world.rival], attacks=["average"], source=world.source,
            labels=world.labels, others=[tmp_path / "b", tmp_path / "b", tmp_path / "c"],
            effort=replace(FEW, control=control),
        )  # fmt: skip
    real, clean = held[False]
    noise, _ = held[True]
    assert real.others is not None
    assert noise.others is not None
    drawn = [windows - clean for windows in (noise.released, *noise.others)]
    both = zip((real.released, *real.others), (noise.released, *noise.others), strict=True)
    for one, other in both:
        assert psnr(other, clean).tolist() == pytest.approx(psnr(one, clean).tolist(), abs=0.01)
        assert not torch.equal(one, other)
    for first, second in itertools.combinations(drawn, 2):
        away = torch.cosine_similarity(first.flatten(1), second.flatten(1))
        assert float(away.abs().max()) < 0.15


def test_a_control_leaves_out_what_it_cannot_do(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Attack, "__call__", _silent)
    release(world.source, tmp_path / "b", SpectralRecoder(world.key, psnr=9.0, tag="b"))

    def run(*attacks: str) -> Assault:
        return attack_release(
            world.released, [world.rival], attacks=attacks or None, source=world.source,
            labels=world.labels, others=[tmp_path / "b"], learn=tmp_path / "b",
            effort=Effort(judged=4, training=4, control=True),
        )  # fmt: skip

    skipped = dict(run().skipped)
    assert "no originals of the lessons" in skipped["fine-tune"]
    assert "no originals of the moved pictures" in skipped["near-duplicates"]
    with pytest.raises(Unsuited, match="attack near-duplicates: a control has no originals"):
        run("near-duplicates")
    with pytest.raises(Unsuited, match="attack learned-front: a control has no originals"):
        run("learned-front")


def test_releases_of_another_size_are_no_further_ones(world: World, tmp_path: Path) -> None:
    other = build_key(classifier(1, name="wide"), secret=bytes(range(32)))
    release(world.source, tmp_path / "wide", SpectralRecoder(other, psnr=20.0))
    with pytest.raises(InvalidArgument, match=r"others: .* windows \(3, 32, 32\) beside"):
        attack_release(
            world.released, [world.rival], attacks=["average"], labels=world.labels,
            others=[tmp_path / "wide"], effort=FEW,
        )  # fmt: skip


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
    with pytest.raises(InvalidArgument, match=r"attack: expected one of none.* detection,? found"):
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
