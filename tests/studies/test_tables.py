"""A pivot at any width shows every cell whole."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from catch11.studies.tables import Pivot

WORD = st.text("abcdefgh:%.5", min_size=1, max_size=12)
Rows = dict[tuple[str, ...], dict[str, str]]


def _printed(pivot: Pivot, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(pivot)
    return console.file.getvalue()  # type: ignore[attr-defined]


@given(
    columns=st.lists(WORD, min_size=1, max_size=9, unique=True),
    names=st.lists(st.tuples(WORD, WORD), min_size=1, max_size=5, unique=True),
    width=st.integers(50, 200),
)
def test_no_width_loses_a_cell(
    columns: list[str], names: list[tuple[str, str]], width: int
) -> None:
    cells = {(n, c): f"<{i}, {j}>" for i, n in enumerate(names) for j, c in enumerate(columns)}
    rows: Rows = {n: {c: cells[n, c] for c in columns} for n in names}
    text = _printed(Pivot(heads=("for", "by"), columns=tuple(columns), rows=rows), width)
    assert all(text.count(cell) == 1 for cell in cells.values())
    assert all(len(line.rstrip()) <= width for line in text.splitlines())


def test_columns_that_do_not_fit_stand_below() -> None:
    """Rows that have nothing of the columns shown are left out there, and come where they have."""
    columns = tuple(f"column {i}" for i in range(6))
    rows: Rows = {
        ("a", "x"): dict.fromkeys(columns, ".50 [.40, .60]"),
        ("b", "y"): {"column 5": "only"},
    }
    pivot = Pivot(heads=("for", "by"), columns=columns, rows=rows, caption="what it is")
    wide, narrow = (_printed(pivot, width) for width in (200, 45))
    assert wide.count("by") == 1
    assert narrow.count("by") == 3
    assert wide.count("only") == narrow.count("only") == 1
    assert sum(line.startswith("b") for line in narrow.splitlines()) == 1
    assert narrow.rstrip().endswith("what it is")


def test_labels_that_repeat_are_left_out_anew_in_each_table() -> None:
    rows: Rows = {
        ("a", "x"): {"one": "1", "two": "2" * 40},
        ("a", "y"): {"one": "3", "two": "4" * 40},
    }
    text = _printed(Pivot(heads=("for", "by"), columns=("one", "two"), rows=rows), 45)
    assert sum(line.startswith("a ") for line in text.splitlines()) == 2


def test_a_pivot_of_nothing_is_its_heading() -> None:
    assert _printed(Pivot(heads=("for", "by"), columns=(), rows={}), 60).split() == ["for", "by"]
