"""The page in headless Chromium: upload, answers, download, keyboard, axe-core, phone width, dark mode."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from catch11.evaluation.verify import verify
from catch11.releases.read import read_release
from catch11.serve.app import PAGE
from tests.client.test_client import listening
from tests.serve.conftest import LONG
from tests.serve.gateway import gateway, png
from tests.world import build_world

HERE = Path(__file__).with_name("page")
PACKAGES = Path(os.environ.get("CATCH11_PAGE_PACKAGES", HERE))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def test_nothing_comes_from_another_host_and_text_stays_text() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text
        assert "https://" not in text
        assert "innerHTML" not in text
        assert "eval(" not in text
        assert " style=" not in text, "the page's own policy takes no inline styles"
        assert "onclick" not in text


def test_the_page_is_served_with_a_strict_policy(tmp_path: Path) -> None:
    world = build_world(tmp_path, count=8)
    with gateway(world, tmp_path / "home") as made:
        page = made.client.get("/")
        assert "<title>catch11 gateway</title>" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        for path in PAGE.glob("*.js"):
            assert f"/page/{path.name}" in page.text or made.client.get(f"/page/{path.name}").status_code == 200  # fmt: skip


@LONG
@pytest.mark.slow
def test_a_person_recodes_a_picture(tmp_path: Path) -> None:
    if CHROMIUM is None or not (PACKAGES / "node_modules" / "axe-core").is_dir():
        pytest.skip("needs chromium, and npm install in tests/serve/page")
    world = build_world(tmp_path, count=8)
    pictures = []
    for label in range(3):
        pictures.append(tmp_path / f"picture-{label}.png")
        pictures[-1].write_bytes(png(label, 9000 + label))
    with gateway(world, tmp_path / "home") as made, listening(made) as url:
        tokens = [str(c.headers["authorization"]).split()[1] for c in (made.client, made.admin)]
        words = ["node", str(HERE / "look.mjs"), url, *tokens, str(tmp_path), *map(str, pictures)]
        env = {**os.environ, "CHROMIUM": CHROMIUM, "PACKAGES": str(PACKAGES)}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["hosts"] == []
    assert found["errors"] == []
    assert found["wide"] == []
    assert found["keyboard"]
    assert found["made"]
    assert found["slider"] == "60"
    assert "expected a valid token" in found["refused"]
    assert len(found["rows"]) >= 2, "the authorized model and a rival answered"
    with zipfile.ZipFile(tmp_path / "release.zip") as bundle:
        bundle.extractall(tmp_path / "release")
    release = read_release(tmp_path / "release")
    assert release.complete
    assert not verify(tmp_path / "release", world.model, rivals=[world.rival], key=world.key).failed
