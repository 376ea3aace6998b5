"""Every kind of data goes through the gateway as through the library."""

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import recode
from catch11.releases.read import read_release
from catch11.serve import turns, worker
from catch11.serve.app import make_app
from catch11.serve.grants import add_grant, granted_keys
from catch11.serve.service import Service
from catch11.serve.settings import Settings
from catch11.serve.store import Store
from catch11.serve.tables import JobRow
from catch11.serve.tokens import Limits, create_token
from catch11.serve.vault import Models, add_key
from tests.releases.worlds import WORLDS
from tests.serve.gateway import run_job
from tests.text_world import PAIRS

HELD = {"tables": 4 * 3 + 1, "texts": 2 * len(PAIRS) + 1}  # those that are not released too


def files_below(source: Path) -> dict[str, bytes]:
    if source.is_file():
        return {source.name: source.read_bytes()}
    return {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["sounds", "tables", "texts"])
def test_a_job_of_each_kind(kind: str, store: Store, tmp_path: Path) -> None:
    world = WORLDS[kind](tmp_path / "source")
    key, model = world.recoder.key, world.beside["check"]
    columns = tuple(world.beside.get("columns", ()))
    less = "features" if kind == "texts" else "answer"
    add_key(store, kind, key, models=Models(model="given"))
    add_grant(store, kind, "a", keep=("all", less), quota=1000)
    service = Service(store, Settings(home=tmp_path / "home", threads=1, slot=0.01))
    service.workers._models["given"] = model
    token = create_token(store, "a", ["recode", "verify"])
    headers = {"authorization": f"Bearer {token}"}
    ask: dict[str, Any] = {"columns": columns} if columns else {}
    with TestClient(make_app(service), headers=headers) as client:
        sent = files_below(world.source)
        job = run_job(client, sent, **ask)
        while (found := client.get(f"/v1/jobs/{job}").json())["state"] not in ("done", "failed"):
            time.sleep(0.02)
        assert found["state"] == "done", found["error"]
        theirs = files_below(tmp_path / "home" / "jobs" / job / "release")
        told = [json.dumps(found), *(client.get(f"/v1/jobs/{job}/{one}").text for one in ("files/manifest.jsonl", "ledger"))]  # fmt: skip
        # Asked at a second strength, each known file is refused by itself, and the others are done.
        again = run_job(client, sent, keep=less, **ask)
        while (second := client.get(f"/v1/jobs/{again}").json())["state"] not in ("done", "failed"):
            time.sleep(0.02)
        told.append(client.get(f"/v1/jobs/{again}/files/manifest.jsonl").text)
    options = RecodeOptions(method="spectral", model=model, check=True, columns=columns, workers=1)
    recode(world.source, tmp_path / "out", key, options)
    assert theirs == files_below(tmp_path / "out")
    assert second["state"] == "done", second["error"]
    known = {part["name"] for part in found["parts"] if part["outcome"] == "released"}
    for part in second["parts"]:
        if part["name"] in known and kind != "texts":  # of which each row is known by itself
            assert (part["outcome"], "other settings" in part["reason"]) == ("withheld", True), part
    for word in ("steps", "margin", "psnr", "front_shift", "distance", "basis"):
        assert not [text for text in told if f'"{word}"' in text], word
    outcomes = {part["name"]: part["outcome"] for part in found["parts"]}
    assert set(outcomes) == set(sent)
    assert "released" in outcomes.values()
    bad = [name for name in sent if name.startswith("bad")]
    assert all(outcomes[name] == "skipped" for name in bad)


def test_a_file_of_another_kind_is_refused(store: Store, tmp_path: Path) -> None:
    world = WORLDS["sounds"](tmp_path / "source")
    add_key(store, "sounds", world.recoder.key, models=Models())
    add_grant(store, "sounds", "a", keep=("all",), quota=100)
    service = Service(store, Settings(home=tmp_path / "home"))
    headers = {"authorization": f"Bearer {create_token(store, 'a', ['recode'])}"}
    with TestClient(make_app(service), headers=headers) as client:
        job = client.post("/v1/jobs", json={}).json()["id"]
        refused = client.put(f"/v1/jobs/{job}/parts/a.csv", content=b"a,b\n1,2\n")
        assert refused.status_code == 415
        assert ".wav" in refused.json()["error"]


