"""The manifest: whole it verifies; cut, changed, reordered or another's it says which line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catch11.errors import ReleaseError
from catch11.keys.key import Key
from catch11.releases.lines import Lines
from catch11.releases.manifest import (
    Entry,
    Manifest,
    ManifestWriter,
    public_key,
    read_manifest,
    safe_path,
)

ENTRIES = tuple(
    Entry(file=f"x/{n}.png", sha256=f"{n:064x}", agreement=[None, True][n % 2]) for n in range(4)
)
HEADER = {"key": "k", "method": "spectral", "canvas": {"gain": [0.1]}}


def written(path: Path, key: Key, *entries: Entry, close: bool = True, **header: object) -> bytes:
    with Lines(path, mode=0o600) as lines:
        writer = ManifestWriter(lines, key=key, header={**HEADER, **header})
        for entry in entries:
            writer.add([entry])
        if close:
            writer.close()
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.jsonl"


def test_whole_list_verifies(path: Path, key: Key) -> None:
    written(path, key, *ENTRIES)
    held = read_manifest(path, signer=public_key(key))
    assert tuple(held.entries.values()) == ENTRIES
    assert held.complete
    assert held.header["canvas"] == HEADER["canvas"]


GOLDEN = Path(__file__).parents[1] / "golden" / "manifest-1.jsonl"


def test_lists_of_version_1_stay_readable_and_are_written_alike(path: Path, key: Key) -> None:
    signer = "3a060651dce96a4c59010cbdf65baae9958d2b206d7d831f51ead4ec3b2d7612"
    held = read_manifest(GOLDEN, signer=signer)
    assert held.complete
    assert list(held.entries.values()) == [Entry(file="a.png", sha256="0" * 64, agreement=True)]
    with Lines(path, mode=0o600) as lines:  # the same secret, so the same signature
        writer = ManifestWriter(lines, key=key, header={"key": "k"})
        writer.add(held.entries.values())
        writer.close()
    assert path.read_bytes() == GOLDEN.read_bytes()


def test_appending_in_any_parts_gives_the_same_bytes(path: Path, key: Key) -> None:
    whole = written(path, key, *ENTRIES)
    for first in range(len(ENTRIES) + 1):
        for close in (True, False):
            path.unlink()
            written(path, key, *ENTRIES[:first], close=close)
            assert written(path, key, *ENTRIES[first:]) == whole
    assert written(path, key, *ENTRIES) == whole


def test_a_later_line_of_a_file_counts(path: Path, key: Key) -> None:
    changed = replace(ENTRIES[1], sha256="f" * 64)
    written(path, key, *ENTRIES, changed)
    held = read_manifest(path)
    assert held.entries[changed.file] == changed
    assert len(held.entries) == len(ENTRIES)
    assert held.complete


def test_cut_anywhere_shows(path: Path, key: Key) -> None:
    data = written(path, key, *ENTRIES)
    first = data.index(b"\n") + 1
    for length in range(0, len(data), 3):
        path.write_bytes(data[:length])
        if length < first:
            with pytest.raises(ReleaseError, match="manifest is empty"):
                read_manifest(path)
        else:
            assert not read_manifest(path).complete


def test_unfinished_list_resumes_from_any_byte(path: Path, key: Key) -> None:
    whole = written(path, key, *ENTRIES)
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        assert written(path, key, *ENTRIES) == whole


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, key: Key, place: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "manifest.jsonl"
    data = bytearray(written(path, key, *ENTRIES))
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        held = read_manifest(path)
    except ReleaseError as error:
        assert "\n" not in str(error)  # noqa: PT017 - a flip may also cut the last line off
    else:
        assert not held.complete


Edit = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda lines: [lines[0], *lines[2:]], "line 2 does not follow"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2 does not follow"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3 does not follow"),
        (lambda lines: [*lines, lines[-1]], "line 7 does not follow"),
        (lambda lines: lines[1:], "line 1 is no header"),
        (lambda lines: [b"{}", *lines], "line 1 is no line of a manifest"),
        (lambda lines: [lines[0], b"[" * 100_000, *lines[1:]], "line 2 is no line"),
        (lambda lines: [lines[0], lines[1].replace(b"x/0", b"x/9"), *lines[2:]], "line 2 was changed"),
        (lambda lines: [lines[0], lines[1][:-3] + b'z"}', *lines[2:]], "line 2 was changed"),
        (lambda lines: [], "manifest is empty"),
    ],
)  # fmt: skip
def test_edited_lists_are_refused(path: Path, key: Key, edit: Edit, reason: str) -> None:
    lines = written(path, key, *ENTRIES).split(b"\n")[:-1]
    path.write_bytes(b"".join(line + b"\n" for line in edit(lines)))
    with pytest.raises(ReleaseError, match=reason):
        read_manifest(path)


def forge(path: Path, key: Key, *rows: dict[str, object]) -> Manifest:
    """A list whose author signs nonsense with a key of their own."""
    with Lines(path, mode=0o600) as lines:
        writer = ManifestWriter(lines, key=key, header=HEADER)
        writer._append(list(rows))
    return read_manifest(path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"kind": "file", "file": "../x.png", "sha256": "0"}, "line 2 names a file outside"),
        ({"kind": "file", "file": "/etc/passwd", "sha256": "0"}, "line 2 names a file outside"),
        ({"kind": "file", "file": 5, "sha256": "0"}, "line 2 names a file outside"),
        ({"kind": "file", "sha256": "0"}, "line 2 names a file outside"),
        ({"kind": "file", "file": "x.png"}, "line 2 lacks the facts"),
        ({"kind": "file", "file": "x.png", "sha256": "0", "agreement": 2}, "line 2 lacks the facts"),
        ({"kind": "end", "files": 3}, "line 2 counts other files"),
        ({"kind": "header"}, "line 2 is of no known kind"),
        ({"kind": "else"}, "line 2 is no line of a manifest"),
    ],
    ids=repr,
)  # fmt: skip
def test_signed_nonsense_is_refused(
    path: Path, key: Key, row: dict[str, object], reason: str
) -> None:
    with pytest.raises(ReleaseError, match=reason):
        forge(path, key, row)


def test_another_hand_is_noticed(path: Path, key: Key) -> None:
    other = replace(key, secret=bytes(32))
    written(path, other, *ENTRIES)
    assert read_manifest(path, signer=public_key(other)).complete
    with pytest.raises(ReleaseError, match=r"signed by .*, expected"):
        read_manifest(path, signer=public_key(key))


def test_no_public_key_is_refused(path: Path, key: Key) -> None:
    line = json.loads(written(path, key).split(b"\n")[0])
    line["public_key"] = "00"
    path.write_bytes(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(ReleaseError, match="public key is not one"):
        read_manifest(path)


def test_version_is_checked(path: Path, key: Key) -> None:
    written(path, key, version=2)
    with pytest.raises(ReleaseError, match="expected manifest version 1, found 2"):
        read_manifest(path)


def test_missing_manifest_is_one_sentence(path: Path) -> None:
    with pytest.raises(ReleaseError, match="no manifest can be read here"):
        read_manifest(path)


@pytest.mark.parametrize("change", [{"method": "deep"}, {"settings": "other"}, {"names": "opaque"}])
def test_other_header_is_refused(path: Path, key: Key, change: dict[str, Any]) -> None:
    before = written(path, key, *ENTRIES)
    with pytest.raises(
        ReleaseError, match=f"holds a release made with another {next(iter(change))}"
    ):
        written(path, key, **change)
    assert path.read_bytes() == before


def test_a_list_without_a_file_binds_nobody(path: Path, key: Key) -> None:
    """What a run left that failed before its first file."""
    written(path, key)
    again = written(path, key, *ENTRIES, method="deep")
    assert again == written(path.with_name("fresh.jsonl"), key, *ENTRIES, method="deep")


@pytest.mark.parametrize(
    ("text", "safe"),
    [("a/b.png", True), ("ä.png", True), ("a..b", True), ("", False), ("..", False), ("a/../b", False),
     ("/a", False), ("a//b", False), ("./a", False), ("a\\b", False), ("c:a", False), ("a\0", False),
     (None, False)],
)  # fmt: skip
def test_safe_paths(text: object, safe: bool) -> None:
    assert safe_path(text) is safe
