"""Of every kind of data alike: workers, resuming, a lying disk, a second strength, reading back."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from catch11.data.tables import Table, read_table
from catch11.errors import InvalidArgument, KeyMismatch, ReleaseError
from catch11.modalities.table.form import Sheet
from catch11.releases.engine import release
from catch11.releases.form import form_of
from catch11.releases.ledger import read_ledger
from catch11.releases.read import Release, read_release
from tests.calls import run
from tests.releases.worlds import WORLDS, World

Tree = Callable[[Path], dict[str, bytes]]
FILES = {"pictures": 5, "sounds": 4, "tables": 4, "texts": 13}


@pytest.fixture(scope="module", params=WORLDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def world(kind: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    return WORLDS[kind](tmp_path_factory.mktemp(kind) / "world")


@pytest.fixture(scope="module")
def out(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dst = tmp_path_factory.mktemp("out") / "dst"
    release(world.source, dst, world.recoder, **world.beside)
    return dst


def test_bytes_do_not_depend_on_workers(
    world: World, out: Path, tmp_path: Path, tree: Tree, kind: str
) -> None:
    ticks: list[tuple[int, int, str]] = []
    done = release(
        world.source, tmp_path / "dst", world.recoder, workers=3, **world.beside,
        progress=lambda *facts: ticks.append(facts),
    )  # fmt: skip
    assert (done.written, done.withheld) == (FILES[kind], 0)
    assert done.skipped >= 1
    assert tree(tmp_path / "dst") == tree(out)
    books = [Path(f"{dst}.ledger.jsonl").read_bytes() for dst in (out, tmp_path / "dst")]
    assert books[0] == books[1]
    assert [done for done, *_ in ticks] == list(range(1, ticks[0][1] + 1))


def test_a_finished_release_is_left_alone_and_a_lost_file_made_again(
    world: World, tmp_path: Path, tree: Tree, kind: str
) -> None:
    dst = tmp_path / "dst"
    release(world.source, dst, world.recoder, **world.beside)
    before = tree(dst)
    assert release(world.source, dst, world.recoder, **world.beside).reused == FILES[kind]
    entry = read_release(dst).entries[1]
    (dst / entry.file).write_bytes(b"x")
    done = release(world.source, dst, world.recoder, **world.beside)
    assert (done.written, done.reused) == (1, FILES[kind] - 1)
    assert tree(dst) == before


def test_a_disk_that_lies_is_noticed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        data = real(self)
        return data[:-1] if self.parent.name == ".catch11" else data

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(ReleaseError, match="the file read back differs from what was written"):
        release(world.source, tmp_path / "dst", world.recoder, **world.beside)
    assert not read_release(tmp_path / "dst").entries


def test_a_form_that_does_not_read_back_is_noticed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    form = type(read_release(out).form)
    monkeypatch.setattr(form, "intact", lambda self, data, meant, canvas: False)
    with pytest.raises(ReleaseError, match="the file read back differs from what was written"):
        release(world.source, tmp_path / "dst", world.recoder, **world.beside)


def test_a_second_strength_is_refused_before_anything_is_written(
    world: World, out: Path, tmp_path: Path
) -> None:
    book = Path(f"{out}.ledger.jsonl")
    before = book.read_bytes()
    with pytest.raises(ReleaseError, match=r"two strengths of one (picture|sound|row|document) "):
        release(world.source, tmp_path / "dst", world.again(), ledger=book, **world.beside)
    assert book.read_bytes() == before
    assert not (tmp_path / "dst").exists()


def test_every_file_is_read_through_one_door(out: Path, kind: str) -> None:
    held = read_release(out)
    assert len(held) == FILES[kind]
    assert held.complete
    assert held.form is form_of(held.form.name)
    assert held.modality == {"pictures": "image", "sounds": "audio", "tables": "table", "texts": "text"}[kind]  # fmt: skip
    for entry in held.entries:
        assert held.form.same(_meant(held, held.item(entry)), held.item(entry))
    windows: list[Callable[[], object]] = [
        lambda: held.windows(held.entries[:1]), lambda: held.picture(held.entries[0]),
    ]  # fmt: skip
    for see in windows if kind in ("tables", "texts") else ():
        with pytest.raises(ReleaseError, match="file, which holds no picture or sound"):
            see()


def _meant(held: Release, item: object) -> object:
    """A table is written as a sheet, which holds more; everything else as it is read."""
    if held.modality != "table":
        return item
    assert isinstance(item, Table)
    names = held.facts["columns"]
    values, _ = item.numbers(names)
    return Sheet(table=item, names=names, values=values, whole=[False] * len(names), left_out={})


def test_inspect_of_a_release(out: Path, kind: str) -> None:
    status, text = run("inspect", out, "--json", "-")
    assert status == 0, text
    facts = json.loads(text[text.index("{") :])
    assert facts["files"] == FILES[kind]
    assert facts["complete"]
    assert facts["modality"] == read_release(out).modality
    status, text = run("inspect", out)
    assert status == 0
    assert "holds for every line and file" in text


def test_opaque_names_are_listed_in_an_order_of_their_own(
    world: World, tmp_path: Path, kind: str
) -> None:
    release(world.source, tmp_path / "dst", world.recoder, names="opaque", **world.beside)
    held = read_release(tmp_path / "dst")
    suffix = held.form.suffix
    assert all(len(entry.file) == 32 + len(suffix) for entry in held.entries)
    if kind == "texts":  # by the number of tokens, which the files show
        lengths = [len(held.item(entry).embeds) for entry in held.entries]
        assert lengths == sorted(lengths)
        rows = zip(lengths, held.entries, strict=True)
        for _, same in itertools.groupby(rows, key=lambda row: row[0]):
            files = [entry.file for _, entry in same]
            assert files == sorted(files)
    else:
        assert [e.file for e in held.entries] == sorted(e.file for e in held.entries)


def test_what_means_nothing_to_a_kind_is_refused(world: World, tmp_path: Path, kind: str) -> None:
    wrong = {"most": 3} if kind != "texts" else {"read": lambda data, path, canvas: data}
    with pytest.raises(InvalidArgument, match=r"expected none for a \w+, found some"):
        release(world.source, tmp_path / "dst", world.recoder, **{**world.beside, **wrong})
    with pytest.raises(InvalidArgument, match=r"format: expected .*, as the recoder was made"):
        release(world.source, tmp_path / "dst", world.recoder, format="none", **world.beside)
    assert not (tmp_path / "dst").exists()


@pytest.mark.parametrize("name", ["tables", "texts"])
def test_the_model_is_the_one_of_the_key(name: str, tmp_path: Path) -> None:
    world = WORLDS[name](tmp_path / "world")
    rest = {k: v for k, v in world.beside.items() if k not in ("model", "check")}
    if name == "texts":  # the recoder of tables has it
        with pytest.raises(InvalidArgument, match="model: expected the model, wh"):
            release(world.source, tmp_path / "dst", world.recoder, **rest)
    other = replace(world.beside["model"], fingerprint="0" * 64)
    with pytest.raises(KeyMismatch, match="the key was built from another model"):
        release(world.source, tmp_path / "dst", world.recoder, model=other, **rest)
    done = release(
        world.source, tmp_path / "dst", world.recoder, check=world.beside["model"], **rest
    )
    assert done.written == FILES[name]


def test_parts_are_in_the_ledger_before_their_table(tmp_path: Path) -> None:
    world = WORLDS["tables"](tmp_path / "world")
    done = release(world.source, tmp_path / "dst", world.recoder, **world.beside)
    assert done.counts == {"rows": 11, "rows_withheld": 1}
    rows = [row.source for row in read_ledger(done.ledger)]
    assert rows[rows.index("b.csv") - 3 : rows.index("b.csv") + 1] == [
        "b.csv#1", "b.csv#2", "b.csv#3", "b.csv",
    ]  # fmt: skip
    by = {row.source: row for row in read_ledger(done.ledger)}
    assert by["b.csv#2"].outcome == "withheld"
    assert by["bad.csv"].outcome == "skipped"


def test_rows_with_another_answer_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = WORLDS["tables"](tmp_path / "world")

    def noise(self: object, rows: Tensor, streams: list[Any]) -> tuple[Tensor, list[None]]:
        made = [3.0 * stream.normal((rows.shape[1],)).double() for stream in streams]
        return torch.stack(made), [None] * len(rows)

    monkeypatch.setattr(type(world.recoder), "run", noise)
    done = release(world.source, tmp_path / "dst", world.recoder, **world.beside)
    assert done.written > 0
    assert done.counts["rows_withheld"] > 1
    rows = {row.source: row for row in read_ledger(done.ledger)}
    held, model = read_release(tmp_path / "dst"), world.beside["model"]
    for entry in held.entries:
        assert entry.agreement
        released = read_table(world.source / entry.file)
        clean, _ = released.numbers(model.names)
        made, _ = held.item(entry).numbers(model.names)
        kept = [i for i in range(3) if rows[f"{entry.file}#{i + 1}"].outcome == "released"]
        assert len(made) == len(kept)
        assert held.item(entry).column(0) == [f"row {i}" for i in kept]
        answers = [model.logits(model.standardise(v)).argmax(1) for v in (clean[kept], made)]
        assert torch.equal(*answers)
    assert any("the authorized model answers" in row.reason for row in rows.values())
