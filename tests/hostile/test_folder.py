"""One law for a folder of everything bad: no traceback, each bad file a ledger line with a reason,
each good file released, and the same again on resuming."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from catch11.keys.key import build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release

# Tests are no package: the table is read from the file beside this one.
_SPEC = importlib.util.spec_from_file_location(
    "table", Path(__file__).with_name("test_pictures.py")
)
assert _SPEC is not None
assert _SPEC.loader is not None
table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(table)

ODD_NAMES = (
    "with space.png",
    "new\nline.png",
    "quote'\".png",
    "ünïcödé.png",
    "emoji 🙂.png",
    "-rf.png",
    "~tilde.png",
    "%s{0}$(x).png",
    "..dots..png",
    ".hidden",
    "manifest.jsonl",
    "x" * 240 + ".png",
    "CON.png",
    "tab\t.png",
)


@pytest.fixture(scope="module")
def recoder() -> SpectralRecoder:
    torch.manual_seed(0)
    return SpectralRecoder(build_key(nn.Conv2d(3, 10, 4, 4), canvas=table.CANVAS), psnr=12.0)


def fill(root: Path) -> tuple[set[str], set[str]]:
    """Everything bad and odd there is; the good and the bad paths."""
    good: set[str] = set()
    bad: set[str] = set()
    (root / "deep").mkdir(parents=True)
    for case in table.CASES:
        (root / "deep" / case.name).write_bytes(case.data())
        (good if case.reason is None else bad).add(f"deep/{case.name}")
    picture = table.CASES[0].data()
    for name in ODD_NAMES:
        (root / name).write_bytes(picture)
        good.add(name)
    raw = os.fsdecode(b"latin-\xe4.png")
    try:
        (root / raw).write_bytes(picture)
        good.add(raw)
    except OSError:
        pass  # a file system that insists on Unicode
    (root / "loop").mkdir()
    (root / "loop" / "up").symlink_to(root)
    (root / "dead.png").symlink_to(root / "nowhere")
    (root / "self.png").symlink_to(root / "self.png")
    (root / "null.png").symlink_to("/dev/null")
    (root / "good.png").symlink_to(root / "deep" / "plain.png")
    os.mkfifo(root / "pipe.png")
    good.add("good.png")
    return good, bad | {"loop/up", "dead.png", "self.png", "null.png", "pipe.png"}


@pytest.mark.parametrize("workers", [1, 3])
def test_good_released_bad_listed_with_reasons(
    tmp_path: Path, recoder: SpectralRecoder, workers: int
) -> None:
    good, bad = fill(tmp_path / "src")
    dst = tmp_path / "dst"
    for first in (True, False):
        done = release(tmp_path / "src", dst, recoder, workers=workers)
        assert (done.written, done.reused) == ((len(good), 0) if first else (0, len(good)))
        assert (done.skipped, done.withheld) == (len(bad), 0)
        rows = {row.source: row for row in read_ledger(done.ledger)}
        assert len(rows) == len(read_ledger(done.ledger))
        assert {name for name, row in rows.items() if row.outcome == "released"} == good
        assert {name for name, row in rows.items() if row.outcome == "skipped"} == bad
        assert all(rows[name].reason and "\n" not in rows[name].reason for name in bad)
    held = read_release(dst)
    assert held.complete
    assert len({entry.file for entry in held.entries}) == len(good)
    assert len(held.windows(held.entries)) == len(good)
    files = {path for path in dst.rglob("*") if path.is_file()}
    assert len(files) == len(good) + 1


def test_unreadable_files_and_folders(
    tmp_path: Path, recoder: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = tmp_path / "src"
    for name in ("shut/a.png", "open/locked.png", "open/free.png"):
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_bytes(table.CASES[0].data())
    if os.geteuid():
        (src / "shut").chmod(0)
        (src / "open" / "locked.png").chmod(0)
    else:  # permissions do not hold back root
        listdir, opened = os.listdir, os.open
        monkeypatch.setattr(os, "listdir", _unless("shut", listdir))
        monkeypatch.setattr(os, "open", _unless("locked.png", opened))
    done = release(src, tmp_path / "dst", recoder)
    rows = {row.source: row for row in read_ledger(done.ledger)}
    assert (done.written, done.skipped) == (1, 2)
    assert "Permission denied" in rows["shut"].reason
    assert "Permission denied" in rows["open/locked.png"].reason
    assert rows["open/free.png"].outcome == "released"


def _unless(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, *args: Any, **options: Any) -> Any:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    return call