@pytest.mark.parametrize("kind", ["tables", "texts"])
def test_each_row_and_document_is_spent_before_it_is_recoded(
    kind: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = WORLDS[kind](tmp_path / "source")
    # Tiny nets answer otherwise at the usual strength, which the check withholds.
    ask = {"columns": world.beside["columns"], "psnr": 90.0} if kind == "texts" else {}
    add_key(store, kind, world.recoder.key, models=Models(model="given"))
    service = Service(store, Settings(home=tmp_path / "home", threads=1, slot=0.01))
    service.workers._models["given"] = world.beside["check"]
    headers = {"authorization": f"Bearer {create_token(store, 'a', ['recode'])}"}
    sent = files_below(world.source)
    asked: list[Path] = []

    def seen(source: Path, *given: Any, **said: Any) -> Any:
        asked.append(source)
        return recode(source, *given, **said)

    monkeypatch.setattr(worker, "recode", seen)
    with TestClient(make_app(service), headers=headers) as client:
        for quota, state in ((len(sent), "failed"), (1000, "done")):
            add_grant(store, kind, "a", keep=("all",), quota=quota)
            job = run_job(client, sent, **ask)
            while (found := client.get(f"/v1/jobs/{job}").json())["state"] not in (
                "done",
                "failed",
            ):
                time.sleep(0.02)
            assert found["state"] == state, found["error"]
            left = client.get("/v1/keys").json()[0]["grants"][0]["left"]
            if state == "failed":
                assert ("quota" in found["error"], left) == (True, 0)
                assert client.get(f"/v1/jobs/{job}/release").status_code == 409
                assert asked == [], "it was refused before any work"
    release = read_release(tmp_path / "home" / "jobs" / job / "release")
    rows = [len(release.item(e)) if kind == "tables" else 1 for e in release.entries]
    assert len(sent) < sum(rows)
    with store.begin() as session:
        held = json.loads(session.get_one(JobRow, job).ask)["items"]
    assert held == HELD[kind] >= sum(rows), "released or not"
    again = turns.Work(id=job, tenant="a", key="", ledger="", token="", ask={})
    turns.count(store, again, held)  # taken up after a stop: counted once
    assert granted_keys(store, "a")[0]["grants"][0]["left"] == left
    assert left == 1000 - len(sent) - held, "of the first run the files alone were spent"


def test_a_sound_that_states_too_much_is_refused_before_it_is_decoded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 times what it is packed in, the second channel counted too; what states nothing of use is
    skipped, as ever."""
    import soundfile

    bomb = io.BytesIO()
    soundfile.write(bomb, np.zeros((1 << 20, 2), dtype=np.int16), 44100, format="FLAC")
    world = WORLDS["sounds"](tmp_path / "source")
    add_key(store, "sounds", world.recoder.key, models=Models())
    add_grant(store, "sounds", "a", keep=("all",), quota=100)
    service = Service(store, Settings(home=tmp_path / "home"))
    limits = Limits(samples=(1 << 21) - 1)
    headers = {"authorization": f"Bearer {create_token(store, 'a', ['recode'], limits=limits)}"}
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with TestClient(make_app(service), headers=headers) as client:
        job = client.post("/v1/jobs", json={}).json()["id"]
        for answer in (
            client.put(f"/v1/jobs/{job}/parts/a.flac", content=bomb.getvalue()),
            client.post("/v1/recode", files={"file": ("a.flac", bomb.getvalue())}),
        ):
            assert answer.status_code == 413, answer.text
            assert (
                "at most 2097151 samples in all channels, found 2097152" in answer.json()["error"]
            )
        assert client.put(f"/v1/jobs/{job}/parts/b.flac", content=b"fLaC").status_code == 200
