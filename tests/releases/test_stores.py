"""Stores: whatever pictures lie in and go into, the same files, the labels where they were, resumed and read back."""

import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from catch11.data.pictures import SUFFIXES
from catch11.data.stores.find import find, opened
from catch11.data.stores.frame import Wanted
from catch11.errors import InvalidArgument, ReleaseError
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases import engine
from catch11.releases.ledger import read_ledger
from catch11.releases.read import Release, read_release
from catch11.releases.whole import release
from tests.releases.worlds import shot

pa = pytest.importorskip("pyarrow", reason="needs the extra tables")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra tables")

Tree = Callable[[Path], dict[str, bytes]]
COUNT = 5
WANTED = Wanted(suffixes=SUFFIXES)
SHOTS = [shot(number) for number in range(COUNT)]
LABELS = [number % 3 for number in range(COUNT)]


def folder(path: Path) -> Path:
    for number, data in enumerate(SHOTS):
        one = path / str(LABELS[number]) / f"{number}.png"
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_bytes(data)
    return path


def in_zip(path: Path) -> Path:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(SHOTS):
            archive.writestr(f"{LABELS[number]}/{number}.png", data)
    return path


def in_tar(path: Path, suffix: str = ".tar") -> Path:
    path = path.with_name(path.name + suffix)
    members = {f"{LABELS[number]}/{number}.png": data for number, data in enumerate(SHOTS)}
    write_tar(path, members, mode="w:gz" if suffix == ".tgz" else "w")
    return path


def in_tgz(path: Path) -> Path:
    return in_tar(path, ".tgz")


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(data)
            archive.addfile(facts, io.BytesIO(data))


def samples(
    numbers: range, *, fields: tuple[str, ...] = ("json", "png", "cls")
) -> dict[str, bytes]:
    """Members of a shard, the picture between the others."""
    made: dict[str, bytes] = {}
    for number in numbers:
        facts = {
            "png": SHOTS[number],
            "cls": str(LABELS[number]).encode(),
            "json": b'{"n": %d}' % number,
        }
        made |= {f"s{number}.{field}": facts[field] for field in fields}
    return made


def shards(path: Path) -> Path:
    write_tar(path / "a-0.tar", samples(range(3)))
    write_tar(path / "b" / "a-1.tar", samples(range(3, COUNT)))
    return path


def table() -> Any:
    cells = [{"bytes": data, "path": f"{number}.jpg"} for number, data in enumerate(SHOTS)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "label": pa.array(LABELS),
        "image": pa.array(cells, kind),
        "note": pa.array(map(str, LABELS)),
    }
    return pa.table(columns).replace_schema_metadata({"kept": "as it is"})


def in_parquet(path: Path) -> Path:
    path = path.with_suffix(".parquet")
    parquet.write_table(table(), path, row_group_size=2)
    return path


def in_arrow(path: Path) -> Path:
    path = path.with_suffix(".arrow")
    with pa.ipc.new_file(str(path), table().schema) as writer:
        writer.write_table(table(), max_chunksize=2)
    return path


def in_stream(path: Path) -> Path:
    path = path.with_suffix(".arrow")
    with pa.ipc.new_stream(str(path), table().schema) as writer:
        writer.write_table(table(), max_chunksize=2)
    return path


def tables(path: Path) -> Path:
    path.mkdir()
    parquet.write_table(table().slice(0, 3), path / "x-0.parquet")
    parquet.write_table(table().slice(3), path / "x-1.parquet")
    (path / "README.md").write_text("notes beside shards are no shards")
    return path


def hub_features() -> tuple[Any, Any]:
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")
    return hub, hub.Features({"image": hub.Image(), "label": hub.ClassLabel(names=["x", "y", "z"])})


def data_set(path: Path) -> Path:
    hub, features = hub_features()
    rows = {"image": [{"bytes": data, "path": None} for data in SHOTS], "label": LABELS}
    hub.Dataset.from_dict(rows, features=features).save_to_disk(path, num_shards=2)
    return path


def splits(path: Path) -> Path:
    hub, features = hub_features()
    parts = {"train": slice(0, 3), "test": slice(3, COUNT)}
    rows: dict[str, Any] = {
        "image": [{"bytes": data, "path": None} for data in SHOTS],
        "label": LABELS,
    }
    every = {name: {k: v[part] for k, v in rows.items()} for name, part in parts.items()}
    whole = {name: hub.Dataset.from_dict(one, features=features) for name, one in every.items()}
    hub.DatasetDict(whole).save_to_disk(path)
    return path


