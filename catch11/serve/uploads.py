"""Uploads, treated as hostile: names that stay below their folder, content that is what it claims,
archives that unpack to what they state and no more."""

import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from catch11.data.pictures import picture_size, quiet
from catch11.data.sounds import sound_size
from catch11.errors import UnreadableSource
from catch11.kinds import AUDIO, IMAGE
from catch11.modalities.known import named
from catch11.releases.form import file_digest
from catch11.releases.manifest import safe_path
from catch11.serve.refusals import Refused
from catch11.serve.tokens import Limits

NAME_LENGTH = 400  # characters of a path
_DEPTH = 20  # folders
_PART = 200  # bytes of each of its parts, which get a suffix
_RATIO = 200  # of unpacked to packed: deflate reaches 1,032, pictures hardly 2
_BLOCK = 1 << 16
_SMALL = 1 << 20  # bytes of a part that a request that waits may hold in memory
_DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, OSError)
ZIP = b"PK\x03\x04", b"PK\x05\x06"


@runtime_checkable
class Readable(Protocol):
    """Something that bytes are read from: a file, a member of an archive."""

    def read(self, size: int = -1, /) -> bytes:
        """So many of the next bytes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A part that lies on the disk."""

    name: str
    size: int
    sha256: str


def safe_name(name: str) -> str:
    """A name as a path below the job's folder. Raises Refused."""
    parts = name.split("/")
    good = safe_path(name) and len(name) <= NAME_LENGTH and len(parts) <= _DEPTH
    good = good and all(c.isprintable() for c in name)
    good = good and all(
        0 < len(p.encode("utf-8", "replace")) <= _PART and not p.startswith(".") for p in parts
    )
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        good = False
    if not good:
        raise Refused(
            f"a file's name: expected a relative path such as a/b.jpg of at most {NAME_LENGTH} printable "
            f"characters, no .. and no dot in front, found {name[:60]!r}; rename it.",
            status=422,
        )
    return name


def keep_part(
    root: Path, name: str, data: Readable, *, kind: str, limits: Limits, durable: bool = True
) -> Stored:
    """Write one part below the job's folder, once it was looked at. Raises Refused.

    The same name again is refused unless it brings the same bytes. durable: whether it must outlast a power cut.
    """
    path = root / safe_name(name)
    rough = root.parent / f"part-{os.urandom(8).hex()}"
    try:
        size, digest = _copied(data, rough, limits.size, name, durable=durable)
        check_content(rough.read_bytes(), name, kind=kind, limits=limits)
        _placed(rough, path, name, digest)
    finally:
        rough.unlink(missing_ok=True)
    return Stored(name, size, digest)


def take_part(
    root: Path, name: str, data: Readable, *, kind: str, limits: Limits
) -> tuple[Stored, bytes | Path]:
    """One part that is worked off as it comes: in memory where it is small, else as `keep_part` writes it.
    Raises Refused."""
    safe_name(name)
    start = b""
    while len(start) <= _SMALL and (block := data.read(_SMALL + 1 - len(start))):
        start += block
    if len(start) > min(_SMALL, limits.size):
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole = _Joined(io.BytesIO(start), data)
        return keep_part(root, name, whole, kind=kind, limits=limits, durable=False), root / name
    if not start:
        raise _empty(name)
    check_content(start, name, kind=kind, limits=limits)
    return Stored(name, len(start), hashlib.sha256(start).hexdigest()), start


@dataclass(frozen=True, slots=True)
class _Joined:
    """One after the other."""

    first: Readable
    second: Readable

    def read(self, size: int = -1, /) -> bytes:
        return self.first.read(size) or self.second.read(size)


def _empty(name: str) -> Refused:
    return Refused(f"{name[:60]}: expected a file, found an empty one.", status=415)


