"""The page in headless Chromium: upload, answers, download, keyboard, axe-core, phone width, dark mode."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from catch11.evaluation.verify import verify
from catch11.releases.read import read_release
from catch11.serve.app import PAGE
from catch11.serve.tables import JobRow
from catch11.serve.tokens import Limits
from tests.client.test_client import listening
from tests.serve.conftest import LONG
from tests.serve.gateway import gateway, png
from tests.world import World

HERE = Path(__file__).with_name("page")
PACKAGES = Path(os.environ.get("CATCH11_PAGE_PACKAGES", HERE))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# A gateway that asks to wait twice, loses a call, and then answers; one that never does; one that refuses.
ASKED = """
import { call } from "./api.js";
const said = {}, waits = [];
globalThis.document = { getElementById: () => said };
globalThis.sessionStorage = { getItem: () => "t" };
globalThis.setTimeout = (work, wait) => { waits.push(wait / 1000); queueMicrotask(work); };
const refusal = (status, error, wait) => ({
  ok: false, status, json: async () => ({ error }), headers: new Map(wait ? [["retry-after", wait]] : []),
});
const tried = async (method, answers) => {
  let count = 0;
  globalThis.fetch = async () => {
    const answer = answers[Math.min(count, answers.length - 1)];
    count += 1;
    if (answer === null) throw new TypeError("lost");
    return answer;
  };
  try { return [(await call("/", { method })).mark, count]; } catch (error) { return [error.message, error.status ?? 0, count]; }
};
const often = refusal(429, "too often.", "7");
const found = [
  await tried("PUT", [often, refusal(503, "not now.", "3"), null, { ok: true, mark: "taken" }]),
  await tried("PUT", [often]),
  await tried("POST", [null]),
  await tried("PUT", [refusal(415, "no picture.")]),
];
console.log(JSON.stringify({ found, waits: waits.slice(0, 3), said: said.textContent }));
"""


def looked(script: str, *words: str) -> Any:
    """What a script of the page's folder found in Chromium."""
    if CHROMIUM is None or not (PACKAGES / "node_modules" / "axe-core").is_dir():
        pytest.skip("needs chromium, and npm install in tests/serve/page")
    env = {**os.environ, "CHROMIUM": CHROMIUM, "PACKAGES": str(PACKAGES)}
    call = ["node", str(HERE / script), *words]
    done = subprocess.run(call, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_call_waits_as_long_as_the_gateway_says_and_says_so(tmp_path: Path) -> None:
    for path in PAGE.glob("*.js"):
        shutil.copy(path, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "asked.js").write_text(ASKED)
    done = subprocess.run(["node", "asked.js"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["found"] == [
        ["taken", 4],
        ["too often.", 429, 12],
        ["The gateway cannot be reached; is it running?", 0, 1],
        ["no picture.", 415, 1],
    ]
    assert told["waits"] == [7, 3, 3]
    assert told["said"] == "Waiting, as the gateway says: too often."


def test_nothing_comes_from_another_host_and_text_stays_text() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text
        assert "https://" not in text
        assert "innerHTML" not in text
        assert "eval(" not in text
        assert " style=" not in text, "the page's own policy takes no inline styles"
        assert "onclick" not in text


def test_the_page_is_served_with_a_strict_policy(world: World, tmp_path: Path) -> None:
    with gateway(world, tmp_path / "home") as made:
        page = made.client.get("/")
        assert "<title>catch11 gateway</title>" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        for path in PAGE.glob("*.js"):
            assert f"/page/{path.name}" in page.text or made.client.get(f"/page/{path.name}").status_code == 200  # fmt: skip


@LONG
@pytest.mark.slow
def test_a_person_recodes_a_picture(world: World, tmp_path: Path) -> None:
    pictures = []
    for label in range(3):
        pictures.append(tmp_path / f"picture-{label}.png")
        pictures[-1].write_bytes(png(label, 9000 + label))
    with gateway(world, tmp_path / "home") as made, listening(made) as url:
        tokens = [str(c.headers["authorization"]).split()[1] for c in (made.client, made.admin)]
        found = looked("look.mjs", url, *tokens, str(tmp_path), *map(str, pictures))
    assert found["faults"] == []
    assert found["hosts"] == []
    assert found["errors"] == []
    assert found["wide"] == []
    assert found["keyboard"]
    assert found["made"]
    assert found["slider"] == "60"
    assert found["asked"].startswith("Give the key ours a new secret?")
    assert found["grants"][-1] == "courssanswer, all7 of 7End", "made by keyboard"
    assert found["focus"] == "admin-title"
    assert "expected a valid token" in found["refused"]
    assert len(found["rows"]) >= 2, "the authorized model and a rival answered"
    with zipfile.ZipFile(tmp_path / "release.zip") as bundle:
        bundle.extractall(tmp_path / "release")
    release = read_release(tmp_path / "release")
    assert release.complete
    assert not verify(tmp_path / "release", world.model, rivals=[world.rival], key=world.key).failed


@LONG
@pytest.mark.slow
def test_no_file_is_lost_to_the_rate_and_live_jobs_do_not_freeze_the_page(
    world: World, tmp_path: Path
) -> None:
    sources = []
    for number in range(30):
        sources.append(tmp_path / f"{number:03}.png")
        sources[-1].write_bytes(png(number % 4, 9000 + number) if number != 7 else b"no picture")
    limits = Limits(rate=60)  # ten at once, then one a second
    with gateway(world, tmp_path / "home", limits=limits) as made, listening(made) as url:
        token = str(made.client.headers["authorization"]).split()[1]
        found = looked("many.mjs", url, token, *map(str, sources))
        with made.service.store.reading() as session:
            (total,) = session.scalars(select(JobRow.total).where(JobRow.state == "done"))
    assert total == 29, "every picture was sent"
    assert found["refusals"] > 0, "the rate was reached"
    assert any("this token may ask 60 times a minute" in one for one in found["said"])
    assert found["first"].startswith("007.pngnot taken: 007.png: not a usable picture")
    assert found["count"].endswith(" of 30 released.")
    assert found["errors"] == []
    assert [one for one in found["asked"] if "/jobs" in one] == [], (
        "nothing is asked of a view that was left"
    )
