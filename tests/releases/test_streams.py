"""A data set that streams: the files of the same rows in one table, a list and a ledger a part, stopped and resumed."""

import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catch11.data.pictures import SUFFIXES
from catch11.data.stores.find import opened
from catch11.data.stores.frame import Wanted
from catch11.data.stores.streams import Stream
from catch11.errors import InvalidArgument, ReleaseError, SecondStrength
from catch11.keys.key import Key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release
from catch11.releases.whole import release
from tests.releases.worlds import WORLDS, shot

hub = pytest.importorskip("datasets", reason="needs the extra datasets")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra tables")

Tree = Callable[[Path], dict[str, bytes]]
COUNT, ROWS = 7, 3
NAMES = ["x", "y", "z"]
WANTED = Wanted(suffixes=SUFFIXES)
SHOTS = [shot(number) for number in range(COUNT)]


def features(**more: Any) -> Any:
    """Labels on both sides of the picture, and a column that is empty at first."""
    note, label = hub.Value("string"), hub.ClassLabel(names=NAMES)
    return hub.Features({"note": note, "image": hub.Image(), "label": label, **more})


def row(number: int, data: bytes | None = None) -> dict[str, Any]:
    note = None if number < ROWS else f"note {number}"
    cell = {"bytes": data or SHOTS[number], "path": f"{number}.jpg"}
    return {"note": note, "image": cell, "label": number % 3}


class Rows:
    """A stream of rows. made: the rows that were asked of it. breaks: at which it raises. bad: what is no picture."""

    def __init__(self, count: int = COUNT, *, breaks: int = -1, bad: int = -1) -> None:
        self.count, self.breaks, self.bad = count, breaks, bad
        self.made: list[int] = []

    def __call__(self) -> Iterator[dict[str, Any]]:
        for number in range(self.count):
            if number == self.breaks:
                raise OSError("the line is dead; token=hidden")
            self.made.append(number)
            yield row(number, b"no picture" if number == self.bad else None)

    def stream(self) -> Any:
        return hub.IterableDataset.from_generator(self, features=features())


def stream(count: int = COUNT, **given: int) -> Any:
    return Rows(count, **given).stream()


def tables(dst: Path) -> list[Any]:
    return [parquet.read_table(path) for path in sorted(dst.glob("*.parquet"))]


def released(dst: Path) -> list[dict[str, Any]]:
    """Its rows, part after part."""
    return [one for table in tables(dst) for one in table.to_pylist()]