def check_content(data: bytes, name: str, *, kind: str, limits: Limits) -> None:
    """Raises Refused for a file that is not of this kind of data, or a picture or sound that is too large."""
    modality = named(kind)
    if kind != IMAGE:
        if Path(name).suffix.lower() not in modality.suffixes:
            known = ", ".join(sorted(modality.suffixes))
            raise Refused(
                f"{name[:60]}: expected {modality.sources} ({known}), found another suffix.",
                status=415,
            )
        if kind == AUDIO:
            _check_sound(data, name, limits)
        return
    try:
        with quiet():
            width, height = picture_size(data, path=name[:60])
    except UnreadableSource as error:
        raise Refused(str(error), status=415) from None
    if width * height > limits.pixels:
        raise Refused(
            f"{name[:60]}: expected at most {limits.pixels} pixels, found {width} x {height}; make it smaller.",
            status=413,
        )


def _check_sound(data: bytes, name: str, limits: Limits) -> None:
    """One that cannot be read is skipped with its reason, like a table."""
    with suppress(UnreadableSource):
        if (found := sound_size(data, path=name[:60])) > limits.samples:
            raise Refused(
                f"{name[:60]}: expected at most {limits.samples} samples in all channels, found {found}; cut it.",
                status=413,
            )


def unpacked(file: IO[bytes], limits: Limits) -> Iterator[tuple[str, Readable]]:
    """The files of a zip, one after the other, each to be read at once. Raises Refused.

    What it states is held against the limits first; what a file unpacks to is counted as it is read.
    """
    try:
        archive = zipfile.ZipFile(file)
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        raise Refused(
            "the archive: expected a zip, found one that is damaged.", status=415
        ) from None
    with archive:
        _check_entries(entries, limits)
        for entry in entries:
            safe_name(entry.filename)
            try:
                member = archive.open(entry)
            except _DAMAGED:
                raise _damaged(entry.filename) from None
            with member:
                yield entry.filename, _Member(entry.filename, member)


def unpack(file: IO[bytes], root: Path, limits: Limits) -> None:
    """Write the files of a zip below a folder, unread. Raises Refused."""
    for name, member in unpacked(file, limits):
        try:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            _copied(member, root / name, limits.size, name, durable=False)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Refused(
                f"{name[:60]}: expected a file or a folder of this name, found both.", status=409
            ) from None


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an archive as it is read; damage in it is a refusal."""

    name: str
    held: Readable

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self.held.read(size)
        except _DAMAGED:
            raise _damaged(self.name) from None


def _damaged(name: str) -> Refused:
    return Refused(f"{name[:60]}: expected a member that unpacks, found a damaged one.", status=415)


def _check_entries(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if not entries:
        raise Refused("the archive: expected at least one file, found none.")
    if len(entries) > limits.parts:
        raise Refused(
            f"the archive: expected at most {limits.parts} files, found {len(entries)}.", status=413
        )
    if (total := sum(entry.file_size for entry in entries)) > limits.total:
        raise Refused(
            f"the archive: expected at most {limits.total} bytes unpacked, found {total}.",
            status=413,
        )
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise Refused("the archive: expected each name once, found one twice.", status=409)
    for entry in entries:
        if stat.S_ISLNK(entry.external_attr >> 16) or entry.flag_bits & 1:
            raise Refused(
                f"{entry.filename[:60]}: expected a plain file, found a link or an encrypted one."
            )
        if entry.file_size > limits.size or entry.file_size > _RATIO * max(entry.compress_size, 64):
            raise Refused(
                f"{entry.filename[:60]}: expected at most {limits.size} bytes and {_RATIO} times what it is packed "
                f"in, found {entry.file_size}.", status=413,
            )  # fmt: skip


def _copied(data: Readable, path: Path, most: int, name: str, *, durable: bool) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with open(path, "xb") as file:
        while block := data.read(_BLOCK):
            size += len(block)
            if size > most:
                raise Refused(
                    f"{name[:60]}: expected at most {most} bytes, found more.", status=413
                )
            digest.update(block)
            file.write(block)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    if not size:
        raise _empty(name)
    return size, digest.hexdigest()


def _placed(rough: Path, path: Path, name: str, digest: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and (not path.is_file() or file_digest(path) != digest):
            raise FileExistsError
        os.replace(rough, path)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Refused(
            f"{name[:60]}: expected a new name, found one that the job has with other content.",
            status=409,
        ) from None
