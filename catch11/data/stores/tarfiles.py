"""A tar by its index: members by name, read where they lie, in any order, by several threads.

A tar that was cut short is refused as a whole: its last member may be half a picture, and nothing says how
many are missing.
"""

import gzip
import os
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from catch11.data.stores.frame import damaged, member_problem, too_large
from catch11.errors import UnreadableSource

_BLOCK = 512
_GROWTH = 100  # how many times its size a compressed tar may have: pictures hardly shrink
_FREE = 64 << 20  # bytes that any may have
_CHUNK = 1 << 20


class Members:
    """files: facts of the regular members by name, in their own order. problems: of the others."""

    def __init__(self, path: Path, opened: int) -> None:
        self._path, self._handle = path, opened
        files: dict[str, tarfile.TarInfo] = {}
        problems: list[tuple[str, str]] = []
        size = os.fstat(opened).st_size
        end = 0
        try:
            with (
                os.fdopen(os.dup(opened), "rb") as file,
                tarfile.open(fileobj=file, mode="r:") as archive,
            ):
                for one in archive:
                    end = max(end, one.offset_data + (one.size if one.isreg() else 0))
                    if one.isdir():
                        continue
                    reason = member_problem(one.name) or _refused(one, files)
                    if reason is None:
                        files[one.name] = one
                    else:
                        problems.append((one.name or "?", reason))
        except (tarfile.TarError, OSError, EOFError, ValueError, RecursionError) as error:
            self.close()
            raise damaged(path, "tar archive", error) from None
        blocks = -(-end // _BLOCK) * _BLOCK
        if os.pread(opened, _BLOCK, blocks) != bytes(_BLOCK):
            self.close()
            reason = f"it is cut short at {size} bytes" if size <= blocks else "its end is damaged"
            raise damaged(path, "tar archive", reason)
        if (more := _after(opened, blocks)) is not None:
            self.close()
            reason = f"more stands behind its end, from byte {more} on; join tars by tar -A"
            raise damaged(path, "tar archive", reason)
        self.files: Mapping[str, tarfile.TarInfo] = files
        self.problems = tuple(problems)

    def data(self, name: str) -> bytes:
        """The bytes of a member. Raises UnreadableSource."""
        one = self.files.get(name)
        if one is None:
            raise UnreadableSource(name, "the archive has no such member")
        too_large(name, one.size)
        data = os.pread(self._handle, one.size, one.offset_data)
        if len(data) != one.size or not data:
            raise UnreadableSource(name, "it is cut short" if one.size else "it is empty")
        return data

    def file(self, name: str) -> BinaryIO:
        """A member to be read from where it lies, whatever its size; one at a time."""
        file = os.fdopen(os.dup(self._handle), "rb")
        file.seek(self.files[name].offset_data)
        return file

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1


def indexed(path: Path) -> Members:
    """The members of a tar, or of one that gzip compressed, which is laid down plain for the while.

    Raises InvalidArgument where it is no whole tar.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise damaged(path, "tar archive", error.strerror) from None
    if os.pread(handle, 2, 0) == b"\x1f\x8b":
        handle = _plain(path, handle)
    return Members(path, handle)


def add(
    archive: tarfile.TarFile, name: str, data: BinaryIO, size: int, *, like: tarfile.TarInfo | None = None,
) -> None:  # fmt: skip
    """Append a member, as many bytes of a file; the same bytes whenever it is done. like: facts to keep."""
    facts = tarfile.TarInfo(name)
    facts.mode = 0o644
    if like is not None:
        facts.mode, facts.mtime = like.mode, like.mtime
        facts.uid, facts.gid, facts.uname, facts.gname = like.uid, like.gid, like.uname, like.gname
    facts.size = size
    archive.addfile(facts, data)


def _refused(one: tarfile.TarInfo, files: Mapping[str, object]) -> str | None:
    if one.issym() or one.islnk():
        return "it is a link"
    if not one.isreg():
        return "it is not a regular file"
    if one.issparse():
        return "it is a sparse file"
    return "another member has this name" if one.name in files else None


def _after(opened: int, end: int) -> int | None:
    """Where something other than filling stands behind the end of an archive."""
    while data := os.pread(opened, _CHUNK, end):
        if rest := data.lstrip(b"\0"):
            return end + len(data) - len(rest)
        end += len(data)
    return None


def _plain(path: Path, handle: int) -> int:
    """The decompressed tar in a file that has no name and goes with its handle."""
    limit = _GROWTH * os.fstat(handle).st_size + _FREE
    target = tempfile.TemporaryFile()  # noqa: SIM115 - handed on as its number
    try:
        with os.fdopen(handle, "rb") as packed, gzip.open(packed) as file:
            while data := file.read(_CHUNK):
                target.write(data)
                if target.tell() > limit:
                    reason = f"it unpacks to more than {limit >> 20} MiB"
                    raise damaged(path, "tar archive", reason)
        target.flush()
        target.seek(0)
        return os.dup(target.fileno())
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, "tar archive", error) from None
    finally:
        target.close()