def test_files_are_those_of_the_same_rows_in_one_table(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    hub.Dataset.from_list([row(n) for n in range(COUNT)], features=features()).to_parquet(
        tmp_path / "all.parquet"
    )
    release(tmp_path / "all.parquet", tmp_path / "whole.parquet", recoder)
    done = release(stream(), tmp_path / "parts", recoder, rows=ROWS)
    assert (done.written, done.reused, done.skipped) == (COUNT, 0, 0)
    assert (
        released(tmp_path / "parts") == parquet.read_table(tmp_path / "whole.parquet").to_pylist()
    )
    assert [len(table) for table in tables(tmp_path / "parts")] == [3, 3, 1]


def test_columns_labels_and_order_stay(tmp_path: Path, recoder: SpectralRecoder) -> None:
    release(stream(), tmp_path / "out", recoder, rows=ROWS)
    made = released(tmp_path / "out")
    assert [list(one) for one in made] == [["note", "image", "label"]] * COUNT
    for name in ("note", "label"):
        assert [one[name] for one in made] == [row(n)[name] for n in range(COUNT)]
    assert all(one["image"]["bytes"] not in SHOTS for one in made)
    assert [one["image"]["path"] for one in made] == [f"{n}.png" for n in range(COUNT)]
    for table in tables(tmp_path / "out"):
        assert hub.Features.from_arrow_schema(table.schema) == features()
    again = hub.load_dataset(
        "parquet", data_files=str(tmp_path / "out" / "*.parquet"), split="train", streaming=True,
        cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    assert again.features == features()
    assert [one["label"] for one in again] == [n % 3 for n in range(COUNT)]


def test_each_part_has_its_list_and_ledger(tmp_path: Path, recoder: SpectralRecoder) -> None:
    done = release(stream(), tmp_path / "out", recoder, rows=ROWS)
    parts = [f"part_{number:06}" for number in range(3)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"{part}.parquet{tail}" for part in parts for tail in ("", ".manifest.jsonl")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.ledger"]
    assert done.ledger == tmp_path / "out.ledger"
    for part, count in zip(parts, (3, 3, 1), strict=True):
        book = read_ledger(tmp_path / "out.ledger" / f"{part}.jsonl")
        assert [one.source for one in book] == [f"{n:09}" for n in range(count)]
    held = read_release(tmp_path / "out")
    assert [one.file.split("/")[0] for one in held.entries] == [parts[n // 3] for n in range(COUNT)]


@pytest.mark.parametrize("to", ["arrow", "datasets"])
def test_other_stores(to: str, tmp_path: Path, recoder: SpectralRecoder) -> None:
    release(stream(), tmp_path / "plain", recoder, rows=ROWS)
    done = release(stream(), tmp_path / "out", recoder, rows=ROWS, to=to)
    again = release(stream(), tmp_path / "out", recoder, rows=ROWS, to=to)
    assert (done.written, again.written, again.reused) == (COUNT, 0, COUNT)
    source = opened(tmp_path / "out", WANTED)
    made = [source.data(name) for name in source.names]
    assert made == [one["image"]["bytes"] for one in released(tmp_path / "plain")]
    source.close()
    if to == "datasets":
        parts = hub.load_from_disk(str(tmp_path / "out"))
        assert [len(part) for part in parts.values()] == [3, 3, 1]
        assert all(part.features == features() for part in parts.values())
        assert [n for part in parts.values() for n in part["label"]] == [n % 3 for n in range(7)]


def test_a_data_set_in_hand(tmp_path: Path, recoder: SpectralRecoder) -> None:
    whole = hub.Dataset.from_list([row(n) for n in range(COUNT)], features=features())
    release(stream(), tmp_path / "streamed", recoder, rows=ROWS)
    release(whole, tmp_path / "held", recoder, rows=ROWS)
    assert released(tmp_path / "held") == released(tmp_path / "streamed")
    release(whole.select([5, 2]), tmp_path / "two", recoder, rows=ROWS)
    both = released(tmp_path / "held")
    assert released(tmp_path / "two") == [both[5], both[2]]


def test_finished_parts_are_not_read_again(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    source = hub.Dataset.from_list([row(n) for n in range(COUNT)], features=features())
    source.to_parquet(tmp_path / "all.parquet")
    release(source, tmp_path / "out", recoder, rows=ROWS)
    before = tree(tmp_path / "out") | tree(tmp_path / "out.ledger")
    held = Stream(source, rows=ROWS)
    asked: list[int] = []
    part = Stream.part

    def counted(self: Stream, number: int) -> Any:
        asked.append(number)
        return part(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stream, "part", counted)
        done = release(source, tmp_path / "out", recoder, rows=ROWS)
    assert asked == [2, 3], "the last part alone may have grown"
    assert (done.written, done.reused) == (0, COUNT)
    assert tree(tmp_path / "out") | tree(tmp_path / "out.ledger") == before
    assert held.part(1)["label"].to_pylist() == [0, 1, 2]


def test_a_stream_that_breaks_off_goes_on_to_the_same_bytes(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    release(stream(), tmp_path / "whole", recoder, rows=ROWS)
    with pytest.raises(ReleaseError) as caught:
        release(stream(breaks=5), tmp_path / "out", recoder, rows=ROWS)
    text = str(caught.value)
    assert "broke off behind row 3 (OSError)" in text
    assert "hidden" not in text
    assert len(released(tmp_path / "out")) == ROWS, "what is finished stands"
    assert read_release(tmp_path / "out").complete
    done = release(stream(), tmp_path / "out", recoder, rows=ROWS)
    assert (done.written, done.reused) == (COUNT - ROWS, ROWS)
    for tail in ("", ".ledger"):
        assert tree(tmp_path / f"out{tail}") == tree(tmp_path / f"whole{tail}")


STEP = 1 if os.environ.get("CATCH11_LONG") else 23
# Forks a child for each stop, which kills itself at the n-th call that touches the disk.
SCRIPT = """
    import os, signal, sys, types
    from pathlib import Path
    tests = sys.modules["tests"] = types.ModuleType("tests")  # others install one of this name
    tests.__path__ = [str(Path("tests").resolve())]
    from tests.releases.test_streams import ROWS, stream
    from tests.releases.worlds import WORLDS
    from catch11.releases.whole import release

    root, number = Path(sys.argv[1]), 0
    recoder = WORLDS["pictures"](root / "photos").recoder
    def counted(real):
        def call(*args, **options):
            global number
            number += 1
            if number == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)
        return call
    for name in ("write", "fsync", "replace", "mkdir", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    for limit in range(3, 1000, int(sys.argv[2])):
        number, child = 0, os.fork()
        if not child:
            release(stream(), root / f"out{limit}", recoder, rows=ROWS)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if killed == 0:
            break
        assert killed == -signal.SIGKILL, killed
    print(limit)
"""


def script(text: str, *words: str) -> str:
    """What Python prints that is run on its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(text), *words],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_killed_anywhere_it_resumes_to_the_same_bytes(tmp_path: Path, tree: Tree) -> None:
    last = int(script(SCRIPT, str(tmp_path), str(STEP)))
    recoder = WORLDS["pictures"](tmp_path / "again").recoder
    whole = tree(tmp_path / f"out{last}"), tree(tmp_path / f"out{last}.ledger")
    stops = range(3, last, STEP)
    assert len(stops) > 4
    for limit in stops:
        out = tmp_path / f"out{limit}"
        release(stream(), out, recoder, rows=ROWS)
        assert (tree(out), tree(tmp_path / f"out{limit}.ledger")) == whole, limit


@pytest.mark.parametrize("torn", [b"", b'{"catch11":"led'])
def test_a_ledger_without_its_first_line_is_begun_anew(
    torn: bytes, tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    (tmp_path / "out.ledger").mkdir()
    (tmp_path / "out.ledger" / "part_000000.jsonl").write_bytes(torn)
    for name in ("out", "whole"):
        release(stream(), tmp_path / name, recoder, rows=ROWS)
    assert tree(tmp_path / "out.ledger") == tree(tmp_path / "whole.ledger")


def test_a_stream_that_grew_or_ends_with_a_part(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    done = release(stream(2 * ROWS), tmp_path / "out", recoder, rows=ROWS)
    assert (done.written, len(tables(tmp_path / "out"))) == (2 * ROWS, 2)
    release(stream(5), tmp_path / "more", recoder, rows=ROWS)
    grown = release(stream(), tmp_path / "more", recoder, rows=ROWS)
    assert (grown.written, grown.reused) == (2, 5)
    release(stream(), tmp_path / "whole", recoder, rows=ROWS)
    assert released(tmp_path / "more") == released(tmp_path / "whole")


def test_one_part(tmp_path: Path, recoder: SpectralRecoder) -> None:
    done = release(stream(), tmp_path / "out", recoder)
    assert done.written == COUNT
    assert [path.name for path in (tmp_path / "out.ledger").iterdir()] == ["part_000000.jsonl"]


def test_a_row_that_is_no_picture_is_left_out(tmp_path: Path, recoder: SpectralRecoder) -> None:
    done = release(stream(bad=4), tmp_path / "out", recoder, rows=ROWS)
    again = release(stream(bad=4), tmp_path / "out", recoder, rows=ROWS)
    assert (done.written, done.skipped) == (COUNT - 1, 1)
    assert (again.reused, again.skipped) == (COUNT - 1, 1)
    book = read_ledger(tmp_path / "out.ledger" / "part_000001.jsonl")
    assert [bool(one.reason) for one in book] == [False, True, False]
    notes = [one["note"] for one in released(tmp_path / "out")]
    assert notes == [row(n)["note"] for n in range(COUNT) if n != 4]


def test_pictures_that_are_only_named_are_fetched(tmp_path: Path, recoder: SpectralRecoder) -> None:
    (tmp_path / "one.png").write_bytes(SHOTS[0])
    cells = [{"bytes": None, "path": str(tmp_path / f"{name}.png")} for name in ("one", "none")]

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"image": cell, "label": 0} for cell in cells)

    kinds = hub.Features({"image": hub.Image(), "label": hub.Value("int64")})
    named = hub.IterableDataset.from_generator(rows, features=kinds)
    done = release(named, tmp_path / "out", recoder)
    release(stream(1), tmp_path / "plain", recoder)
    assert (done.written, done.skipped) == (1, 1)
    (made,), (plain,) = released(tmp_path / "out"), released(tmp_path / "plain")
    assert made["image"] == {"bytes": plain["image"]["bytes"], "path": "one.png"}


def test_a_stream_that_states_no_features(tmp_path: Path, recoder: SpectralRecoder) -> None:
    """As `map` gives it, and one of decoded pictures."""
    plain = stream().map(lambda one: {**one, "label": one["label"] + 1})
    assert plain.features is None
    release(plain, tmp_path / "out", recoder, rows=ROWS)
    release(stream(), tmp_path / "whole", recoder, rows=ROWS)
    made, whole = released(tmp_path / "out"), released(tmp_path / "whole")
    assert [one["image"]["bytes"] for one in made] == [one["image"]["bytes"] for one in whole]
    assert [one["label"] for one in made] == [n % 3 + 1 for n in range(COUNT)]


def test_two_columns_of_pictures(tmp_path: Path, recoder: SpectralRecoder) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from ({**row(n), "second": {"bytes": SHOTS[0], "path": None}} for n in range(COUNT))

    two = hub.IterableDataset.from_generator(rows, features=features(second=hub.Image()))
    with pytest.raises(InvalidArgument, match="image and second in the stream"):
        release(two, tmp_path / "out", recoder)
    assert not list(tmp_path.iterdir()), "nothing was written"
    for _ in range(2):
        release(two, tmp_path / "out", recoder, rows=ROWS, columns=["image"])
    release(stream(), tmp_path / "one", recoder, rows=ROWS)
    made = released(tmp_path / "out")
    assert [one.pop("second")["bytes"] for one in made] == [SHOTS[0]] * COUNT
    assert made == released(tmp_path / "one")
    with pytest.raises(InvalidArgument, match="note in the stream"):
        release(two, tmp_path / "other", recoder, columns=["note"])


def refused(data: Any, dst: Path | str, recoder: Any, **given: Any) -> str:
    with pytest.raises((InvalidArgument, ReleaseError)) as caught:
        release(data, dst, recoder, **given)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    out = tmp_path / "out"
    whole = hub.Dataset.from_list([row(0)], features=features())
    assert "at least one row" in refused(stream(0), out, recoder)
    assert "none among note, label" in refused(stream().remove_columns("image"), out, recoder)
    assert "of the splits train" in refused(hub.DatasetDict(train=whole), out, recoder)
    assert "at least 1, found 0" in refused(stream(), out, recoder, rows=0)
    assert "a folder" in refused(stream(), tmp_path / "out.parquet", recoder)
    for to in ("folder", "zip", "webdataset"):
        assert "parquet or arrow or datasets" in refused(stream(), out, recoder, to=to)
    assert "it is private" in refused(stream(), out, recoder, ledger=out / "books")
    assert "ledger" in refused(stream(), "memory://out", recoder)
    assert not list(tmp_path.iterdir())


def test_a_key_of_tables_is_refused(tmp_path: Path) -> None:
    world = WORLDS["tables"](tmp_path / "tables")
    assert "a file or a folder" in refused(stream(), tmp_path / "out", world.recoder)


def test_other_rows_or_settings_than_before_are_refused(
    tmp_path: Path, recoder: SpectralRecoder, key: Key
) -> None:
    out = tmp_path / "out"
    release(stream(), out, recoder, rows=ROWS)
    for rows in (2, 4):
        assert f"rows: expected 3, as part_000000 of the earlier run has, found {rows}" in refused(
            stream(), out, recoder, rows=rows
        )
    assert "ends before this part" in refused(stream(6), out, recoder, rows=ROWS)
    assert "already" in refused(stream(), out, recoder, rows=ROWS, resume=False)
    with pytest.raises(SecondStrength):
        release(stream(), out, SpectralRecoder(key, psnr=9.0), rows=ROWS)
    with pytest.raises(ReleaseError, match="names"):
        release(stream(), out, recoder, rows=ROWS, names="opaque")


def test_rows_in_another_order_than_before_are_refused(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    out = tmp_path / "out"
    rows = [row(n) for n in range(COUNT)]
    whole = hub.Dataset.from_list(rows, features=features())
    release(whole.to_iterable_dataset().shuffle(seed=3, buffer_size=COUNT), out, recoder, rows=ROWS)
    before = tree(out)
    for seed in (4, 5):
        other = whole.to_iterable_dataset().shuffle(seed=seed, buffer_size=COUNT)
        assert "its first row is not the stream's first" in refused(other, out, recoder, rows=ROWS)
    assert tree(out) == before
    same = whole.to_iterable_dataset().shuffle(seed=3, buffer_size=COUNT)
    assert release(same, out, recoder, rows=ROWS).reused == COUNT


@pytest.mark.parametrize("stated", [False, True])
def test_a_first_row_without_a_picture_stands(
    stated: bool, tmp_path: Path, recoder: SpectralRecoder
) -> None:
    rows = [row(n) for n in range(COUNT)]
    rows[0]["image"] = None
    given = hub.IterableDataset.from_generator(
        lambda: iter(rows), features=features() if stated else None
    )
    done = [release(given, tmp_path / "out", recoder, rows=ROWS) for _ in range(2)]
    assert [(one.written, one.reused, one.skipped) for one in done] == [
        (COUNT - 1, 0, 1),
        (0, COUNT - 1, 1),
    ]


def test_a_changed_list_does_not_pass_for_finished(
    tmp_path: Path, recoder: SpectralRecoder
) -> None:
    release(stream(), tmp_path / "out", recoder, rows=ROWS)
    path = tmp_path / "out" / "part_000000.parquet.manifest.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"file":"000000001', b'"file":"000000009'))
    assert "line 3 was changed" in refused(stream(), tmp_path / "out", recoder, rows=ROWS)


def test_a_part_that_is_gone_is_made_again(
    tmp_path: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    release(stream(), tmp_path / "out", recoder, rows=ROWS)
    before = tree(tmp_path / "out")
    (tmp_path / "out" / "part_000000.parquet").unlink()
    (tmp_path / "out" / "part_000000.parquet.manifest.jsonl").unlink()
    done = release(stream(), tmp_path / "out", recoder, rows=ROWS)
    assert (done.written, done.reused) == (ROWS, COUNT - ROWS)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("to", ["parquet", "datasets"])
def test_into_a_bucket(to: str, tmp_path: Path, recoder: SpectralRecoder, tree: Tree) -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    release(stream(), tmp_path / "plain", recoder, rows=ROWS, to=to)
    address: str = f"memory://stream/{to}"
    given: dict[str, Any] = {"ledger": tmp_path / "books", "rows": ROWS, "to": to}
    with pytest.raises(ReleaseError, match="broke off"):
        release(stream(breaks=5), address, recoder, **given)
    done = release(stream(), address, recoder, **given)
    assert (done.written, done.reused) == (COUNT - ROWS, ROWS)
    assert release(stream(), address, recoder, **given).reused == COUNT
    found = {name: files.cat_file(name) for name in files.find(f"/stream/{to}")}
    plain = tree(tmp_path / "plain")
    assert {name.removeprefix(f"/stream/{to}/"): data for name, data in found.items()} == plain
    files.rm("/stream", recursive=True)


MEMORY = """
    import resource, sys, types
    from pathlib import Path
    tests = sys.modules["tests"] = types.ModuleType("tests")  # others install one of this name
    tests.__path__ = [str(Path("tests").resolve())]
    from tests.releases.test_streams import grains
    from tests.releases.worlds import WORLDS
    from catch11.releases.whole import release

    root, count = Path(sys.argv[1]), int(sys.argv[2])
    recoder = WORLDS["pictures"](root / "photos").recoder
    recoder.domain.batch = 64
    release(grains(count), root / "out", recoder, rows=200)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def grains(count: int) -> Any:
    """A stream of noise, 100 x 100 pixels a picture."""

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 255, (100, 100, 3), dtype=np.uint8)
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "PNG")
            yield {"image": {"bytes": data.getvalue(), "path": None}}

    return hub.IterableDataset.from_generator(rows, features=hub.Features({"image": hub.Image()}))


@pytest.mark.skipif("CATCH11_LONG" not in os.environ, reason="minutes: CATCH11_LONG=1")
def test_memory_is_flat(tmp_path: Path) -> None:
    peaks = {}
    for count in (200, 1000, 2000):
        (tmp_path / str(count)).mkdir()
        peaks[count] = int(script(MEMORY, str(tmp_path / str(count)), str(count)))
        print(f"{count} rows, 200 a part: {peaks[count]} MiB")
    assert peaks[2000] < 1.1 * peaks[200]


def test_sounds(tmp_path: Path) -> None:
    world = WORLDS["sounds"](tmp_path / "sounds")
    names = ("a/1.wav", "a/2.wav", "bad.wav", "b.wav")
    cells = [{"bytes": (world.source / name).read_bytes(), "path": name} for name in names]

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"audio": cell, "n": n} for n, cell in enumerate(cells))

    kinds = hub.Features({"audio": hub.Audio(), "n": hub.Value("int64")})
    heard = hub.IterableDataset.from_generator(rows, features=kinds)
    done = release(heard, tmp_path / "out", world.recoder, rows=2)
    folder = release(world.source, tmp_path / "folder", world.recoder)
    assert (done.written, done.skipped) == (3, 1)
    assert folder.written
    made = {one["n"]: one["audio"]["bytes"] for one in released(tmp_path / "out")}
    for n, name in ((0, "a/1.wav"), (1, "a/2.wav"), (3, "b.wav")):
        assert made[n] == (tmp_path / "folder" / name).read_bytes()