class Case(NamedTuple):
    """Where pictures lie, where they go, and how what was written is read: labels and files in order."""

    source: Callable[[Path], Path]
    dst: str
    to: str | None = None

    def __repr__(self) -> str:
        return f"{self.source.__name__}-{self.dst}-{self.to or ''}"


CASES = [
    Case(folder, "out.zip"),
    Case(folder, "out.tar"),
    Case(folder, "out", "zip"),
    Case(in_zip, "out"),
    Case(in_zip, "out.tar"),
    Case(in_tar, "out"),
    Case(in_tgz, "out.zip"),
    Case(shards, "out"),
    Case(in_parquet, "out.parquet"),
    Case(in_parquet, "out.arrow"),
    Case(in_parquet, "out"),
    Case(in_parquet, "out", "datasets"),
    Case(in_arrow, "out.parquet"),
    Case(in_stream, "out.arrow"),
    Case(tables, "out"),
    Case(data_set, "out"),
    Case(data_set, "out.parquet"),
    Case(splits, "out"),
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, recoder: SpectralRecoder) -> list[bytes]:
    """The released files of the pictures, as the folder of them gives."""
    place = tmp_path_factory.mktemp("plain")
    engine.release(folder(place / "src"), place / "out", recoder)
    return [(place / "out" / str(LABELS[n]) / f"{n}.png").read_bytes() for n in range(COUNT)]


def contents(dst: Path) -> list[tuple[int, bytes]]:
    """Label and bytes of every released picture in the order of the source, as others read them."""
    if (dst / "dataset_dict.json").exists() or (dst / "state.json").exists():
        hub, _ = hub_features()
        found = hub.load_from_disk(str(dst))
        parts = [found["train"], found["test"]] if isinstance(found, dict) else [found]
        rows = [row for one in parts for row in one.cast_column("image", hub.Image(decode=False))]
        return [(row["label"], row["image"]["bytes"]) for row in rows]
    files = sorted(dst.rglob("*")) if dst.is_dir() else [dst]
    found = []
    for path in files:
        if path.suffix in (".parquet", ".arrow"):
            read = parquet.read_table if path.suffix == ".parquet" else _ipc
            found += [(row["label"], row["image"]["bytes"]) for row in read(path).to_pylist()]
        elif path.suffix == ".tar" and dst.is_dir():
            web = pytest.importorskip("webdataset", reason="reads shards as their users do")
            found += [
                (int(one["cls"]), one["png"])
                for one in web.WebDataset(str(path), shardshuffle=False)
                if json.loads(one["json"])["n"] >= 0
            ]
        elif path.suffix == ".tar":
            with tarfile.open(path) as archive:
                members = [(one.name, archive.extractfile(one)) for one in archive]
                found += [_named(n, data.read()) for n, data in members if "/" in n and data]
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found += [_named(n, archive.read(n)) for n in archive.namelist() if "/" in n]
        elif path.suffix == ".png":
            found.append(_named(path.relative_to(dst).as_posix(), path.read_bytes()))
    return found


def _ipc(path: Path) -> Any:
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def _named(name: str, data: bytes) -> tuple[int, bytes]:
    return int(name.split("/")[0]), data


def ledgers(dst: Path) -> list[Path]:
    beside = Path(f"{dst}.ledger.jsonl")
    return [beside] if beside.exists() else sorted(Path(f"{dst}.ledger").rglob("*.jsonl"))


# What reads shards in the test leaves them open.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_same_files_wherever_they_lie(
    case: Case, tmp_path: Path, recoder: SpectralRecoder, expected: list[bytes], tree: Tree
) -> None:
    src, dst = case.source(tmp_path / "src"), tmp_path / case.dst
    before = tree(src) if src.is_dir() else {"": src.read_bytes()}
    done = release(src, dst, recoder, to=case.to, workers=2)
    assert (done.written, done.skipped, done.withheld) == (COUNT, 0, 0)
    assert sorted(contents(dst)) == sorted(zip(LABELS, expected, strict=True))
    if find(src, SUFFIXES).store is not None and find(src, SUFFIXES).store.keeps != "files":  # type: ignore[union-attr]
        assert contents(dst) == list(zip(LABELS, expected, strict=True))
    held = read_release(dst)
    assert held.complete
    assert sorted(held.data(entry) for entry in held.entries) == sorted(expected)
    rows = [row for path in ledgers(dst) for row in read_ledger(path)]
    assert sorted(row.sha256 for row in rows) == sorted(entry.sha256 for entry in held.entries)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in ledgers(dst))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".gone", ".new")]
    assert before == (tree(src) if src.is_dir() else {"": src.read_bytes()})
    # Once more: nothing is done again, and no byte changes.
    written = tree(tmp_path)
    again = release(src, dst, recoder, to=case.to)
    assert (again.written, again.reused) == (0, COUNT)
    assert tree(tmp_path) == written


