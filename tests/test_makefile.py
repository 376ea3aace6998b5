"""What `make` would do on a fresh machine: the environment first, then the rest, in no circle."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["demo", "test", "bench", "pages", "docs"])
def test_a_fresh_machine_gets_its_environment_first(target: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-n", "-C", str(ROOT), target, f"VENV={tmp_path / 'venv'}"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if str(tmp_path) in line]
    assert lines[0].endswith(f"-m venv {tmp_path / 'venv'}")
    assert any("/catch11 " in line or "/python " in line for line in lines[1:])
