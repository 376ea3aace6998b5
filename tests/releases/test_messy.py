"""Stores as users have them: odd names, shards and columns, sources that changed, places that are taken."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from catch11.data.stores.archives import ZipSource
from catch11.errors import Catch11Error, InvalidArgument, ReleaseError
from catch11.plugs.dataset import ReleaseDataset
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.read import read_release
from catch11.releases.whole import release
from tests.releases.test_stores import (
    COUNT,
    LABELS,
    SHOTS,
    Tree,
    in_parquet,
    table,
    write_tar,
)

pa = pytest.importorskip("pyarrow", reason="needs the extra tables")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra tables")


def members(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def labelled(count: int = COUNT, **columns: Any) -> Any:
    return pa.table({"image": SHOTS[:count], "label": LABELS[:count], **columns})


def test_keys_that_differ_in_capitals_alone_keep_their_fields(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    write_tar(
        tmp_path / "in" / "s.tar",
        {"Ab.JPG": SHOTS[0], "Ab.CLS": b"1", "ab.left.jpg": SHOTS[1], "ab.cls": b"2", "AB.jpg": SHOTS[2], "AB.cls": b"3"},
    )  # fmt: skip
    release(tmp_path / "in", tmp_path / "out", recoder)
    assert members(tmp_path / "out" / "s.tar") == [
        "Ab.png", "Ab.CLS", "ab.left.png", "ab.cls", "AB~1.png", "AB~1.cls",
    ]  # fmt: skip
    assert ReleaseDataset(tmp_path / "out", column="cls").labels == (1, 2, 3)
    with pytest.raises(InvalidArgument, match="found the fields"):
        release(tmp_path / "in", tmp_path / "other", recoder, columns=["png"])
    done = release(tmp_path / "in", tmp_path / "jpg", recoder, columns=["jpg"])
    assert (done.written, done.skipped) == (2, 1)


def test_what_macos_lays_beside_files_is_of_no_sample(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    beside = {"._a.jpg": b"x", "d/._b.jpg": b"x", "._.DS_Store": b"x"}
    samples = {"a.jpg": SHOTS[0], "a.cls": b"1", "d/b.jpg": SHOTS[1], "d/b.cls": b"2"}
    write_tar(tmp_path / "in" / "s.tar", beside | samples)
    done = release(tmp_path / "in", tmp_path / "out", recoder)
    assert (done.written, done.skipped) == (2, 3)
    assert members(tmp_path / "out" / "s.tar") == ["a.png", "a.cls", "d/b.png", "d/b.cls"]
    write_tar(tmp_path / "plain.tar", beside | {"a.jpg": SHOTS[0]})
    done = release(tmp_path / "plain.tar", tmp_path / "folder", recoder)
    assert (done.written, done.skipped) == (1, 3)
    assert (tmp_path / "folder" / "a.png").is_file()


def test_a_tar_behind_a_tar_is_refused_not_half_read(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    for name in "ab":
        write_tar(tmp_path / f"{name}.tar", {f"{name}.jpg": SHOTS[0]})
    first, second = ((tmp_path / f"{name}.tar").read_bytes() for name in "ab")
    (tmp_path / "joined.tar").write_bytes(first + second)
    with pytest.raises(InvalidArgument, match=f"from byte {len(first)} on; join tars"):
        release(tmp_path / "joined.tar", tmp_path / "out", recoder)
    (tmp_path / "filled.tar").write_bytes(first + bytes(3 << 20))
    assert release(tmp_path / "filled.tar", tmp_path / "out", recoder).written == 1


def test_an_empty_shard_or_table_stays_one(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    write_tar(tmp_path / "in" / "a.tar", {"a.jpg": SHOTS[0], "a.cls": b"1"})
    write_tar(tmp_path / "in" / "b.tar", {})
    (tmp_path / "rows").mkdir()
    for name, rows in (("a", 2), ("b", 0)):
        parquet.write_table(labelled().slice(0, rows), tmp_path / "rows" / f"{name}.parquet")
    for src, dst, count in (("in", "out", 1), ("rows", "tables", 2)):
        assert release(tmp_path / src, tmp_path / dst, recoder).written == count
        before = tree(tmp_path / dst)
        assert len(before) == 4
        assert release(tmp_path / src, tmp_path / dst, recoder).reused == count
        assert tree(tmp_path / dst) == before
        assert len(read_release(tmp_path / dst)) == count
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")
    for _ in range(2):
        release(tmp_path / "rows" / "b.parquet", tmp_path / "none", recoder, to="datasets")
    assert hub.load_from_disk(str(tmp_path / "none")).column_names == ["image", "label"]


def test_a_mask_in_the_place_of_the_released_picture_is_said_at_once(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    write_tar(tmp_path / "in" / "s.tar", {"a.jpg": SHOTS[0], "a.png": SHOTS[1]})
    with pytest.raises(InvalidArgument, match=r"fields of other names, found a\.png twice"):
        release(tmp_path / "in", tmp_path / "out", recoder, columns=["jpg"])
    assert not (tmp_path / "out.ledger").exists(), "before any work"


def test_a_member_of_any_size_passes_through(
    tmp_path: Path, recoder: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catch11.data.stores.frame.MAX_BYTES", 1 << 16)
    write_tar(tmp_path / "in" / "s.tar", {"a.mp4": bytes(1 << 17), "a.jpg": SHOTS[0], "a.txt": b""})
    release(tmp_path / "in", tmp_path / "out", recoder)
    with tarfile.open(tmp_path / "out" / "s.tar") as archive:
        assert [(one.name, one.size) for one in archive if one.name != "a.png"] == [
            ("a.mp4", 1 << 17), ("a.txt", 0),
        ]  # fmt: skip


def arrow_file(path: Path, rows: Any) -> None:
    with pa.ipc.new_file(str(path), rows.schema) as writer:
        writer.write_table(rows)


@pytest.mark.parametrize("stray", ["labels.csv", "x.tar.idx", "t.parquet"])
def test_other_files_among_shards_are_named(
    stray: str, tmp_path: Path, recoder: SpectralRecoder
) -> None:
    write_tar(tmp_path / "in" / "s.tar", {"a.jpg": SHOTS[0]})
    (tmp_path / "in" / stray).write_bytes(b"x")
    with pytest.raises(
        InvalidArgument, match=f"shards of one kind and nothing else, found .*{stray}"
    ):
        release(tmp_path / "in", tmp_path / "out", recoder)
    (tmp_path / "in" / "b.png").write_bytes(SHOTS[1])
    assert release(tmp_path / "in", tmp_path / "out", recoder).written == 1, "a folder of pictures"
    write_tar(tmp_path / "plain" / "s.tar", {"a.jpg": SHOTS[0]})
    release(tmp_path / "plain", tmp_path / "made", recoder)
    (tmp_path / "made" / "labels.csv").write_text("file,label")
    assert len(read_release(tmp_path / "made")) == 1, "the lists say what is in a release"


def test_shards_that_would_become_one_are_refused(tmp_path: Path, recoder: SpectralRecoder) -> None:
    write_tar(tmp_path / "in" / "a.tar", {"a.jpg": SHOTS[0]})
    write_tar(tmp_path / "in" / "a.tgz", {"b.jpg": SHOTS[1]}, mode="w:gz")
    with pytest.raises(InvalidArgument, match=r"more than the suffix, found a\.tar and a\.tgz"):
        release(tmp_path / "in", tmp_path / "out", recoder)


def test_tables_in_folders_become_splits_that_are_read(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")
    for place, row in (("a/x", 0), ("b/x", 1), ("y", 2)):
        path = tmp_path / "in" / f"{place}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(labelled().slice(row, 1), path)
    for _ in range(2):
        release(tmp_path / "in", tmp_path / "out", recoder, to="datasets")
    made = hub.load_from_disk(str(tmp_path / "out"))
    assert {name: rows["label"][:] for name, rows in made.items()} == {
        "a/x": LABELS[:1], "b/x": LABELS[1:2], "y": LABELS[2:3],
    }  # fmt: skip
    assert len(read_release(tmp_path / "out")) == 3


@pytest.mark.parametrize("form", ["pandas", "arrow", "torch"])
def test_a_data_set_saved_under_a_format(
    form: str, tmp_path: Path, recoder: SpectralRecoder
) -> None:
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")
    kinds = hub.Features({"image": hub.Image(), "label": hub.Value("int64")})
    rows = {"image": [{"bytes": data, "path": None} for data in SHOTS], "label": LABELS}
    data = hub.Dataset.from_dict(rows, features=kinds, split="test")
    data.with_format(form, columns=["image"]).save_to_disk(tmp_path / "in")
    done = release(tmp_path / "in", tmp_path / "out", recoder)
    made = hub.load_from_disk(str(tmp_path / "out"))
    assert (done.written, made["label"][:], made.split) == (COUNT, LABELS, "test")
    shown_ = data.with_format(form, columns=["image"])
    assert release(shown_, tmp_path / "parts", recoder).written == COUNT
    assert parquet.read_table(next((tmp_path / "parts").glob("*.parquet")))["label"].to_pylist() == LABELS  # fmt: skip
    with pytest.raises(InvalidArgument, match="without a transform"):
        release(data.with_transform(lambda batch: batch), tmp_path / "no", recoder)
    with pytest.raises(InvalidArgument, match="at least one row"):
        release(data.select([]), tmp_path / "no", recoder)


def test_columns_of_types_that_take_lacks(tmp_path: Path, recoder: SpectralRecoder) -> None:
    notes = pa.array(["a", "b", None, "d", "e"], pa.string_view())
    runs = pa.RunEndEncodedArray.from_arrays([2, 5], ["x", "y"])
    rows = labelled(note=notes, run=runs)
    image = pa.array([*SHOTS[:1], b"no picture", *SHOTS[2:]], pa.binary_view())
    arrow_file(tmp_path / "in.arrow", rows.set_column(0, "image", image))
    done = release(tmp_path / "in.arrow", tmp_path / "out.arrow", recoder)
    assert (done.written, done.skipped) == (4, 1)
    made = pa.ipc.open_file(str(tmp_path / "out.arrow")).read_all()
    assert made.schema == pa.ipc.open_file(str(tmp_path / "in.arrow")).schema
    assert made["note"].to_pylist() == ["a", None, "d", "e"]
    assert made["run"].to_pylist() == ["x", "y", "y", "y"]
    with pytest.raises(InvalidArgument, match=r"can hold every column, found parquet \(.*run_end"):
        release(tmp_path / "in.arrow", tmp_path / "out.parquet", recoder)


def test_dictionaries_that_change_within_a_stream(tmp_path: Path, recoder: SpectralRecoder) -> None:
    parts = [["a", "b"], ["c", "a"], ["d"]]
    classes = pa.chunked_array([pa.array(one).dictionary_encode() for one in parts])
    rows = labelled(kind=classes)
    with pa.ipc.new_stream(str(tmp_path / "in.arrow"), rows.schema) as writer:
        writer.write_table(rows)
    release(tmp_path / "in.arrow", tmp_path / "out.arrow", recoder)
    made = pa.ipc.open_file(str(tmp_path / "out.arrow")).read_all()
    assert made.schema == rows.schema
    assert made["kind"].to_pylist() == ["a", "b", "c", "a", "d"]


def test_odd_paths_beside_the_bytes(tmp_path: Path, recoder: SpectralRecoder) -> None:
    paths = ["https://host/a.b/c.jpg", ".", "../x", "", None]
    cells = [{"bytes": data, "path": path} for data, path in zip(SHOTS, paths, strict=True)]
    parquet.write_table(pa.table({"image": cells}), tmp_path / "in.parquet")
    release(tmp_path / "in.parquet", tmp_path / "out.parquet", recoder)
    made = parquet.read_table(tmp_path / "out.parquet")["image"].to_pylist()
    assert [one["path"] for one in made] == ["https://host/a.b/c.png", "..png", "../x.png", "", None]  # fmt: skip


def test_two_columns_of_one_name(tmp_path: Path, recoder: SpectralRecoder) -> None:
    twice = pa.Table.from_arrays([pa.array(SHOTS), pa.array(SHOTS)], names=["image", "image"])
    parquet.write_table(twice, tmp_path / "in.parquet")
    for columns in ([], ["image"]):
        with pytest.raises(InvalidArgument, match="column: expected"):
            release(tmp_path / "in.parquet", tmp_path / "out.parquet", recoder, columns=columns)


def test_a_damaged_page_is_said_of_the_source(tmp_path: Path, recoder: SpectralRecoder) -> None:
    rows = labelled(note=[f"{n}" * 5000 for n in range(COUNT)])
    path = tmp_path / "in.parquet"
    parquet.write_table(rows, path, use_dictionary=False)
    place = parquet.ParquetFile(path).metadata.row_group(0).column(2).data_page_offset
    data = bytearray(path.read_bytes())
    data[place + 20 : place + 60] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(InvalidArgument, match=r"SRC: expected a whole Parquet file, found in\."):
        release(path, tmp_path / "out.parquet", recoder)


@pytest.mark.parametrize("dst", ["out.parquet", "out"])
def test_equal_pictures_keep_labels_of_their_own(
    dst: str, tmp_path: Path, recoder: SpectralRecoder
) -> None:
    if dst == "out":
        pytest.importorskip("datasets", reason="needs the extra datasets")
    rows = pa.table({"image": [SHOTS[0], SHOTS[1], SHOTS[0], SHOTS[0]], "label": [0, 1, 2, 3]})
    parquet.write_table(rows, tmp_path / "in.parquet")
    to = "datasets" if dst == "out" else None
    release(tmp_path / "in.parquet", tmp_path / dst, recoder, to=to)
    assert ReleaseDataset(tmp_path / dst, column="label").labels == (0, 1, 2, 3)
    hidden = tmp_path / f"hidden-{dst}"
    release(tmp_path / "in.parquet", hidden, recoder, to=to, names="opaque")
    assert {*ReleaseDataset(hidden, column="label").labels} == {0, 1, 2, 3}


def test_labels_that_were_mended_are_taken_over(tmp_path: Path, recoder: SpectralRecoder) -> None:
    src, dst = in_parquet(tmp_path / "src"), tmp_path / "out.parquet"
    release(src, dst, recoder)
    mended = table().set_column(0, "label", pa.array([7] * COUNT))
    parquet.write_table(mended, src)
    assert release(src, dst, recoder).reused == COUNT
    assert parquet.read_table(dst)["label"].to_pylist() == [7] * COUNT
    write_tar(tmp_path / "in" / "s.tar", {"a.jpg": SHOTS[0], "a.cls": b"1"})
    release(tmp_path / "in", tmp_path / "out", recoder)
    write_tar(tmp_path / "in" / "s.tar", {"a.jpg": SHOTS[0], "a.cls": b"2"})
    release(tmp_path / "in", tmp_path / "out", recoder)
    assert ReleaseDataset(tmp_path / "out", column="cls").labels == (2,)


def test_rows_that_are_gone_leave_the_release_as_it_was(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    src, dst = in_parquet(tmp_path / "src"), tmp_path / "out.parquet"
    release(src, dst, recoder)
    before = dst.read_bytes()
    whole = src.read_bytes()
    parquet.write_table(table().slice(1, 3), src)
    for _ in range(2):
        with pytest.raises(ReleaseError, match=r"what the source has no more: 2 of it, 000000003"):
            release(src, dst, recoder)
        assert dst.read_bytes() == before
    src.write_bytes(whole)
    done = release(src, dst, recoder)
    assert done.written + done.reused == COUNT
    assert dst.read_bytes() == before
    held = read_release(dst)
    assert len([held.data(entry) for entry in held.entries]) == COUNT


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_any_byte_changed_is_refused_or_skipped(method: int, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("ü.png", SHOTS[0][:200])
    path, whole = tmp_path / "x.zip", made.getvalue()
    refused = 0
    for place in range(len(whole)):
        for value in (0, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                source = ZipSource(path)
                for name in source.names:
                    source.data(name)
            except Catch11Error:
                refused += 1
    assert refused > len(whole) // 2