@pytest.mark.parametrize(
    "case",
    [
        Case(folder, "out.zip"),
        Case(shards, "out"),
        Case(in_parquet, "out.parquet"),
        Case(data_set, "out"),
    ],
    ids=repr,
)
def test_stopped_anywhere_it_ends_with_the_same_bytes(
    case: Case,
    tmp_path: Path,
    recoder: SpectralRecoder,
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped at any rename, which is what makes a step seen; of those of single files at the third, as
    `test_stops` does the others."""
    src = case.source(tmp_path / "src")
    release(src, tmp_path / "whole" / case.dst, recoder)
    whole = tree(tmp_path / "whole")
    real = os.replace
    for limit in range(1, 40):
        place, calls, singles = tmp_path / f"at{limit}", iter(range(1, 99)), iter(range(1, 99))

        def stop(
            start: Any, end: Any, calls: Iterator[int] = calls, singles: Iterator[int] = singles,
            limit: int = limit,
        ) -> None:  # fmt: skip
            passed = ".part/" in f"{end}" and next(singles) != 3
            if not passed and next(calls) == limit:
                raise KeyboardInterrupt
            real(start, end)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stop)
            try:
                release(src, place / case.dst, recoder)
                break
            except KeyboardInterrupt:
                pass
        release(src, place / case.dst, recoder)
        assert tree(place) == whole, f"stopped at rename {limit}"
    assert 3 < limit < 39


def test_a_changed_source_replaces_its_row_alone(tmp_path: Path, recoder: SpectralRecoder) -> None:
    src, dst = in_parquet(tmp_path / "src"), tmp_path / "out.parquet"
    release(src, dst, recoder)
    first = contents(dst)
    rows = table().to_pylist()
    rows[3]["image"]["bytes"] = shot(77)
    parquet.write_table(pa.Table.from_pylist(rows, schema=table().schema), src)
    done = release(src, dst, recoder)
    assert done.written >= 1
    second = contents(dst)
    assert [one == other for one, other in zip(first, second, strict=True)] == [True] * 3 + [
        False,
        True,
    ]
    assert read_release(dst).complete


def test_rows_without_a_released_picture_are_left_out(
    tmp_path: Path, recoder: SpectralRecoder, expected: list[bytes]
) -> None:
    rows = table().to_pylist()
    rows[1]["image"], rows[3]["image"]["bytes"] = None, b"no picture"
    src = tmp_path / "src.parquet"
    parquet.write_table(pa.Table.from_pylist(rows, schema=table().schema), src)
    done = release(src, tmp_path / "out.parquet", recoder)
    assert (done.written, done.skipped) == (3, 2)
    assert contents(tmp_path / "out.parquet") == [(LABELS[n], expected[n]) for n in (0, 2, 4)]
    reasons = {row.source: row.reason for row in read_ledger(done.ledger) if row.reason}
    assert reasons["000000001"] == "the row has no picture"
    assert "known format" in reasons["000000003"]


def test_other_columns_schema_and_paths_stay(tmp_path: Path, recoder: SpectralRecoder) -> None:
    src = in_parquet(tmp_path / "src")
    release(src, tmp_path / "keep.parquet", recoder)
    release(src, tmp_path / "opaque.parquet", recoder, names="opaque")
    kept, opaque = (parquet.read_table(tmp_path / f"{n}.parquet") for n in ("keep", "opaque"))
    assert kept.schema.equals(table().schema, check_metadata=True)
    assert kept.drop(["image"]).equals(table().drop(["image"]))
    assert [cell["path"] for cell in kept["image"].to_pylist()] == [
        f"{n}.png" for n in range(COUNT)
    ]
    hidden = [cell["path"].removesuffix(".png") for cell in opaque["image"].to_pylist()]
    assert all(len(name) == 32 for name in hidden)
    assert kept["image"].to_pylist()[0]["bytes"] == opaque["image"].to_pylist()[0]["bytes"]
    assert len(read_release(tmp_path / "opaque.parquet")) == COUNT


def test_samples_pass_through_under_the_names_given(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    members = {
        "d/x.left.jpg": SHOTS[0],
        "d/x.cls": b"1",
        "d/y.cls": b"2",
        "d/z.left.jpg": SHOTS[2],
        "d/z.txt": b"",
    }
    write_tar(tmp_path / "in" / "s.tar", members)
    done = release(tmp_path / "in", tmp_path / "out", recoder)
    with tarfile.open(tmp_path / "out" / "s.tar") as archive:
        assert archive.getnames() == ["d/x.left.png", "d/x.cls", "d/z.left.png", "d/z.txt"]
    assert (done.written, done.skipped) == (2, 1)
    assert [one.reason for one in done.refused] == ["the sample has no picture"]
    release(tmp_path / "in", tmp_path / "hidden", recoder, names="opaque")
    with tarfile.open(tmp_path / "hidden" / "s.tar") as archive:
        names = archive.getnames()
    assert not any(letter in name.split(".")[0] for name in names for letter in "xyz/")
    assert names[0].split(".")[0] == names[1].split(".")[0] != names[2].split(".")[0]


def test_the_column_is_asked_for_where_there_are_two(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    two = pa.table(
        {"left": pa.array(SHOTS), "right": pa.array(SHOTS[::-1]), "label": pa.array(LABELS)}
    )
    src = tmp_path / "two.parquet"
    parquet.write_table(two, src)
    with pytest.raises(
        InvalidArgument, match=r"column: expected one column of pictures.*left and right in two"
    ):
        release(src, tmp_path / "out.parquet", recoder)
    with pytest.raises(
        InvalidArgument, match="a column with bytes in it: left, right, found label"
    ):
        release(src, tmp_path / "out.parquet", recoder, columns=["label"])
    release(src, tmp_path / "out.parquet", recoder, columns=["right"])
    made = parquet.read_table(tmp_path / "out.parquet")
    assert made["left"].to_pylist() == SHOTS
    assert len({*made["right"].to_pylist()} & {*SHOTS}) == 0
    held = read_release(tmp_path / "out.parquet")
    assert [held.data(entry) for entry in held.entries] == made["right"].to_pylist()
    both = {"a.jpg": SHOTS[0], "a.seg.png": SHOTS[1], "a.cls": b"1"}
    write_tar(tmp_path / "in" / "s.tar", both)
    with pytest.raises(
        InvalidArgument, match=r"one field of pictures.*jpg and seg\.png in sample a of"
    ):
        release(tmp_path / "in", tmp_path / "shards", recoder)
    release(tmp_path / "in", tmp_path / "shards", recoder, columns=["jpg"])
    with tarfile.open(tmp_path / "shards" / "s.tar") as archive:
        assert archive.getnames() == ["a.png", "a.seg.png", "a.cls"]


def test_addresses(tmp_path: Path, recoder: SpectralRecoder, expected: list[bytes]) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name, path in (
        ("a", folder(tmp_path / "a")),
        ("b.zip", in_zip(tmp_path / "b")),
        ("c", shards(tmp_path / "c")),
    ):
        memory.put(str(path), f"/in/{name}", recursive=True)
    for src, dst in (("a", "a"), ("a", "a.zip"), ("b.zip", "b"), ("c", "c")):
        book, to = tmp_path / f"{src}-{dst}.jsonl", f"memory://out/{dst}-{src}/{dst}"
        done = release(f"memory://in/{src}", to, recoder, ledger=book)
        assert done.written == COUNT
        assert memory.exists(done.address), "what is said of the list holds"
        assert str(done.to_dict()["manifest"]) == done.address
        held = read_release(to)
        assert sorted(held.data(entry) for entry in held.entries) == sorted(expected)
        before = {path: memory.cat_file(path) for path in memory.find("/out")}
        again = release(f"memory://in/{src}", to, recoder, ledger=book)
        assert (again.written, again.reused) == (0, COUNT)
        assert {path: memory.cat_file(path) for path in memory.find("/out")} == before
        assert not any("ledger" in path for path in before)
        assert not list(tmp_path.glob("*.part"))
    with pytest.raises(InvalidArgument, match="ledger: expected a file of this machine"):
        release("memory://in/a", "memory://out/x", recoder)
    local = f"file://{tmp_path / 'a'}"
    release(local, f"file://{tmp_path / 'here'}", recoder)
    assert sorted(contents(tmp_path / "here")) == sorted(zip(LABELS, expected, strict=True))


def test_an_address_that_does_not_answer(tmp_path: Path, recoder: SpectralRecoder) -> None:
    fsspec = pytest.importorskip("fsspec")

    class Shut(fsspec.AbstractFileSystem):
        protocol = "shut"

        def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
            raise PermissionError("no credentials for AKIAEXAMPLE")

    fsspec.register_implementation("shut", Shut, clobber=True)
    with pytest.raises(
        ReleaseError, match=r"it cannot be reached \(PermissionError\); look at .* credentials"
    ) as error:
        release("shut://bucket/in", tmp_path / "out", recoder)
    assert "AKIA" not in str(error.value)
    with pytest.raises(
        InvalidArgument, match="gs://bucket/in: expected the package that reads gs://"
    ):
        release("gs://me:secret@bucket/in", tmp_path / "out", recoder)
    with pytest.raises(
        InvalidArgument, match="nil://bucket/in: expected an address of a kind that"
    ):
        release("nil://bucket/in", tmp_path / "out", recoder)
    with pytest.raises(ReleaseError, match=r"cannot be reached \(PermissionError\)"):
        release(folder(tmp_path / "in"), "shut://bucket/out", recoder, ledger=tmp_path / "l.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("source", "dst", "to", "reason"),
    [
        (
            in_parquet,
            "out.zip",
            None,
            "to: expected parquet or arrow or datasets, which keeps .* found zip",
        ),
        (in_parquet, "out", "folder", "found folder"),
        (
            folder,
            "out.parquet",
            None,
            "to: expected folder or zip or tar, .* a folder of files, found parquet",
        ),
        (shards, "out", "zip", "to: expected webdataset"),
        (tables, "out.parquet", None, "DST: expected a folder, as the source has 2 shards"),
        (folder, "out", "rar", "to: expected one of folder, zip, tar, webdataset"),
    ],
)
def test_what_does_not_go_together(
    source: Callable[[Path], Path],
    dst: str,
    to: str | None,
    reason: str,
    tmp_path: Path,
    recoder: SpectralRecoder,
) -> None:
    src = source(tmp_path / "src")
    with pytest.raises(InvalidArgument, match=reason):
        release(src, tmp_path / dst, recoder, to=to)
    assert not (tmp_path / dst).exists()


def test_nothing_foreign_is_written_over(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    src = folder(tmp_path / "src")
    for name in ("mine.zip", "mine.tar"):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(ReleaseError, match="no release can be read here"):
            release(src, tmp_path / name, recoder)
        assert (tmp_path / name).read_bytes() == b"mine"
    release(src, tmp_path / "out.zip", recoder)
    with pytest.raises(ReleaseError, match="this is a release already; resume it"):
        release(src, tmp_path / "out.zip", recoder, resume=False)
    with pytest.raises(ReleaseError, match="made with another settings"):
        release(
            src,
            tmp_path / "out.zip",
            SpectralRecoder(recoder.key, psnr=9.0),
            ledger=tmp_path / "l.jsonl",
        )
    for dst in (src / "out.zip", tmp_path / "src"):
        with pytest.raises(ReleaseError, match="must not lie inside each other"):
            release(src, dst, recoder, to="zip")
    with pytest.raises(ReleaseError, match="must not lie inside each other"):
        release(shards(tmp_path / "in"), tmp_path / "in" / "out", recoder)


def test_a_bad_shard_leaves_the_others(tmp_path: Path, recoder: SpectralRecoder) -> None:
    src = shards(tmp_path / "src")
    whole = (src / "b" / "a-1.tar").read_bytes()
    for cut in (len(whole) // 3, 512 * 3, len(whole) - 10240):
        (src / "b" / "a-1.tar").write_bytes(whole[:cut])
        with pytest.raises(
            InvalidArgument, match=r"a whole tar archive, found a-1.tar, which cannot be read"
        ):
            release(src, tmp_path / "out", recoder)
        assert (tmp_path / "out" / "a-0.tar").is_file()
    (src / "b" / "a-1.tar").write_bytes(whole)
    done = release(src, tmp_path / "out", recoder)
    assert (done.reused, done.written) == (3, 2)
    short = tmp_path / "cut.parquet"
    short.write_bytes(in_parquet(tmp_path / "t").read_bytes()[:-20])
    with pytest.raises(InvalidArgument, match=r"a whole Parquet file, found cut\.parquet"):
        release(short, tmp_path / "p.parquet", recoder)


def test_a_data_set_of_other_things(tmp_path: Path, recoder: SpectralRecoder) -> None:
    hub, _ = hub_features()
    hub.Dataset.from_dict({"text": ["a"], "label": [1]}).save_to_disk(tmp_path / "texts")
    with pytest.raises(
        InvalidArgument, match=r"one Image or Audio column.*found none among text \(Value\)"
    ):
        release(tmp_path / "texts", tmp_path / "out", recoder)
    parquet.write_table(pa.table({"n": [1]}), tmp_path / "n.parquet")
    with pytest.raises(InvalidArgument, match=r"found none among n in n\.parquet"):
        release(tmp_path / "n.parquet", tmp_path / "out.parquet", recoder)


def hostile_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../out.png", "/root.png", "a\\..\\b.png", "good.png"):
            archive.writestr(name, SHOTS[0])
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        with archive.open("bomb.png", "w", force_zip64=True) as file:
            for _ in range(260):
                file.write(bytes(1 << 20))
    return path


def hostile_tar(path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for name in ("../out.png", "/root.png", "a\\..\\b.png", "good.png", "good.png"):
            facts = tarfile.TarInfo(name)
            facts.size = len(SHOTS[0])
            archive.addfile(facts, io.BytesIO(SHOTS[0]))
        for name, kind in (
            ("link.png", tarfile.SYMTYPE),
            ("hard.png", tarfile.LNKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
        ):
            facts = tarfile.TarInfo(name)
            facts.type, facts.linkname = kind, "/etc/passwd"
            archive.addfile(facts)
    return path


@pytest.mark.parametrize("make", [hostile_zip, hostile_tar])
def test_hostile_members_are_skipped_with_a_reason(
    make: Callable[[Path], Path], tmp_path: Path, recoder: SpectralRecoder, expected: list[bytes]
) -> None:
    src = make(tmp_path / f"in{make.__name__.replace('hostile_', '.')}")
    done = release(src, tmp_path / "deep" / "out", recoder)
    assert done.written == 1
    found = read_release(tmp_path / "deep" / "out")
    assert [entry.file for entry in found.entries] == ["good.png"]
    assert found.data(found.entries[0]) == expected[0]
    assert sorted(os.listdir(tmp_path)) == sorted([src.name, "deep"])
    reasons = {row.source: row.reason for row in read_ledger(done.ledger) if row.reason}
    for name in ("../out.png", "/root.png"):
        assert reasons[name] == "its name leads out of the archive"
    assert reasons["link.png"] == "it is a link"
    assert reasons.get("bomb.png", "it is larger than 256 MiB") == "it is larger than 256 MiB"
    assert reasons.get("pipe.png", "it is not a regular file") == "it is not a regular file"


def test_a_tar_that_unpacks_without_end(tmp_path: Path, recoder: SpectralRecoder) -> None:
    write_tar(tmp_path / "bomb.tgz", {"a.png": bytes(80 << 20)}, mode="w:gz")
    with pytest.raises(InvalidArgument, match="it unpacks to more than"):
        release(tmp_path / "bomb.tgz", tmp_path / "out", recoder)


def test_a_packed_release_that_was_touched(tmp_path: Path, recoder: SpectralRecoder) -> None:
    release(in_parquet(tmp_path / "src"), tmp_path / "out.parquet", recoder)
    made = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    made[2]["image"]["bytes"] = SHOTS[2]
    parquet.write_table(pa.Table.from_pylist(made, schema=table().schema), tmp_path / "out.parquet")
    held: Release = read_release(tmp_path / "out.parquet")
    with pytest.raises(ReleaseError, match="no row holds its bytes"):
        held.data(held.entries[2])
    shutil.copy(tmp_path / "src.parquet", tmp_path / "plain.parquet")
    with pytest.raises(ReleaseError, match="no release can be read here"):
        read_release(tmp_path / "plain.parquet")


def test_a_long_table_is_read_in_flat_memory(tmp_path: Path) -> None:
    """A row group is larger than what may be held of it."""
    block = [bytes([number % 251]) * (1 << 16) for number in range(1500)]
    parquet.write_table(
        pa.table({"image": pa.array(block)}),
        tmp_path / "long.parquet",
        use_dictionary=False,
        write_batch_size=32,
    )
    source = opened(tmp_path / "long.parquet", WANTED)
    before = pa.total_allocated_bytes()
    most = 0
    for number, name in enumerate(source.names):
        assert source.data(name) == block[number]
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < sum(map(len, block)) // 2
    assert source.data(source.names[3]) == block[3]
