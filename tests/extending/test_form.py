"""To add a form: a file with it, a row in each of two tables, and the choice of the command.

The toy form here is outside the package; everything that reads, checks or judges releases takes it.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from catch11 import SpectralRecoder, release, verify
from catch11.canvas import grid
from catch11.errors import InvalidArgument, ReleaseError
from catch11.kinds import IMAGE, KINDS
from catch11.releases import form
from catch11.releases.manifest import Entry
from catch11.releases.read import read_release
from tests.calls import run
from tests.extending.npy import GRID
from tests.world import World, build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=8)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(grid.GRIDS, "npy", GRID)
    monkeypatch.setitem(KINDS[IMAGE].forms, "npy", "tests.extending.npy.NPY")


def test_a_toy_form_goes_all_the_way(world: World, tmp_path: Path) -> None:
    recoder = SpectralRecoder(world.key, psnr=9.0, format="npy")
    done = release(world.source, tmp_path / "out", recoder, check=world.model, workers=2)
    assert (done.written, done.withheld) == (8, 0)
    assert release(world.source, tmp_path / "out", recoder, check=world.model).reused == 8
    held = read_release(tmp_path / "out")
    assert [entry.file for entry in held.entries] == [f"{n:02}.npy" for n in range(8)]
    assert held.windows(held.entries).shape == (8, 3, 24, 24)
    assert held.picture(held.entries[0]).size == (24, 24)
    found = verify(
        tmp_path / "out", world.model, rivals=[world.rival], source=world.source, key=world.key,
        labels=world.labels,
    )  # fmt: skip
    assert found.problems == ()
    assert found.records[0].settings["format"] == "npy"
    status, text = run("inspect", tmp_path / "out")
    assert status == 0
    assert "npy" in text


def test_a_damaged_file_is_one_clause(world: World, tmp_path: Path) -> None:
    recoder = SpectralRecoder(world.key, psnr=9.0, format="npy")
    release(world.source, tmp_path / "out", recoder)
    held = read_release(tmp_path / "out")
    (tmp_path / "out" / "x.npy").write_bytes(b"no")
    with pytest.raises(ReleaseError, match=r"x\.npy: it is no \.npy file"):
        held.item(Entry(file="x.npy", sha256=form.digest(b"no")))
    assert replace(held, entries=()).windows([]).shape == (0, 3, 24, 24)


def test_without_its_rows_it_is_unknown(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recoder = SpectralRecoder(world.key, psnr=9.0, format="npy")
    release(world.source, tmp_path / "out", recoder)
    monkeypatch.delitem(KINDS[IMAGE].forms, "npy")
    with pytest.raises(ReleaseError, match="format: expected one of png8, tensor"):
        read_release(tmp_path / "out")
    monkeypatch.delitem(grid.GRIDS, "npy")
    with pytest.raises(InvalidArgument, match="format: expected one of png8, tensor"):
        SpectralRecoder(world.key, psnr=9.0, format="npy")
