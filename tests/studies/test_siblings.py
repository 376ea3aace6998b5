"""The siblings study on digits: siblings read the public model's release, not the copy's."""

from pathlib import Path

import pytest

from catch11.studies import siblings
from catch11.studies.frame import run_study
from catch11.studies.place import Place


def test_siblings_lose_a_copys_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(siblings.IMAGES, "quick", 24)
    monkeypatch.setattr(siblings, "DRIFTS", (0.0, 0.002, 0.008))
    monkeypatch.setattr(siblings, "RATES", siblings.RATES[:3])
    done = run_study(siblings.STUDY, Place(config="digits"), out=tmp_path)
    found = {
        (r.settings["release for"], r.settings["drift"], r.condition): r.value for r in done.records
    }
    for drift in siblings.DRIFTS:
        assert found["public model", drift, "nte"] > 0.7
        assert found["personalised copy", drift, "nte"] < 0.5
        assert found["personalised copy", drift, "clean"] > 0.8
    moved = [(r.settings["drift"], r.settings["first layer moved"]) for r in done.records]
    assert all(found >= asked for asked, found in moved)
    assert done.figure is not None
    assert done.figure.is_file()
