"""The base install: keys, releases and verification import nothing of what attacks, studies and reports need."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from catch11.errors import MissingExtra
from catch11.lab import needed
from tests.world import build_world

# Refuses what is not there in a base install, runs the three commands, and says what else was imported.
SCRIPT = """
    import sys, types
    from pathlib import Path

    LAB = ("sklearn", "matplotlib", "joblib", "kornia", "pyarrow", "datasets", "ray", "webdataset", "onnx",
           "onnxruntime", "skimage", "pandas", "cv2")

    class Base:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in LAB:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Base())
    tests = sys.modules["tests"] = types.ModuleType("tests")
    tests.__path__ = [str(Path("tests").resolve())]
    from typer.testing import CliRunner
    from catch11.cli import app

    place, ours, theirs = sys.argv[1:]
    for words in (
        ["key", ours, "-o", f"{place}/my.key", "--energy", "1e-6"],
        ["recode", f"{place}/photos", f"{place}/made", "--key", f"{place}/my.key", "--psnr", "9", "--check", "--model", ours],
        ["recode", f"{place}/photos", f"{place}/made.zip", "--key", f"{place}/my.key", "--psnr", "9"],
        ["verify", f"{place}/made", "--model", ours, "--rival", theirs, "--source", f"{place}/photos", "--key", f"{place}/my.key"],
        ["verify", f"{place}/made.zip", "--model", ours],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (words, done.output)
    print(sorted({name.partition(".")[0] for name in sys.modules} & set(LAB)))
"""


def test_key_recode_and_verify_need_the_base_alone(tmp_path: Path, root: Path) -> None:
    world = build_world(tmp_path, count=8)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), world.ours, world.theirs],
        capture_output=True, text=True, timeout=300, check=False, cwd=root,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"no_such_thing is needed here .* 'catch11\[lab\]'"):
        needed("no_such_thing.inner")
