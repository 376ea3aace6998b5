"""Lines: appended whole or not at all, cut tails removed, one writer at a time."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catch11.errors import ReleaseError
from catch11.releases import durable
from catch11.releases.lines import Lines, whole_lines

LINES = st.lists(
    st.binary(min_size=1, max_size=9).filter(lambda b: not {0, 10} & set(b)), max_size=5
)


def written(path: Path, *lines: bytes) -> None:
    with Lines(path, mode=0o600) as file:
        file.append(list(lines))


@given(LINES, st.integers(0, 60), LINES)
def test_cut_anywhere_loses_only_the_cut_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], length: int, more: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    written(path, *lines)
    data = path.read_bytes()
    assert data == b"".join(line + b"\n" for line in lines)
    path.write_bytes(data[:length])
    kept = data[:length].split(b"\n")[:-1]
    with Lines(path, mode=0o600) as file:
        assert list(file.kept()) == kept
        file.append(more)
    with path.open("rb") as read:
        assert list(whole_lines(read)) == kept + more


def test_zeros_of_a_power_cut_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"one\n" + bytes(5) + b"\n" + bytes(9))
    with Lines(path, mode=0o600) as file:
        assert list(file.kept()) == [b"one"]
    assert path.read_bytes() == b"one\n"


def test_cut_drops_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    written(path, b"one", b"two")
    with Lines(path, mode=0o600) as file:
        file.cut(len(b"one\n"))
        file.append([b"three"])
    assert path.read_bytes() == b"one\nthree\n"


def test_mode_is_of_the_file(tmp_path: Path) -> None:
    written(tmp_path / "x.jsonl", b"one")
    assert (tmp_path / "x.jsonl").stat().st_mode & 0o777 == 0o600


def test_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with (
        Lines(path, mode=0o600),
        pytest.raises(ReleaseError, match="another process is writing this release; wait"),
    ):
        Lines(path, mode=0o600)
    written(path, b"one")


@pytest.mark.parametrize("taken", [0, 1, 5, 7])
def test_full_disk_keeps_whole_lines(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    written(path, b"one")
    real, room = os.write, [taken]

    def write(handle: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        some = real(handle, bytes(data)[: room[0]])
        room[0] -= some
        return some

    with Lines(path, mode=0o600) as file:
        with monkeypatch.context() as patch:
            patch.setattr(durable.os, "write", write)
            with pytest.raises(OSError, match="No space left"):
                file.append([b"four", b"five"])
        assert path.read_bytes() == b"one\n"
        file.append([b"six"])
    assert path.read_bytes() == b"one\nsix\n"
