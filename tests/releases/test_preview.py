"""What a release would be: reckoned from a few items of any kind of data, with nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from catch11.releases.engine import planned, release
from catch11.releases.preview import preview
from tests.releases.worlds import WORLDS

Tree = Callable[[Path], dict[str, bytes]]


@pytest.mark.parametrize("kind", WORLDS)
def test_a_preview_is_what_the_release_becomes(kind: str, tmp_path: Path, tree: Tree) -> None:
    world, dst = WORLDS[kind](tmp_path / "world"), tmp_path / "dst"
    before = tree(tmp_path)
    found = preview(planned(world.source, dst, world.recoder, **world.beside))
    assert tree(tmp_path) == before
    assert not dst.exists()
    done = release(world.source, dst, world.recoder, **world.beside)
    assert found.files == done.written + done.withheld + done.skipped
    assert found.standing == 0
    assert 0 < found.kept <= found.tried <= found.files
    assert found.seconds > 0
    size = sum(len(data) for name, data in tree(dst).items() if name != "manifest.jsonl")
    assert found.megabytes == pytest.approx(size / 1e6, rel=0.6)
    again = preview(planned(world.source, dst, world.recoder, **world.beside))
    assert again.standing == done.written
    assert again.megabytes < found.megabytes
