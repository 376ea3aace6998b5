"""To add a kind of data: two files with what its rooms ask for, and its row in `KINDS`.

The toy kind here is outside the package; Python and the commands key, release and verify it.
"""

import json
from pathlib import Path

import pytest
import torch

from catch11 import build_key, load_key, load_model, recoder_for, release, save_key, verify
from catch11.errors import InvalidArgument
from catch11.kinds import KINDS, Kind
from tests.calls import run, said
from tests.extending.reading import NUMBERS

HERE = "tests.extending.reading"
OURS, THEIRS = (f"py:{HERE}_kind:{name}" for name in ("ours", "theirs"))


@pytest.fixture(autouse=True)
def known_here(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Kind(
        modality=f"{HERE}_kind.KIND",
        pipeline=f"{HERE}.Readings",
        recoders={"still": HERE},
        forms={"dat": f"{HERE}.DAT"},
    )
    monkeypatch.setitem(KINDS, "reading", row)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Forty readings and a file that is none."""
    folder = tmp_path / "source"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(40):
        values = torch.randn(NUMBERS, generator=generator).tolist()
        (folder / f"{number:02}.dat").write_text("\n".join(f"{value:.4f}" for value in values))
    (folder / "short.dat").write_text("1\n2\n")
    return folder


def test_python_takes_it_all_the_way(source: Path, tmp_path: Path) -> None:
    model, rival = load_model(OURS), load_model(THEIRS)
    save_key(build_key(model), tmp_path / "my.key")
    key = load_key(tmp_path / "my.key")
    assert (key.modality, key.front.outputs) == ("reading", 3)
    done = release(source, tmp_path / "out", recoder_for(key), check=model, workers=2)
    assert (done.written, done.withheld, done.skipped) == (40, 0, 1)
    assert release(source, tmp_path / "out", recoder_for(key), check=model).reused == 40
    found = verify(tmp_path / "out", model, rivals=[rival], source=source, key=key)
    assert found.problems == ()
    shares = {(r.model, r.condition): r.value for r in found.records if r.metric == "agreement"}
    assert shares["ours", "nte"] == 1.0
    assert shares["theirs", "nte"] < 0.8
    with pytest.raises(InvalidArgument, match="target: expected no such option for readings"):
        verify(tmp_path / "out", model, target="x")


def test_the_commands_take_it_all_the_way(source: Path, tmp_path: Path) -> None:
    key, out = tmp_path / "my.key", tmp_path / "out"
    for words in (
        ("key", OURS, "-o", key),
        ("recode", source, out, "--key", key),
        ("inspect", out),
    ):
        status, text = run(*words)
        assert status == 0, text
    status, text = run(
        "verify", out, "--model", OURS, "--rival", THEIRS, "--source", source, "--json", "-"
    )
    assert status == 0, text
    found = json.loads(text[text.index("{") :])
    assert found["files"] == 40
    assert "--psnr: expected no such option" in said(
        "recode", source, tmp_path / "other", "--key", key, "--psnr", 3
    )
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    sentence = said("recode", tmp_path / "photos", tmp_path / "other", "--key", key)
    assert "SRC: expected a folder of .dat files, as the key is of a meter" in sentence
