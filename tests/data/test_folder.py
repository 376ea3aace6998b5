"""Walking a folder: sorted, complete, finite whatever the links do."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catch11.data import folder
from catch11.data.folder import walk
from catch11.errors import InvalidArgument


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


NAMES = st.lists(
    st.text("abcé .-", min_size=1, max_size=4).filter(lambda n: n.strip(". ")),
    min_size=1,
    max_size=3,
)


@given(st.lists(NAMES.map("/".join), max_size=8, unique=True))
def test_every_file_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    made = []
    for name in names:
        try:
            made.append(str((fill(root, name) / name).relative_to(root)))
        except OSError:
            continue  # a name serves as a file and as a folder
    assert list(walk(root).files) == sorted(set(made))
    assert walk(root).problems == ()


def test_loops_and_dead_links_end(tmp_path: Path) -> None:
    root = fill(tmp_path, "z/one.png", "y/two.png")
    (root / "a").symlink_to(root / "z")
    (root / "z" / "up").symlink_to(root)
    (root / "dead").symlink_to(root / "nowhere")
    (root / "self").symlink_to(root / "self")
    os.mkfifo(root / "pipe")
    found = walk(root)
    assert found.files == ("y/two.png", "z/one.png")
    reasons = dict(found.problems)
    assert set(reasons) == {"a", "dead", "pipe", "self", "z/up"}
    assert "already walked" in reasons["a"]
    assert "already walked" in reasons["z/up"]
    assert "No such file" in reasons["dead"]
    assert "symbolic links" in reasons["self"]
    assert reasons["pipe"] == "it is not a regular file"


def test_links_out_of_the_folder_are_followed(tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/one.png", "root/two.png")
    (tmp_path / "root" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "three.png").symlink_to(tmp_path / "elsewhere" / "one.png")
    assert walk(tmp_path / "root").files == ("more/one.png", "three.png", "two.png")


def test_unreadable_folder_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fill(tmp_path, "shut/one.png", "two.png")
    real = os.listdir

    def listdir(path: Path) -> list[str]:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(folder.os, "listdir", listdir)
    found = walk(root)
    assert found.files == ("two.png",)
    assert found.problems == (("shut", "this folder cannot be read (Permission denied)"),)


def test_root_must_be_a_readable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match="source: expected a folder, found"):
        walk(tmp_path / "nothing")
    monkeypatch.setattr(folder.os, "access", lambda *_: False)
    with pytest.raises(InvalidArgument, match="a folder that may be read"):
        walk(tmp_path)
