"""Where a release may read and write: every unsafe arrangement refused, nothing created."""

import os
from pathlib import Path

import pytest

from catch11.errors import ReleaseError
from catch11.releases.places import places


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("src/deep", "empty", "other", "done"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "other" / "x.txt").write_text("x")
    (tmp_path / "done" / "manifest.jsonl").write_text("x\n")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "src")
    return tmp_path


@pytest.mark.parametrize(
    ("src", "dst", "ledger", "resume", "reason"),
    [
        ("none", "dst", None, True, "the source is not a folder"),
        ("file", "dst", None, True, "the source is not a folder"),
        ("src", "src", None, True, "must not lie inside each other"),
        ("src", "src/deep/dst", None, True, "must not lie inside each other"),
        ("src/deep", "src", None, True, "must not lie inside each other"),
        ("src", "link/dst", None, True, "must not lie inside each other"),
        ("link", "src/dst", None, True, "must not lie inside each other"),
        ("src", "src/../src/dst", None, True, "must not lie inside each other"),
        ("src", "dst", "dst/x.jsonl", True, "because it is private"),
        ("src", "dst", "src/x.jsonl", True, "would be read as a source"),
        ("src", "dst", "link/x.jsonl", True, "would be read as a source"),
        ("src", "dst", "none/x.jsonl", True, "the ledger cannot be written here"),
        ("src", "dst", "empty", True, "the ledger cannot be written here"),
        ("src", "file", None, True, "this is a file, expected a folder"),
        ("src", "other", None, True, "holds other files and no release"),
        ("src", "done", None, False, "holds a release already; resume it"),
    ],
)
def test_refused(
    root: Path, src: str, dst: str, ledger: str | None, resume: bool, reason: str
) -> None:
    before = sorted(str(path) for path in root.rglob("*"))
    with pytest.raises(ReleaseError, match=reason):
        places(root / src, root / dst, ledger and root / ledger, resume=resume)
    assert sorted(str(path) for path in root.rglob("*")) == before


@pytest.mark.parametrize("dst", ["new", "deep/new", "empty", "done", "src2"])
def test_accepted(root: Path, dst: str) -> None:
    found = places(root / "src", root / dst, None, resume=True)
    assert found.ledger == root / f"{dst}.ledger.jsonl"


def test_relative_paths_and_slashes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    found = places("src/", "empty/", None, resume=False)
    assert found.ledger == root / "empty.ledger.jsonl"
    assert found.manifest == root / "empty" / "manifest.jsonl"


def test_unfinished_files_do_not_count(root: Path) -> None:
    (root / "empty" / ".catch11").mkdir()
    assert places(root / "src", root / "empty", None, resume=False).release == root / "empty"
    assert os.listdir(root / "empty") == [".catch11"]
