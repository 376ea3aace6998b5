"""Documents from outside, and GLUE's files: what is read, what is refused, what is measured."""

from pathlib import Path

import pytest

from catch11.data.texts import MAX_BYTES, read_documents
from catch11.errors import InvalidArgument, MissingExtra
from catch11.studies.tasks.glue import TASKS, chance, load_glue, measure


def test_lines_are_documents_and_empty_ones_problems(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n  two  \n\t\nthree")
    found = read_documents(tmp_path / "a.txt")
    assert [d.text for d in found.items] == ["one", "two", "three"]
    assert found.problems == (("row0000002", "it is empty"), ("row0000004", "it is empty"))


@pytest.mark.parametrize("inside", ["\f", "\u2028", "\x85", "\x1c", "\v"])
def test_only_line_ends_end_a_line(tmp_path: Path, inside: str) -> None:
    (tmp_path / "a.txt").write_bytes(f"a{inside}b\r\nc\rd\n".encode())
    assert [d.text for d in read_documents(tmp_path / "a.txt").items] == [f"a{inside}b", "c", "d"]
    (tmp_path / "a.csv").write_bytes(f"text,score\r\na{inside}b,1\r\n".encode())
    found = read_documents(tmp_path / "a.csv", columns=["text"], target="score")
    assert [d.text for d in found.items] == [f"a{inside}b"]
    assert found.targets == {"row0000001": "1"}
    (tmp_path / "a.tsv").write_bytes(f"text\tscore\r\na{inside}b\t1\rc\t2\n".encode())
    found = read_documents(tmp_path / "a.tsv", columns=["text"], target="score")
    assert [d.text for d in found.items] == [f"a{inside}b", "c"]
    assert list(found.targets.values()) == ["1", "2"]


def test_a_folder_gives_a_document_a_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_text("one\ntwo")
    (tmp_path / "y.TXT").write_text("three")
    (tmp_path / "z.png").write_bytes(b"\x89PNG")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    found = read_documents(tmp_path)
    assert {d.name: d.text for d in found.items} == {"b/x.txt": "one\ntwo", "y.TXT": "three"}
    reasons = dict(found.problems)
    assert reasons["z.png"] == "it is no .txt file"
    assert "expected UTF-8" in reasons["latin.txt"]
    assert reasons["nul.txt"] == "it is binary"


def test_columns_of_a_table_are_documents_or_pairs(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('first,second,score\n"a, b",c,1.5\nd,,2\ne\n')
    two = read_documents(path, columns=["first", "second"], target="score")
    assert [(d.name, d.text) for d in two.items] == [
        ("row0000001/first", "a, b"), ("row0000001/second", "c"), ("row0000002/first", "d"),
    ]  # fmt: skip
    assert two.targets == {"row0000001": "1.5", "row0000002": "2"}
    assert dict(two.problems) == {
        "row0000002/second": "it is empty",
        "row0000003": "it has 1 cells",
    }
    joined = read_documents(path, columns=["first", "second"], joined=True)
    assert [(d.text, d.pair) for d in joined.items] == [("a, b", "c")]


def test_a_row_of_other_cells_than_columns_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('score,text\n1,"so, he said"\n2,so, he said\n3\n')
    found = read_documents(path, columns=["text"])
    assert [d.text for d in found.items] == ["so, he said"]
    assert dict(found.problems) == {"row0000002": "it has 3 cells", "row0000003": "it has 1 cells"}


def test_an_open_quote_is_refused_and_swallows_no_document(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('score,text\n1,"Yes, he said it\n0,a second\n')
    with pytest.raises(InvalidArgument, match=r"row 2 is no row of a CSV \(unexpected end"):
        read_documents(path, columns=["text"])


def test_a_table_without_header_is_read_by_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('it "is\t1\nso\t0\n')  # in a TSV quotes are characters
    found = read_documents(path, columns=["1"], target="2")
    assert [d.text for d in found.items] == ['it "is', "so"]
    assert list(found.targets.values()) == ["1", "0"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((), r"--column: expected one of a, b, found none"),
        (("c",), r"--column: expected one of a, b, found c"),
    ],
)
def test_a_column_must_be_named(tmp_path: Path, columns: tuple[str, ...], message: str) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidArgument, match=message):
        read_documents(tmp_path / "a.csv", columns=columns)


HOSTILE = {
    "empty.csv": (b"", "a table with rows"),
    "wide.csv": (b"a\n" + b"x" * (1 << 21), "a CSV"),
    "latin.csv": (b"a\ncaf\xe9\n", "UTF-8"),
    "open.csv": (b'score,a\n1,"open\n0,second\n', r"row 2 is no row of a CSV \(unexpected end"),
    "nothing.txt": (None, "a file or folder of texts"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables_are_one_sentence(tmp_path: Path, name: str) -> None:
    data, words = HOSTILE[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidArgument, match=words):
        read_documents(tmp_path / name, columns=["a"] if name.endswith("csv") else [])


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidArgument, match="at most 256 MiB"):
        read_documents(tmp_path / "a.txt")


def test_columns_belong_to_tables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    with pytest.raises(InvalidArgument, match=r"--column: expected a \.csv or \.tsv"):
        read_documents(tmp_path / "a.txt", columns=["x"])


GLUE = {
    "sst2": ("sst2/dev.tsv", "good film\t1\nbad film\t0\n", (1.0, 0.0), 0.5),
    "cola": ("cola/in_domain_dev.tsv", "x\t1\t\tYes it is.\nx\t0\t*\tIs yes it.\n", (1.0, 0.0), 0.0),
    "rte": ("rte/dev.tsv", "index\ts1\ts2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n", (0.0, 1.0), 0.5),
    "stsb": ("stsb-en-dev.csv", '"a, b",c,2.5\nd,e,5\nf,g,1\nh,i,0\n', (2.5, 5.0, 1.0, 0.0), 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", GLUE)
def test_glue_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    file, text, labels, floor = GLUE[name]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    found = load_glue(name, "dev", folder=tmp_path)
    assert found.labels == labels
    assert len(found.first) == len(labels)
    assert (found.second is None) == (TASKS[name].second is None)
    assert chance(found.task, found.labels) == floor
    assert measure(found.task, found.labels, found.labels).estimate == pytest.approx(1.0)
    assert len(found.some(1)) == 1


def test_f1_is_that_of_the_positive_class() -> None:
    task = TASKS["mrpc"]
    assert measure(task, [1, 1, 0, 0], [1, 0, 1, 0]).estimate == 0.5
    assert chance(task, [1.0, 0.0]) == pytest.approx(2 / 3)
    assert measure(task, [1, 0], [1, 1], metric="accuracy").estimate == 0.5


@pytest.mark.parametrize(
    ("task", "split", "text", "message"),
    [
        ("sst2", "dev", "good\t2\n", r"dev\.tsv line 1: expected one of 0, 1, found 2"),
        ("sst2", "dev", "good\n", r"line 1: expected 2 cells, found 1"),
        ("sst2", "validation", "", "split: expected one of train, dev, test"),
        ("imdb", "dev", "", "task: expected one of sst2"),
        ("rte", "dev", "", r"folder: expected the file rte/dev\.tsv"),
    ],
)
def test_glue_refusals(tmp_path: Path, task: str, split: str, text: str, message: str) -> None:
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "dev.tsv").write_text(text)
    with pytest.raises(InvalidArgument, match=message):
        load_glue(task, split, folder=tmp_path)


def test_without_files_the_datasets_package_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtra, match="datasets"):
        load_glue("sst2", "dev")


@pytest.mark.real
def test_real_glue_files(assets: Path) -> None:
    counts = {"sst2": 872, "cola": 527, "rte": 277, "stsb": 1500}
    for name, count in counts.items():
        assert len(load_glue(name, "dev", folder=assets / "text")) == count
