"""The wheel holds the whole package and works where the source is not."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


def run(*words: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without isolation nothing is downloaded: the build backend is a test requirement.
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root, cwd=folder)
    (built,) = folder.glob("catch11-*.whl")
    return built


def test_wheel_holds_every_module_and_the_licence(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(p.relative_to(root)) for p in (root / "catch11").rglob("*.py")}
    assert sources <= names
    assert "catch11/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_installed_elsewhere_it_runs(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run("-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    env = {**os.environ, "PYTHONPATH": str(site)}
    where = run("-c", "import catch11; print(catch11.__file__)", cwd=tmp_path, env=env)
    assert where.startswith(str(site))
    found = run(
        "-m", "catch11", "inspect", "py:catch11.studies.nets.digits:patch", cwd=tmp_path, env=env
    )
    assert "good" in found
