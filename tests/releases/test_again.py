"""A release is no source: noise upon noise is what nobody asked for."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from catch11.errors import ReleaseError
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.manifest import NAME
from catch11.releases.whole import release
from tests.releases.test_stores import COUNT, data_set, folder, in_parquet, in_tar, in_zip, shards
from tests.releases.worlds import tables

SOURCES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "folder": (folder, "out"),
    "zip": (in_zip, "out.zip"),
    "tar": (in_tar, "out.tar"),
    "shards": (shards, "out"),
    "parquet": (in_parquet, "out.parquet"),
    "data set": (data_set, "out"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_release_is_refused_as_a_source(
    tmp_path: Path, recoder: SpectralRecoder, kind: str
) -> None:
    make, name = SOURCES[kind]
    if kind in ("parquet", "data set"):
        pytest.importorskip("datasets", reason="needs the extra datasets")
    dst = tmp_path / "made" / name
    dst.parent.mkdir()
    release(make(tmp_path / "in"), dst, recoder)
    with pytest.raises(ReleaseError, match=r"released by catch11 already, as .*made.*; give what"):
        release(dst, tmp_path / "again", recoder)
    assert not list(tmp_path.glob("again*"))


def test_a_folder_that_holds_a_release_is_too(tmp_path: Path, recoder: SpectralRecoder) -> None:
    src = folder(tmp_path / "in")
    release(src, tmp_path / "out", recoder)
    shutil.copytree(tmp_path / "out", src / "sent" / "client")
    with pytest.raises(ReleaseError, match=r"as .*/sent/client/manifest\.jsonl says"):
        release(src, tmp_path / "again", recoder)
    (src / "sent" / "client" / NAME).unlink()  # as the sentence says
    assert release(src, tmp_path / "again", recoder).written == 2 * COUNT


def test_a_table_of_a_release_is_too(tmp_path: Path) -> None:
    world = tables(tmp_path / "world")
    release(world.source, tmp_path / "out", world.recoder, **world.beside)
    for src in (tmp_path / "out", tmp_path / "out" / "b.csv"):
        with pytest.raises(ReleaseError, match=f"^{src}: this was released"):
            release(src, tmp_path / "again", world.recoder, **world.beside)
    own = shutil.copy(
        world.source / "b.csv", tmp_path / "out" / "mine.csv"
    )  # beside, and not listed
    assert release(own, tmp_path / "again", world.recoder, **world.beside).written == 1


def test_a_list_of_the_source_s_own_is_none_of_ours(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    src = folder(tmp_path / "in")
    for number, text in enumerate(
        ("", "{}\n", '{"audio": "a.wav"}\n', "[1]\n", '{"kind":"header"}\n')
    ):
        (src / NAME).write_text(text)
        assert release(src, tmp_path / f"out{number}", recoder).written == COUNT
    (src / NAME).unlink()
    (src / NAME).symlink_to("nowhere")
    os.mkfifo(src / f"pipe.{NAME}")
    (src / "of" / NAME).mkdir(parents=True)
    assert release(src, tmp_path / "odd", recoder).written == COUNT
