"""Places and addresses of releases: inside each other, taken, half written, gone."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catch11.data.pictures import SUFFIXES
from catch11.data.stores.columns import Cells
from catch11.data.stores.find import opened
from catch11.data.stores.frame import Wanted
from catch11.data.stores.remote import local, name_of, send, shown
from catch11.errors import InvalidArgument, ReleaseError, UnreadableSource
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.read import read_release
from catch11.releases.whole import release
from tests.releases.test_stores import (
    COUNT,
    SHOTS,
    data_set,
    folder,
    in_arrow,
    in_parquet,
    in_tar,
    in_zip,
    shards,
)

pytest.importorskip("pyarrow", reason="needs the extra tables")


def test_names_that_are_no_text_become_portable(tmp_path: Path, recoder: SpectralRecoder) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"caf\xe9.png")).write_bytes(SHOTS[0])
    for dst in ("out.zip", "out.tar", "out"):
        release(tmp_path / "in", tmp_path / dst, recoder)
        assert [entry.file for entry in read_release(tmp_path / dst).entries] == ["caf_.png"]


def test_places_inside_each_other(tmp_path: Path, recoder: SpectralRecoder) -> None:
    (tmp_path / "d").mkdir()
    src = in_parquet(tmp_path / "d" / "x")
    release(src, tmp_path / "made.parquet", recoder)
    for one, dst in ((src, src), (src, tmp_path / "d"), (tmp_path / "made.parquet",) * 2):
        with pytest.raises(ReleaseError, match="must not lie inside each other"):
            release(one, dst, recoder)
    with pytest.raises(ReleaseError, match=r"must not lie in .* because it is private"):
        release(src, tmp_path / "out", recoder, ledger=tmp_path / "out" / "books")
    with pytest.raises(ReleaseError, match="there is no such source"):
        release(tmp_path / "none-{000..009}.tar", tmp_path / "out", recoder)
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(ReleaseError, match="this is a file, expected a folder"):
        release(src, tmp_path / "file", recoder)
    assert not (tmp_path / "out").exists()
    pytest.importorskip("datasets", reason="needs the extra datasets")
    (tmp_path / "empty").mkdir()
    assert release(src, tmp_path / "empty", recoder, to="datasets").written == COUNT


def test_addresses_inside_each_other_or_taken(tmp_path: Path, recoder: SpectralRecoder) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(folder(tmp_path / "a")), "/messy/in", recursive=True)
    memory.put(str(in_parquet(tmp_path / "t")), "/messy/t.parquet")
    given: dict[str, Any] = {"ledger": tmp_path / "book"}
    for src, dst in (("in", "in"), ("in", "in/out"), ("in", ""), ("t.parquet", "t.parquet")):
        with pytest.raises(ReleaseError, match="must not lie inside each other"):
            release(f"memory://messy/{src}", f"memory://messy/{dst}", recoder, **given)
    before = {path: memory.cat_file(path) for path in memory.find("/messy")}
    for place, dst in ((tmp_path / "a", "in"), (tmp_path / "t.parquet", "t.parquet")):
        with pytest.raises(ReleaseError, match=f"memory://messy/{dst}: something lies here"):
            release(place, f"memory://messy/{dst}", recoder, **given)
    assert {path: memory.cat_file(path) for path in memory.find("/messy")} == before
    books = tmp_path / "out" / "books"
    with pytest.raises(ReleaseError, match="because it is private"):
        release("memory://messy/t.parquet", tmp_path / "out", recoder, ledger=books)
    for to in (tmp_path / "new", "memory://messy/new"):
        with pytest.raises(ReleaseError, match=r"no\.zip: there is no such source; give a file or"):
            release(tmp_path / "no.zip", to, recoder, **given)
    with pytest.raises(ReleaseError, match="memory://nothing/x: nothing is there; look at"):
        release("memory://nothing/x", tmp_path / "out", recoder)
    with pytest.raises(
        ReleaseError, match=r"memory://messy/t\.parquet: no release can be read here"
    ):
        read_release("memory://messy/t.parquet")
    for to in ("o.parquet", "o.arrow"):
        book = tmp_path / f"{to}.jsonl"
        release("memory://messy/t.parquet", f"memory://elsewhere/{to}", recoder, ledger=book)
        assert len(read_release(f"memory://elsewhere/{to}")) == COUNT
    for used in ("messy", "elsewhere"):
        memory.rm(f"/{used}", recursive=True)


def test_no_bucket_is_made_of_a_slip_of_the_pen(
    tmp_path: Path, recoder: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.local import LocalFileSystem

    class Buckets(LocalFileSystem):
        """Folders of here as buckets, which would be made like any folder."""

        protocol = "oss"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix("oss://").rstrip("/")

    fsspec.register_implementation("oss", Buckets, clobber=True)
    src, book = folder(tmp_path / "a"), tmp_path / "book"
    (tmp_path / "cloud" / "there").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cloud")
    with pytest.raises(ReleaseError, match="oss://theer/x: there is no bucket theer; make it, or"):
        release(src, "oss://theer/x", recoder, ledger=book)
    with pytest.raises(ReleaseError, match="cannot be reached"):
        send(src, "oss://theer/x")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_dir()) == ["0", "1", "2", "a", "cloud", "there"]  # fmt: skip


@pytest.mark.parametrize("address", ["file://out", "file://./x", "file://"])
def test_a_file_address_is_whole(address: str, tmp_path: Path, recoder: SpectralRecoder) -> None:
    with pytest.raises(InvalidArgument, match="expected file:// and a whole path"):
        release(folder(tmp_path / "in"), address, recoder)


def test_addresses_are_read_as_they_are_meant() -> None:
    assert local("file:///a%20b#c") == local("file://localhost/a b#c") == Path("/a b#c")
    assert name_of("https://host/a/x.zip?sig=hidden") == "x.zip"
    assert name_of("s3://bucket/a?b.zip/") == "a?b.zip"
    for address in ("s3://KEY:hid/den@bucket/x", "https://me:hidden@h/x?sig=hidden"):
        assert "hid" not in shown(address)
    assert shown("/a@b?c") == "/a@b?c"


@pytest.mark.parametrize("make", [folder, in_zip, in_tar, shards, in_parquet, in_arrow, data_set])
def test_what_a_source_has_no_more_is_one_clause(
    make: Callable[[Path], Path], tmp_path: Path, recoder: SpectralRecoder
) -> None:
    fsspec = pytest.importorskip("fsspec")
    path = make(tmp_path / "src")
    fsspec.filesystem("memory").put(str(path), f"/gone/{path.name}", recursive=True)
    for place in (path, f"memory://gone/{path.name}"):
        source = opened(place, Wanted(suffixes=SUFFIXES))
        for name in ("000000099", "no/such.png"):
            if not (name.startswith("no") and isinstance(source, Cells)):
                with pytest.raises(UnreadableSource):
                    source.data(name)
        source.close()
    fsspec.filesystem("memory").rm("/gone", recursive=True)
