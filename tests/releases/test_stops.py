"""A release stopped at any moment resumes to the same bytes; a full disk loses nothing."""

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from catch11.errors import ReleaseError
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.releases.ledger import parse, read_ledger
from catch11.releases.lines import whole_lines
from catch11.releases.manifest import NAME
from catch11.releases.names import WORKROOM
from catch11.releases.read import read_release
from tests.releases.worlds import WORLDS

Fill = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes]]
NAMES = ("a/1.jpg", "a/2.jpg", "b/3.jpg", "c.gif", "c.jpg")

# Forks a child for each stop: the child kills itself at the n-th call that touches the disk.
SCRIPT = """
    import os, signal, sys, types
    from pathlib import Path
    from catch11.releases.engine import release

    root, kind = Path(sys.argv[1]), sys.argv[2]
    tests = sys.modules["tests"] = types.ModuleType("tests")  # others install one of this name
    tests.__path__ = [str(Path("tests").resolve())]
    from tests.releases.worlds import WORLDS

    world = WORLDS[kind](root / "again")
    CALLS = ("write", "fsync", "replace", "ftruncate", "mkdir", "unlink")

    def kill_at(limit):
        count = 0
        def counted(real):
            def call(*args, **options):
                nonlocal count
                count += 1
                if count == limit:
                    os.kill(os.getpid(), signal.SIGKILL)
                if real is write and len(args[1]) > 40 and count == limit - 1:
                    return real(args[0], args[1][: len(args[1]) // 2])  # torn
                return real(*args, **options)
            return call
        write = os.write
        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))

    for limit in range(1, 400):
        child = os.fork()
        if not child:
            kill_at(limit)
            release(
                world.source, root / f"dst{limit}", world.recoder, workers=1 + limit % 2, **world.beside
            )
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
    print(limit)
"""


@pytest.mark.parametrize("kind", WORLDS)
def test_killed_anywhere_resumes_to_the_same_bytes(
    tmp_path: Path, tree: Tree, kind: str, root: Path
) -> None:
    world = WORLDS[kind](tmp_path / "world")
    release(world.source, tmp_path / "whole", world.recoder, **world.beside)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), kind],
        capture_output=True, text=True, timeout=300, check=False, cwd=root,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    last = int(run.stdout)
    assert 30 < last < 399
    whole, ledger = tree(tmp_path / "whole"), (tmp_path / "whole.ledger.jsonl").read_bytes()
    for limit in range(1, last):
        dst = tmp_path / f"dst{limit}"
        for entry in read_release(dst).entries if _listed(dst) else ():
            assert whole[entry.file] == (dst / entry.file).read_bytes()
        assert _visible(dst) <= _known(dst), f"stopped at call {limit}"
        release(world.source, dst, world.recoder, **world.beside)
        assert tree(dst) == whole, f"stopped at call {limit}"
        book = dst.with_name(f"{dst.name}.ledger.jsonl").read_bytes()
        assert book == ledger, f"stopped at call {limit}"


def _listed(dst: Path) -> bool:
    return b"\n" in (dst / NAME).read_bytes() if (dst / NAME).exists() else False


def _visible(dst: Path) -> set[str]:
    """The files a licensee sees: all but unfinished ones."""
    files = (path.relative_to(dst) for path in dst.rglob("*") if path.is_file())
    return {str(path) for path in files if path.parts[0] not in (WORKROOM, NAME)}


def _known(dst: Path) -> set[str]:
    """The files the ledger knows; a torn last line says nothing."""
    book = Path(f"{dst}.ledger.jsonl")
    lines = list(whole_lines(BytesIO(book.read_bytes()))) if book.exists() else []
    return {row.file for row in parse(book, lines)} if lines else set()


@pytest.mark.parametrize("kind", WORLDS)
def test_nothing_is_named_before_it_is_on_the_disk(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a file has its name, its bytes and the ledger's line are synced; before the list has its
    line, the folder is."""
    world, dst = WORLDS[kind](tmp_path / "world"), tmp_path / "out"
    book = Path(f"{dst}.ledger.jsonl")
    synced: dict[int, int] = {}  # how much of an inode is on the disk
    named: list[str] = []
    unsynced: set[int] = set()  # folders with a name that is not
    fsync, replace = os.fsync, os.replace

    def kept(path: Path | str) -> bool:
        return synced.get(os.stat(path).st_ino) == os.stat(path).st_size

    def sync(handle: int) -> None:
        fsync(handle)
        facts = os.fstat(handle)
        synced[facts.st_ino] = facts.st_size
        unsynced.discard(facts.st_ino)
        if (dst / NAME).exists() and facts.st_ino == os.stat(dst / NAME).st_ino:
            assert not unsynced

    def name(start: Path, end: Path) -> None:
        assert kept(start)
        assert kept(book)
        assert str(end.relative_to(dst)) in _known(dst)
        replace(start, end)
        named.append(str(end.relative_to(dst)))
        unsynced.add(os.stat(end.parent).st_ino)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", name)
    release(world.source, dst, world.recoder, **world.beside)
    assert sorted(named) == sorted(_visible(dst)) != []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 192 KiB; skips where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_really_full_disk(
    small_disk: Path, tmp_path: Path, fill: Fill, tree: Tree, recoder: SpectralRecoder, workers: int
) -> None:
    src = fill(tmp_path / "src", *(f"{n:03}.png" for n in range(60)))
    release(src, tmp_path / "whole", recoder)
    whole, dst = tree(tmp_path / "whole"), small_disk / "dst"
    with pytest.raises(ReleaseError, match="the disk is full; everything listed so far is intact"):
        release(src, dst, recoder, workers=workers)
    held = read_release(dst)
    assert not held.complete
    assert 0 < len(held) < 60
    for entry in held.entries:
        assert held.data(entry) == whole[entry.file]
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    done = release(src, dst, recoder, workers=workers)
    assert done.reused >= len(held)
    assert done.reused + done.written == 60
    assert tree(dst) == whole


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.__getitem__)
def test_disk_trouble_at_any_call_is_one_sentence(
    tmp_path: Path, fill: Fill, tree: Tree, recoder: SpectralRecoder,
    monkeypatch: pytest.MonkeyPatch, call: str, number: int,
) -> None:  # fmt: skip
    src = fill(tmp_path / "src", *NAMES)
    release(src, tmp_path / "whole", recoder)
    whole, real = tree(tmp_path / "whole"), getattr(os, call)
    reason = "the disk is full" if number == errno.ENOSPC else "Input/output error"
    for limit in range(1, 60):
        dst, calls = tmp_path / f"dst{limit}", iter(range(1, 10_000))
        failed: list[int] = []

        def fail(
            *args: object,
            limit: int = limit,
            calls: Iterator[int] = calls,
            failed: list[int] = failed,
            **options: object,
        ) -> object:
            if next(calls) == limit:
                failed.append(limit)
                raise OSError(number, os.strerror(number))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            try:
                release(src, dst, recoder)
            except ReleaseError as error:
                assert reason in str(error)  # noqa: PT017 - a folder that stands may be made again
        release(src, dst, recoder)
        assert tree(dst) == whole
        sources = [row.source for row in read_ledger(Path(f"{dst}.ledger.jsonl"))]
        assert sorted(set(sources)) == sorted(NAMES)
        if not failed:
            break
    assert 2 < limit < 59
