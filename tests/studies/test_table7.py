"""Table 7 in small: tiny encoders, tiny GLUE files, every recoder."""

import random
from pathlib import Path

import pytest

from catch11.studies import table7
from catch11.studies.frame import run_study
from catch11.studies.nets import encoders
from catch11.studies.place import Place, Unavailable
from tests.text_world import sentence_transformer

NAMES = ("man", "woman", "dog", "cat")


def sentences(count: int, seed: int) -> list[tuple[str, int]]:
    """People sing, animals eat: the label is which of the two."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        name = draw.choice(NAMES)
        verb = draw.choice(("plays", "sings") if name in NAMES[:2] else ("eats", "runs"))
        place = draw.choice(("in the house", "with food", "on red"))
        rows.append((f"the {name} {verb} {place} .", int(name in NAMES[:2])))
    return rows


@pytest.fixture
def place(tmp_path: Path) -> Place:
    text = tmp_path / "assets" / "text"
    (text / "sst2").mkdir(parents=True)
    for part, count in (("train", 60), ("dev", 12)):
        rows = [f"{words}\t{label}" for words, label in sentences(count, count)]
        (text / "sst2" / f"{part}.tsv").write_text("\n".join(rows) + "\n")
    for part, count in (("train", 20), ("test", 12)):
        first, second = sentences(count, 1), sentences(count, 2)
        rows = [f"{a[0]},{b[0]},{5.0 * (a[1] == b[1]) - 0.01 * i}" for i, (a, b) in enumerate(zip(first, second, strict=True))]  # fmt: skip
        (text / f"stsb-en-{part}.csv").write_text("\n".join(rows) + "\n")
    return Place(config="local", assets=tmp_path / "assets")


def test_every_recoder_is_scored_with_its_controls(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from catch11.modalities.text.file import load_text

    tiny = load_text(str(sentence_transformer(tmp_path / "tiny")))
    monkeypatch.setattr(encoders, "known_encoder", lambda: tiny)
    monkeypatch.setattr(table7, "known_encoder", lambda: tiny)
    monkeypatch.setattr(table7, "LOCAL", ("sst2", "stsb"))
    table7._featured.cache_clear()
    encoders.small_encoder.cache_clear()
    monkeypatch.setattr(
        table7,
        "small_encoder",
        lambda folder, **_: encoders.small_encoder(folder, pairs=8, epochs=1),
    )
    done = run_study(table7.STUDY, place, out=tmp_path / "out")
    table7._featured.cache_clear()
    encoders.small_encoder.cache_clear()
    found = {
        (r.settings["task"], r.settings["recoder"], r.role, r.condition, r.metric): r.value
        for r in done.records
    }
    for task, metric in (("sst2", "accuracy"), ("stsb", "spearman")):
        clean = found[task, "clean", "authorized", "clean", metric]
        assert found[task, "deep", "authorized", "nte", metric] == pytest.approx(clean, abs=0.3)
    assert ("sst2", "clean", "ga", "control", "accuracy") in found
    assert ("stsb", "spectral 3", "authorized", "nte", "spearman") in found
    assert ("stsb", "noise", "ga", "gaussian", "pearson") in found
    assert {r.settings["chance"] for r in done.records if r.metric == "spearman"} == {0.0}
    assert all(r.settings["withheld"] <= 3 for r in done.records)
    table7.STUDY.view(done.records)


def test_text_needs_a_folder_or_a_hub() -> None:
    place = Place(config="digits")
    with pytest.raises(Unavailable, match="text is not at hand"):
        table7.STUDY.work(table7.STUDY.cells("quick", place)[0], place)
