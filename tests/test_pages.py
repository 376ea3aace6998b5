"""What README, the tutorial and the how-to pages show runs, block after block, in one folder a page;
links lead somewhere."""

import gc
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import catch11
from catch11.attacks import frame
from catch11.canvas.grid import GRIDS
from catch11.cli import app
from catch11.kinds import IMAGE, KINDS
from catch11.recoding import registry
from catch11.studies.nets import digits
from catch11.studies.photographs import write_pictures
from tests.conftest import ROOT

FENCE = re.compile(r'^```(\w+)(?: title="(\S+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
SHELVES = [ROOT / "docs" / shelf for shelf in ("tutorial", "howto")]
SHOWN = [ROOT / "README.md", *(page for shelf in SHELVES for page in sorted(shelf.glob("*.md")))]
WRITTEN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Where extensions add a row.
TABLES: tuple[dict[Any, Any], ...] = (
    GRIDS, KINDS, KINDS[IMAGE].forms, KINDS[IMAGE].recoders, registry._ENTRIES, frame._ATTACKS,
)  # fmt: skip
SMALL = ["demo", "--small", "--out", "demo", "--count"]  # and how many pictures
# Instead of the demos their pictures are written; and what the Python of the demo's page prints.
PHOTOGRAPHS, PRINTED = 2, "2 1.0\n"
WHOLE = ROOT / "docs" / "tutorial" / "demo.md"
LEAVING = ROOT / "docs" / "howto" / "loaders.md"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(body: str) -> Iterator[list[str]]:
    """The words of each command of a block, lines that end in a backslash joined."""
    for line in body.replace("\\\n", " ").splitlines():
        assert line.startswith("$ "), f"a console block holds {line!r}"
        yield shlex.split(line[2:], comments=True)


def run(words: list[str]) -> None:
    if words == ["make", "demo"]:
        pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra demo")
        write_pictures(Path("demo/source"), count=PHOTOGRAPHS)
    if words[0] != "catch11":
        return
    if words[1:-1] == SMALL:
        digits.write_pictures(digits.load_digits(), Path("demo/source"), count=int(words[-1]))
        return
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, f"{shlex.join(words)}: {done.output}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; modules and rows of tables that come from there are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    for kind in KINDS:  # imports what the package itself registers
        registry.methods_of(kind)
        frame.attack_names(kind)
    before = set(sys.modules)
    rows = [dict(table) for table in TABLES]
    yield tmp_path
    for table, held in zip(TABLES, rows, strict=True):
        table.clear()
        table.update(held)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", [page for page in SHOWN if page != LEAVING], ids=name_of)
def test_what_a_page_shows_runs(
    page: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(page)
    assert capsys.readouterr().out.endswith(PRINTED if page == WHOLE else "")


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_what_the_page_of_loaders_shows_runs(place: Path) -> None:
    """`datasets` leaves the file open that it reads labels from."""
    pytest.importorskip("datasets", reason="needs the extra datasets")
    show(LEAVING)
    gc.collect()


def show(page: Path) -> None:
    """Run what a page shows."""
    space: dict[str, object] = {"__name__": page.stem}
    for kind, title, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "console":
            for words in commands(body):
                run(words)
        elif kind == "python" and title:
            Path(title).parent.mkdir(parents=True, exist_ok=True)
            Path(title).write_text(body, encoding="utf-8")
        elif kind == "python":
            exec(compile(body, name_of(page), "exec"), space)
        else:
            assert "catch11 " not in body or kind == "text", f"a {kind} block is not run"


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    """Anchors are held by `make docs`."""
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


def test_python_names_on_the_pages_are_public() -> None:
    """Nets of studies may stand for a download, and how to add something names its room."""
    for page in (page for page in SHOWN if not page.stem.startswith("add-")):
        blocks = FENCE.findall(page.read_text(encoding="utf-8"))
        code = "\n".join(body for kind, _, body in blocks if kind == "python")
        homes = re.findall(r"^ *(?:from|import) (catch11\.\S+)", code, re.MULTILINE)
        inner = [home for home in homes if not home.startswith("catch11.studies.nets.")]
        assert not inner, f"{name_of(page)} imports {inner}"
        used = re.findall(r"\bcatch11\.(\w+)", re.sub(r'"[^"]*"|^ *from .*', "", code, flags=re.M))
        assert set(used) <= set(catch11.__all__), f"{name_of(page)} uses {used}"


def test_the_page_of_the_interface_lists_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    listed = re.findall(r"^::: catch11\.(\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(catch11.__all__)


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|\$ )make ([\w-]+)", text):
        assert re.search(rf"^{target}\b.*:", makefile, re.MULTILINE), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100
