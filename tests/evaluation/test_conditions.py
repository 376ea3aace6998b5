import itertools
import math
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from catch11.canvas.plain import plain_canvas
from catch11.data.selection import batches, spread
from catch11.data.stores.folders import FolderSource
from catch11.data.windows import to_pixels
from catch11.errors import ReleaseError
from catch11.evaluation.conditions import Batch, Sources, find_sources, read_batch
from catch11.releases.form import form_of
from catch11.releases.ledger import Row
from catch11.releases.manifest import Entry
from catch11.releases.read import Release, read_release
from tests.world import World, build_world


def _release(*files: str) -> Release:
    return Release(
        root=Path("out"), modality="image", facts={}, method="spectral", form=form_of("png8"), key="", names="keep", checked="",
        public_key="", canvas=plain_canvas(8, 8), complete=True,
        entries=tuple(Entry(file=file, sha256="") for file in files), files=lambda entry: b"",
    )  # fmt: skip


class Case(NamedTuple):
    sources: tuple[str, ...]
    released: tuple[str, ...]
    paths: dict[str, str]


CASES = [
    Case(("a/b.jpg",), ("a/b.png",), {"a/b.png": "a/b.jpg"}),
    Case(("b.jpg",), ("b.jpg.png",), {"b.jpg.png": "b.jpg"}),
    # The first took the short name, so the second has its whole name.
    Case(("b.gif", "b.jpg"), ("b.png", "b.jpg.png"), {"b.png": "b.gif", "b.jpg.png": "b.jpg"}),
    # Two could have been it, and nothing says which: none is guessed.
    Case(("b.gif", "b.jpg"), ("b.png",), {}),
    Case(("c.jpg",), ("b.png",), {}),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_sources_by_name(case: Case, tmp_path: Path) -> None:
    for name in case.sources:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = find_sources(_release(*case.released), tmp_path, {})
    assert dict(found.paths) == case.paths
    for file in set(case.released) - set(case.paths):
        with pytest.raises(ReleaseError, match="no source of this file"):
            found.data(file)


def test_the_ledger_decides(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z.jpg").write_bytes(b"its bytes")
    rows = {"b.png": Row(source="elsewhere/z.jpg", outcome="released")}
    found = find_sources(_release("b.png"), tmp_path, rows)
    assert found.data("b.png") == b"its bytes"


@pytest.mark.parametrize("limit", [None, 1, 3, 7, 99])
def test_spread_is_even(limit: int | None) -> None:
    files = [f"{i:02}.png" for i in range(20)]
    chosen = [file for part in batches(spread(files, limit), 4) for file in part]
    assert len(chosen) == min(20, 20 if limit is None else limit)
    assert chosen == sorted(set(chosen))
    if limit == 3:
        assert chosen == ["00.png", "06.png", "13.png"]


def test_pixels() -> None:
    grey = torch.tensor([[[0.0, 0.5], [1.0, 1.7]]])
    assert to_pixels(grey)[..., 0].tolist() == [[0, 128], [255, 255]]
    assert to_pixels(grey).shape == (2, 2, 3)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=6)


def _read(world: World, *, seed: int = 0, some: slice = slice(None)) -> tuple[Batch, Release]:
    release = read_release(world.released)
    sources = find_sources(release, world.source, {})
    batch, problems = read_batch(release, release.entries[some], sources, seed=seed)
    assert problems == ()
    return batch, release


def test_a_batch_is_the_released_files_and_their_sources(world: World) -> None:
    batch, release = _read(world)
    assert batch.files == tuple(entry.file for entry in release.entries)
    assert set(batch.windows) == set(batch.pictures) == {"nte", "clean", "control", "gaussian"}
    assert torch.equal(batch.windows["nte"], release.windows(release.entries))
    for file, shown, source, window in zip(
        batch.files, batch.pictures["nte"], batch.pictures["clean"], batch.windows["clean"],
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(shown, np.asarray(Image.open(world.released / file)))
        assert np.array_equal(source, np.asarray(Image.open(world.source / file)))
        inner = np.asarray(source)[2:26, 2:26] / 255  # the canvas cuts 24 of 28 pixels
        assert np.allclose(window.permute(1, 2, 0), inner, atol=1e-6)


def test_strengths_are_those_of_the_windows(world: World) -> None:
    batch, _ = _read(world)
    clean = batch.windows["clean"].double().numpy()
    for name in ("nte", "gaussian"):
        moved = batch.windows[name].double().numpy() - clean
        decibels = -10 * np.log10((moved**2).mean((1, 2, 3)))
        assert batch.psnr[name] == pytest.approx(decibels.tolist())
    assert batch.psnr["gaussian"] == pytest.approx(batch.psnr["nte"], abs=0.02)
    assert all(map(math.isinf, batch.psnr["control"]))
    assert batch.ssim["control"] == pytest.approx([1.0] * 6)
    assert max(batch.ssim["gaussian"]) < 0.9


def test_the_zero_noise_control_is_the_source_in_the_released_margin(world: World) -> None:
    batch, _ = _read(world)
    assert torch.equal(batch.windows["control"], batch.windows["clean"])
    for shown, released, source in zip(
        batch.pictures["control"], batch.pictures["nte"], batch.pictures["clean"], strict=True
    ):  # fmt: skip
        inside = np.zeros((28, 28), dtype=bool)
        inside[2:26, 2:26] = True
        made, given, own = (np.asarray(one) for one in (shown, released, source))
        assert np.array_equal(made[inside], own[inside])
        assert np.array_equal(made[~inside], given[~inside])


def test_gaussian_noise_is_a_files_own_and_of_no_direction(world: World) -> None:
    """Drawn by name and seed: neither the batch nor the order of files changes it."""
    whole, _ = _read(world)
    part, _ = _read(world, some=slice(3, 5))
    assert torch.equal(part.windows["gaussian"], whole.windows["gaussian"][3:5])
    other, _ = _read(world, seed=1)
    noise, more = (
        (one.windows["gaussian"] - one.windows["clean"]).flatten(1) for one in (whole, other)
    )
    for first, second in [*itertools.combinations(noise, 2), *zip(noise, more, strict=True)]:
        assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.15
    across = noise.reshape(6, 3, 24, 24)
    beside = torch.stack([across[..., 1:].flatten(), across[..., :-1].flatten()])
    assert abs(float(torch.corrcoef(beside)[0, 1])) < 0.1  # white: a neighbour says nothing


def test_a_file_that_cannot_be_read_is_left_out_everywhere(world: World, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(world.released, copy)
    (copy / "02.png").write_bytes(b"no picture")
    release = read_release(copy)
    lost = dict(find_sources(release, world.source, {}).paths)
    del lost["04.png"]
    sources = Sources(files=FolderSource(world.source), paths=lost)
    batch, problems = read_batch(release, release.entries, sources, seed=0)
    assert [file for file, _ in problems] == ["02.png", "04.png"]
    assert "not the ones listed" in problems[0][1]
    assert "no source of this file" in problems[1][1]
    assert batch.files == ("00.png", "01.png", "03.png", "05.png")
    assert {len(one) for one in (*batch.windows.values(), *batch.pictures.values())} == {4}
    whole, _ = _read(world)
    assert torch.equal(batch.windows["gaussian"], whole.windows["gaussian"][[0, 1, 3, 5]])


def test_without_sources_there_is_nothing_to_compare_with(world: World) -> None:
    release = read_release(world.released)
    batch, problems = read_batch(release, release.entries, None, seed=0)
    assert problems == ()
    assert set(batch.windows) == set(batch.pictures) == {"nte"}
    assert batch.psnr == batch.ssim == {}
