from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from catch11.canvas.plain import plain_canvas
from catch11.data.selection import batches, spread
from catch11.data.windows import to_pixels
from catch11.errors import ReleaseError
from catch11.evaluation.conditions import find_sources
from catch11.releases.form import form_of
from catch11.releases.ledger import Row
from catch11.releases.manifest import Entry
from catch11.releases.read import Release


def _release(*files: str) -> Release:
    return Release(
        root=Path("out"), modality="image", facts={}, method="spectral", form=form_of("png8"), key="", names="keep", checked="",
        public_key="", canvas=plain_canvas(8, 8), complete=True,
        entries=tuple(Entry(file=file, sha256="") for file in files),
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
            found.path(file)


def test_the_ledger_decides(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"")
    rows = {"b.png": Row(source="elsewhere/z.jpg", outcome="released")}
    found = find_sources(_release("b.png"), tmp_path, rows)
    assert found.path("b.png") == tmp_path / "elsewhere/z.jpg"


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
