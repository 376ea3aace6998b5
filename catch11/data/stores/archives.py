"""zip and tar: a folder of pictures in one file. Treated as hostile: nothing is unpacked by its own name.

A member is read into memory alone, and at most MAX_BYTES of it; links, devices, names that lead out, sparse and
encrypted members and second members of one name are problems, not sources.
"""

import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from catch11.data.pictures import MAX_BYTES
from catch11.data.stores.frame import (
    Held,
    Made,
    Source,
    Store,
    Wanted,
    damaged,
    member_problem,
    too_large,
)
from catch11.data.stores.tarfiles import Members, add, indexed
from catch11.errors import UnreadableSource

LIST_NAME = "manifest.jsonl"
_THEN = (1980, 1, 1, 0, 0, 0)  # the first moment that zip knows; the same bytes whenever it is made
_ENCRYPTED = 1


class ZipSource(Source):
    """The members of a zip."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()
        self._lock = threading.Lock()
        self._members: dict[str, zipfile.ZipInfo] = {}
        problems = []
        for one in self._zip.infolist():
            if one.filename.endswith("/"):  # is_dir() fails where there is no name
                continue
            reason = member_problem(one.filename) or self._refused(one)
            if reason is None:
                self._members[one.filename] = one
            else:
                problems.append((one.filename or "?", reason))
        self.names, self.problems = tuple(sorted(self._members)), tuple(problems)

    def _open(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self._path)
        except Exception as error:  # noqa: BLE001 - of half a dozen types
            raise damaged(self._path, "zip archive", error) from None
        self._process = os.getpid()

    def _refused(self, one: zipfile.ZipInfo) -> str | None:
        if one.filename in self._members:
            return "another member has this name"
        if one.flag_bits & _ENCRYPTED:
            return "it is encrypted"
        if (one.external_attr >> 16) & 0o170000 == 0o120000:
            return "it is a link"
        return None

    def data(self, name: str) -> bytes:
        one = self._members.get(name)
        if one is None:
            raise UnreadableSource(name, "the archive has no such member")
        too_large(name, one.file_size)
        try:
            with self._lock:
                if self._process != os.getpid():
                    self._open()  # a loader's worker, which would move where this process reads
                with self._zip.open(one) as file:
                    data = file.read(MAX_BYTES)
        except Exception as error:  # noqa: BLE001 - each of its codecs raises its own
            raise UnreadableSource(name, f"it is damaged ({error})".rstrip(".")) from None
        if not data:
            raise UnreadableSource(name, "it is empty")
        return data

    def close(self) -> None:
        self._zip.close()


class TarSource(Source):
    """The members of a tar."""

    def __init__(self, members: Members) -> None:
        self._members = members
        files = members.files
        self.names = tuple(sorted(files))
        self.problems = members.problems

    def data(self, name: str) -> bytes:
        return self._members.data(name)

    def close(self) -> None:
        self._members.close()


class _Archive(Held):
    """A packed folder, its list inside."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def list(self) -> bytes:
        try:
            return self._source.data(LIST_NAME)
        except UnreadableSource as error:
            raise ValueError(error.reason) from None

    def data(self, file: str, sha256: str) -> bytes:
        return self._source.data(file)


class Zip(Store):
    """A zip; pictures hardly shrink, so members are stored as they are."""

    name, keeps, suffixes, inside = "zip", "files", (".zip",), True

    def open(self, path: Path, wanted: Wanted) -> Source:
        return ZipSource(path)

    def pack(self, source: Source, made: Made, target: Path) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, path in _all(made):
                facts = zipfile.ZipInfo(name, date_time=_THEN)
                facts.external_attr = 0o644 << 16
                archive.writestr(facts, path.read_bytes())

    def held(self, path: Path) -> Held:
        return _Archive(ZipSource(path))


class Tar(Store):
    """A tar, read compressed by gzip too, written plain."""

    name, keeps, inside = "tar", "files", True
    suffixes: ClassVar[tuple[str, ...]] = (".tar", ".tar.gz", ".tgz")

    def open(self, path: Path, wanted: Wanted) -> Source:
        return TarSource(indexed(path))

    def pack(self, source: Source, made: Made, target: Path) -> None:
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, path in _all(made):
                with path.open("rb") as file:
                    add(archive, name, file, path.stat().st_size)

    def held(self, path: Path) -> Held:
        return _Archive(TarSource(indexed(path)))


def _all(made: Made) -> Iterator[tuple[str, Path]]:
    """Every file in the list's order, then the list."""
    for file in made.order:
        yield file, made.folder / file
    yield LIST_NAME, made.list


def unpack(held: Held, names: dict[str, str], folder: Path) -> None:
    """Lay the files of a packed release (name to SHA-256) and its list below a new folder."""
    folder.mkdir()
    for name, sha256 in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held.data(name, sha256))
    (folder / LIST_NAME).write_bytes(held.list())
