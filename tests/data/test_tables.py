"""Tables from outside: what is read, what is kept as it was, what is refused."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from catch11.data.tables import Table, decode_table, encode_table, read_table
from catch11.errors import UnreadableTable

TEXT = b'id,age,note,"blood, sugar"\r\n7,41,"a ""b""\nc",1.5\r\n8,  ,x,nan\r\n9,44,,1e2\r\n'
WANTED = ("age", "blood, sugar")


def read(data: bytes, name: str = "a.csv") -> Table:
    return decode_table(data, path=name)


def test_gaps_are_told_by_row_and_numbers_are_exact() -> None:
    table = read(TEXT)
    values, gaps = table.numbers(WANTED)
    np.testing.assert_array_equal(values[[0, 2]], [[41.0, 1.5], [44.0, 100.0]])
    assert gaps == {1: "column 'age' holds nothing"}


def test_other_cells_are_written_as_they_were() -> None:
    table = read(TEXT)
    values = np.array([[0.1, 1 / 3], [np.nan, np.nan], [-2.6, 1e-17]])
    kept = np.array([True, False, True])
    data = encode_table(table, WANTED, values, kept=kept, whole=[True, False])
    again = read(data)
    assert again.names == table.names
    assert again.cells[0] == ("7", "0", 'a "b"\nc', repr(1 / 3))
    assert again.cells[1] == ("9", "-3", "", "1e-17")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(separator: str, end: str) -> None:
    lines = [separator.join(cells) for cells in (["a", "b"], ["1", "2"])]
    table = read(end.join(lines).encode())
    assert table.numbers(["b"])[0].tolist() == [[2.0]]
    data = encode_table(table, ["b"], np.array([[3.0]]), kept=np.array([True]), whole=[False])
    assert data.decode() == f"a{separator}b\n1{separator}3.0\n"


CELLS = ["", " ", "abc", "nan", "inf", "-inf", "1_000", "1,5", "0x10", "None", "True", "--1"]


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_no_number(cell: str) -> None:
    table = Table(names=("a",), cells=((cell,), ("1",)))
    values, gaps = table.numbers(["a"])
    assert list(gaps) == [0]
    assert np.isnan(values[0, 0])
    assert values[1, 0] == 1.0


HOSTILE = {
    "empty": (b"", "it is empty"),
    "one line": (b"a,b\n", "no rows below"),
    "blank lines": (b"\n\n\n", "it is empty"),
    "ragged": (b"a,b\n1,2\n3\n", "row 3 has 1 cells, and 2 columns are named"),
    "too long": (b"a,b\n1,2,3\n", "row 2 has 3 cells, and 2 columns are named"),
    "latin": ("naïve,b\n1,2\n".encode("latin-1"), "not UTF-8"),
    "zeros": (b"a,b\n1,\0\n", "not a text file"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
    "one long cell": (b"a\n" + b"x" * 200_000, "field larger"),
    "open quote": (b'a,b\n1,ok\n2,"open\n3,ok\n', r"row 3 is no row of a CSV \(unexpected end"),
    "after a quote": (b'a,b\n1,"x"y\n', "row 2 is no row of a CSV"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_clause(name: str, tmp_path: Path) -> None:
    data, match = HOSTILE[name]
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(UnreadableTable, match=match):
        read_table(tmp_path / "a.csv")


def test_missing_and_double_columns() -> None:
    with pytest.raises(ValueError, match="the column 'weight' is missing"):
        read(TEXT).numbers(["weight"])
    with pytest.raises(ValueError, match="'a' stands there 2 times"):
        read(b"a,a\n1,2\n").numbers(["a"])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_every_double_survives_the_file(numbers: list[float]) -> None:
    table = Table(names=("a", "b"), cells=tuple(("0", "x") for _ in numbers))
    values = np.array(numbers)[:, None]
    kept = np.ones(len(numbers), bool)
    data = encode_table(table, ["a"], values, kept=kept, whole=[False])
    assert read(data).numbers(["a"])[0][:, 0].tolist() == numbers


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_table_or_a_sentence(data: bytes) -> None:
    for name in ("a.csv", "a.parquet"):
        try:
            table = read(data, name)
        except UnreadableTable:
            continue
        assert len(table) > 0


def test_parquet_keeps_order_types_and_other_columns() -> None:
    stream = BytesIO()
    parquet.write_table(
        pyarrow.table(
            {
                "when": pyarrow.array([1, 2, 3], pyarrow.timestamp("s")),
                "count": pyarrow.array([4, 5, None], pyarrow.int32()),
                "name": pyarrow.array(["x", None, "z"]),
                "size": pyarrow.array([0.5, 1.5, 2.5], pyarrow.float32()),
                "flag": pyarrow.array([True, False, True]),
            }
        ),
        stream,
    )
    table = read(stream.getvalue(), "a.parquet")
    gaps = table.numbers(["size", "count"])[1]
    assert list(gaps) == [2]
    assert table.numbers(["flag"])[1].keys() == {0, 1, 2}
    made = np.array([[9.25, 7.4], [8.0, -3.0], [np.nan, np.nan]])
    kept = np.array([True, True, False])
    data = encode_table(table, ["size", "count"], made, kept=kept, whole=[False, True])
    again = read(data, "a.parquet").arrow
    assert again.column_names == ["when", "count", "name", "size", "flag"]
    kinds = [str(field.type) for field in again.schema]
    assert kinds == ["timestamp[ms]", "int32", "string", "double", "bool"]
    assert again.column("count").to_pylist() == [7, -3]
    assert again.column("size").to_pylist() == [9.25, 8.0]
    assert again.column("name").to_pylist() == ["x", None]


def noted(kind: str, **facts: None) -> dict[str, object]:
    """What pandas writes of a frame whose index is a column that a model reads."""
    age = {"name": None, "field_name": "age", "pandas_type": kind, "numpy_type": kind, **facts}
    return {"index_columns": ["age"], "columns": [age, {"name": "id", "numpy_type": "Int64"}]}


@pytest.mark.parametrize(
    ("kind", "left"), [("int8", "int64"), ("uint16", "uint16"), ("uint8", "int64")]
)
def test_whole_numbers_beyond_a_narrow_type_widen_it(kind: str, left: str) -> None:
    stream = BytesIO()
    parquet.write_table(pyarrow.table({"age": pyarrow.array([40, 50], kind)}), stream)
    table, kept = read(stream.getvalue(), "a.parquet"), np.ones(2, bool)
    made = np.array([[437.85], [3.0 if kind == "uint16" else -1.0]])
    again = read(encode_table(table, ["age"], made, kept=kept, whole=[True]), "a.parquet").arrow
    assert str(again.schema.field("age").type) == left
    assert again.column("age").to_pylist() == made[:, 0].round().tolist()


@pytest.mark.parametrize(
    ("pandas", "left"),
    [
        (json.dumps(noted("Int64")), noted("float64", metadata=None)),
        ("{}", None),
        ('{"columns": [1]}', None),
        ("[" * 100_000, None),
        (None, None),
    ],
    ids=lambda text: str(text)[:9],
)
def test_pandas_is_not_sent_after_a_type_that_is_gone(pandas: str | None, left: object) -> None:
    stream = BytesIO()
    arrow = pyarrow.table({"age": [40, 50], "id": [1, 2]})
    beside = {b"by": b"x"} if pandas is None else {b"by": b"x", b"pandas": pandas.encode()}
    parquet.write_table(arrow.replace_schema_metadata(beside), stream)
    table = read(stream.getvalue(), "a.parquet")
    values, kept = np.array([[0.5], [1.5]]), np.ones(2, bool)
    data = encode_table(table, ["age"], values, kept=kept, whole=[False])
    facts = read(data, "a.parquet").arrow.schema.metadata
    assert facts[b"by"] == b"x"
    assert (json.loads(facts[b"pandas"]) if b"pandas" in facts else None) == left


def test_a_parquet_file_that_is_none() -> None:
    with pytest.raises(UnreadableTable, match="no Parquet file"):
        read(b"PAR1 no", "a.parquet")


def test_a_parquet_bomb_is_refused_by_what_it_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MiB of zeros as a column of one byte, and a page that unpacks to more than is allowed: neither is read."""
    from catch11.data import tables

    def packed(count: int) -> bytes:
        stream = BytesIO()
        column = pyarrow.array(np.zeros(count, dtype=np.int8))
        parquet.write_table(pyarrow.table({"a": column}), stream)
        return stream.getvalue()

    monkeypatch.setattr(parquet, "read_table", None)
    with pytest.raises(UnreadableTable, match="states more than 16777216 cells"):
        decode_table(packed((1 << 24) + 1), path="a.parquet")
    monkeypatch.setattr(tables, "_UNPACKED", 10)
    with pytest.raises(UnreadableTable, match="unpacked"):
        decode_table(packed(1000), path="a.parquet")
