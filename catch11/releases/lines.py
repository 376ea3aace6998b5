"""A file of JSON lines that is only ever appended to, and survives a stop at any byte."""

import errno
import os
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from catch11.errors import ReleaseError
from catch11.releases.durable import sync_folder, write_all

try:
    import fcntl
except ImportError:  # no such module on Windows: two runs at once are then not noticed
    fcntl = None  # type: ignore[assignment]


class Lines:
    """The file, held open and locked. Use as a context manager.

    A last line cut short by a stop is removed on opening: it was never acknowledged. Raises
    ReleaseError where another process is writing.
    """

    def __init__(self, path: Path, *, mode: int) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), mode)
        try:
            self._lock()
            self.cut(sum(len(line) + 1 for line in self.kept()))
            if not self.size:
                sync_folder(path.parent)
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def kept(self) -> Iterator[bytes]:
        """The whole lines that it holds, read one by one."""
        with self.path.open("rb") as file:
            yield from whole_lines(file)

    def append(self, lines: list[bytes]) -> None:
        """Add whole lines, durable when this returns; all of them or, on an error, none."""
        if not lines:
            return
        os.lseek(self._handle, self.size, os.SEEK_SET)
        try:
            write_all(self._handle, b"".join(line + b"\n" for line in lines))
        except OSError:
            os.ftruncate(self._handle, self.size)
            raise
        self.size += sum(len(line) + 1 for line in lines)

    def cut(self, size: int) -> None:
        """Keep only so many bytes, which end a line."""
        self.size = size
        os.ftruncate(self._handle, size)

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # a file system without locks
            reason = "another process is writing this release"
            raise ReleaseError(self.path, reason, "wait for it to end") from None


class Sheet(Lines):
    """The same in memory alone: what was written is `data`."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.size = path, b"", 0

    def __exit__(self, *_: object) -> None:
        pass

    def append(self, lines: list[bytes]) -> None:
        self.data += b"".join(line + b"\n" for line in lines)
        self.size = len(self.data)

    def kept(self) -> Iterator[bytes]:
        return whole_lines(BytesIO(self.data))

    def cut(self, size: int) -> None:
        self.data, self.size = self.data[:size], size


def whole_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that were written to their end; a power cut can leave a tail of zeros as well."""
    doubtful: list[bytes] = []
    for line in file:
        if not line.endswith(b"\n"):
            return
        doubtful.append(line[:-1])
        if b"\0" not in line:
            yield from doubtful
            doubtful = []
