"""Where a release reads and writes, with every unsafe arrangement refused before anything is written."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catch11.errors import Catch11Error, ReleaseError
from catch11.releases.manifest import NAME
from catch11.releases.names import WORKROOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The release folder, the ledger's path, the folder of unfinished files."""

    release: Path
    ledger: Path

    @property
    def manifest(self) -> Path:
        return self.release / NAME

    @property
    def workroom(self) -> Path:
        return self.release / WORKROOM


def places(
    src: str | os.PathLike[str] | None,
    dst: str | os.PathLike[str],
    ledger: str | os.PathLike[str] | None,
    *,
    resume: bool,
    files: bool = False,
) -> Places:
    """Checked places; creates nothing. src: None of an opened store. files: the source may be a file.
    Raises ReleaseError.

    Refused: a source that is no folder; source and release inside each other; a ledger inside
    either, because one is public and the other would be read; a release folder that holds
    anything but a release, or any release if not `resume`.
    """
    # One sentence serves both ways round: reading what is being written never ends well.
    release = Path(os.path.realpath(dst))
    book = Path(os.path.realpath(ledger or f"{os.path.abspath(dst)}.ledger.jsonl"))
    if src is not None:
        check_source(Path(os.path.realpath(src)), src, release, book, files=files)
    check_outside(book, release, "it is private")
    if (ledger and not book.parent.is_dir()) or book.is_dir():
        raise ReleaseError(book, "the ledger cannot be written here", "give a file with --ledger")
    found = Places(release=release, ledger=book)
    _check_release(found, resume=resume)
    return found


def check_source(
    source: Path, src: str | os.PathLike[str], release: Path, book: Path, *, files: bool
) -> None:
    """Raises ReleaseError where a source, given as `src`, is none or lies with what is written; real paths."""
    if files:
        check_there(source, src)
    if not files and not source.is_dir():
        raise ReleaseError(src, "the source is not a folder", "give a folder of pictures")
    if source.is_relative_to(release) or release.is_relative_to(source):
        reason = f"source and release must not lie inside each other, found {source} and {release}"
        raise ReleaseError(release, reason, "give a release folder elsewhere")
    check_outside(book, source, "it would be read as a source")


def check_there(source: Path, src: str | os.PathLike[str]) -> None:
    """Raises ReleaseError where there is no source."""
    if not source.exists():
        raise ReleaseError(src, "there is no such source", "give a file or a folder")


def check_outside(book: Path, folder: Path, why: str) -> None:
    """Raises ReleaseError for a ledger inside a folder; real paths."""
    if book.is_relative_to(folder):
        reason = f"the ledger must not lie in {folder}, because {why}"
        raise ReleaseError(book, reason, "give another file with --ledger")


def _check_release(found: Places, *, resume: bool) -> None:
    if not found.release.exists():
        return
    if not found.release.is_dir():
        raise ReleaseError(found.release, "this is a file, expected a folder")
    held = set(os.listdir(found.release)) - {WORKROOM}
    if NAME not in held and held:
        reason = "this folder holds other files and no release"
        raise ReleaseError(found.release, reason, "give an empty or a new folder")
    if NAME in held and not resume:
        reason = "this folder holds a release already"
        raise ReleaseError(found.release, reason, "resume it, or give a new folder")


@contextmanager
def workroom(where: Places) -> Iterator[None]:
    """An empty folder for unfinished files, on the disk of the release; gone afterwards."""
    shutil.rmtree(where.workroom, ignore_errors=True)
    where.workroom.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(where.workroom, ignore_errors=True)


@contextmanager
def one_sentence(dst: Path) -> Iterator[None]:
    """Trouble with the disk, said once; what is listed is intact, and a second run goes on."""
    try:
        yield
    except Catch11Error:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
        reason = "the disk is full" if full else f"{error.strerror or error}"
        remedy = "everything listed so far is intact; free some space and run the same again"
        raise ReleaseError(dst, reason, remedy if full else "run the same again") from None
