"""The ledger: what it was told it knows; another key's, and lines that are none, are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catch11.errors import ReleaseError
from catch11.keys.key import Key
from catch11.releases.ledger import Ledger, Row, parse, read_ledger
from catch11.releases.lines import Lines

NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=5)
ROWS = st.builds(
    Row,
    source=st.text(min_size=1, max_size=5) | st.just("caf\udce9.jpg"),
    outcome=st.sampled_from(["released", "withheld", "skipped"]),
    mac=TEXT, pixels=TEXT, settings=TEXT, checked=TEXT, sha256=TEXT, reason=TEXT,
    file=st.sampled_from(["", "a.png", "x/ä.png"]),
    psnr=NUMBERS, front_shift=NUMBERS, agreement=st.sampled_from([None, True]),
)  # fmt: skip
ROW = Row(
    source="a.jpg", outcome="released", mac="m", pixels="p", settings="s", file="a.png",
    sha256="0" * 64, psnr=10.25, front_shift=1e-7,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ledger.jsonl"


def kept(path: Path, key: Key, *rows: Row) -> None:
    with Lines(path, mode=0o600) as lines:
        Ledger(lines, key=key).add(rows)


@given(st.lists(ROWS, max_size=5))
def test_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory, key: Key, rows: list[Row]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "x.jsonl"
    unique = {(row.source, row.mac, row.settings, row.checked): row for row in rows}
    kept(path, key, *unique.values())
    assert read_ledger(path) == list(unique.values())


def test_the_same_is_said_once(path: Path, key: Key) -> None:
    kept(path, key, ROW)
    before = path.read_bytes()
    kept(path, key, ROW)
    assert path.read_bytes() == before
    kept(path, key, replace(ROW, file="b.png"))
    assert read_ledger(path) == [ROW, replace(ROW, file="b.png")]


def test_what_it_knows(path: Path, key: Key) -> None:
    kept(path, key, ROW, Row(source="b.jpg", outcome="skipped", reason="it is empty"))
    with Lines(path, mode=0o600) as lines:
        ledger = Ledger(lines, key=key)
        assert ledger.row("a.jpg", "m", settings="s", checked="") == ROW
        assert ledger.row("a.jpg", "m", settings="t", checked="") is None
        assert ledger.released("m") == ledger.released("p") == ROW
        assert ledger.released("") is None
        assert (ledger.foreign("s"), ledger.foreign("t")) == (False, True)
        assert dict(ledger.files("s")) == {"a.jpg": "a.png"}
        assert (ledger.knows("b.jpg"), ledger.knows("c.jpg")) == (True, False)


def test_macs_depend_on_key_and_purpose(path: Path, key: Key, tmp_path: Path) -> None:
    other = replace(key, secret=bytes(32))
    with (
        Lines(path, mode=0o600) as lines,
        Lines(tmp_path / "other.jsonl", mode=0o600) as more,
    ):
        one, two = Ledger(lines, key=key), Ledger(more, key=other)
        macs = {ledger.mac(b"x", of=of) for ledger in (one, two) for of in ("source", "pixels")}
        assert len(macs) == 4
        assert one.mac(b"x", of="source") in macs


def test_another_keys_ledger_is_refused(path: Path, key: Key) -> None:
    kept(path, key, ROW)
    with pytest.raises(ReleaseError, match="this ledger belongs to another key; use that key, or"):
        kept(path, replace(key, secret=bytes(32)), ROW)


def line(**changes: object) -> bytes:
    facts = {**json.loads(ROW.to_line()), **changes}
    return json.dumps({k: v for k, v in facts.items() if v is not ...}).encode()


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"5",
        b"\xff",
        line(source=""),
        line(source=...),
        line(source=5),
        line(outcome="lost"),
        line(file="../x"),
        line(psnr="10"),
        line(agreement="yes"),
        line(psnr=float("inf")),
        line(more=1),
    ],
    ids=lambda bad: repr(bad[:60]),
)
def test_what_is_no_line_is_refused(bad: bytes, path: Path, key: Key) -> None:
    kept(path, key, ROW)
    path.write_bytes(path.read_bytes() + bad + b"\n")
    with pytest.raises(ReleaseError, match="line 3 is no line of a ledger; restore the file"):
        read_ledger(path)


@pytest.mark.parametrize("head", [b"", b"{}", b'{"catch11": "ledger", "version": 9}'])
def test_what_is_no_ledger_is_refused(head: bytes) -> None:
    with pytest.raises(ReleaseError, match=r"not a ledger|no line of a ledger"):
        parse(Path("x"), [head])


def test_missing_ledger_is_one_sentence(path: Path) -> None:
    with pytest.raises(ReleaseError, match="the ledger cannot be read"):
        read_ledger(path)
