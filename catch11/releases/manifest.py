"""The public list of a release: signed, chained JSON lines that tell cut from whole.

Line 1 is the header, then one line a file, and a closing line with their number. Each line holds
the SHA-256 of the line before it and an Ed25519 signature of its own bytes, so a changed, dropped
or reordered line shows. The closing line is written when a run ends and taken off when the next
one appends: a list without it was cut, or its run was. What cannot show is a whole older copy put
back in place; for that, note the number of files or the last line's hash elsewhere.

The public key stands in the header. It proves that all lines are from one hand; whose hand it is,
the owner says by publishing the key (`public_key`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from catch11.errors import ReleaseError
from catch11.keys.key import Key
from catch11.releases.form import digest
from catch11.releases.lines import Lines, whole_lines

NAME = "manifest.jsonl"
VERSION = 1
ANEW = "get it again from whoever released it"
_MARK, _END = b',"signature":"', b'"}'
_TAIL = len(_MARK) + 128 + len(_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One released file. agreement: whether the authorized model answered as on the source
    (checked on the written file); None where it was not checked."""

    file: str
    sha256: str
    agreement: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A verified list: the header's facts, entries in order (the last line of a file counts). size: bytes of its
    lines but the closing one; last: hash of the last of those."""

    header: Mapping[str, Any]
    entries: Mapping[str, Entry]
    complete: bool
    size: int
    last: str


def signing_key(key: Key) -> Ed25519PrivateKey:
    """The owner's Ed25519 key, drawn from the key's secret: one file to keep, not two."""
    seed = key.stream(purpose="manifest signature").bytes(32)
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(key: Key) -> str:
    """The Ed25519 public key, in hex, that the owner publishes and auditors check against."""
    return signing_key(key).public_key().public_bytes_raw().hex()


def signer_of(key: Key | None) -> str | None:
    """Who must have signed a release made under a key; None where anybody may have."""
    return None if key is None else public_key(key)


def read_manifest(path: Path, *, signer: str | None = None) -> Manifest:
    """The list in a file, every line verified; the input is treated as hostile.

    signer: the public key it must be signed with, in hex; without it, the one in its header.
    Raises ReleaseError naming the line that does not hold.
    """
    try:
        with path.open("rb") as file:
            return verify_lines(path, whole_lines(file), signer=signer)
    except OSError as error:
        if isinstance(error, ReleaseError):
            raise
        reason = f"no manifest can be read here ({error.strerror})"
        raise ReleaseError(path, reason, "give a folder that `catch11 recode` wrote") from None


def verify_lines(path: Path, lines: Iterable[bytes], *, signer: str | None = None) -> Manifest:
    """As `read_manifest`, of lines already read."""
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        raise ReleaseError(path, "the manifest is empty", "release again into a new folder")
    header = _facts(path, 1, first, kind="header")
    if header.get("version") != VERSION:
        found = str(header.get("version"))[:20]
        raise ReleaseError(path, f"expected manifest version {VERSION}, found {found}")
    named = str(header.get("public_key", ""))
    if signer is not None and named != signer:
        found = f"signed by {named[:16]}…, expected {signer[:16]}…"
        raise ReleaseError(path, found, "give the key that it was released under")
    public = _public(path, named)
    entries: dict[str, Entry] = {}
    previous, last, closed, size = "", "", False, 0
    for number, line in enumerate(chain([first], lines), start=1):
        facts = _facts(path, number, line)
        _verify(path, number, line, public)
        if facts.get("previous") != previous or closed:
            raise ReleaseError(path, f"line {number} does not follow the line before it")
        previous = digest(line)
        if facts["kind"] == "file":
            entry = _entry(path, number, facts)
            entries[entry.file] = entry
        elif facts["kind"] == "end":
            closed = True
            if facts.get("files") != len(entries):
                raise ReleaseError(path, f"line {number} counts other files than are listed")
        elif number > 1:
            raise ReleaseError(path, f"line {number} is of no known kind")
        if not closed:
            last, size = previous, size + len(line) + 1
    return Manifest(header=header, entries=entries, complete=closed, size=size, last=last)


def listed_bytes(root: Path, entry: Entry) -> bytes:
    """The bytes of a released file. Raises ReleaseError if they are not the listed ones."""
    path = root / entry.file
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = f"it is listed and cannot be read ({error.strerror})"
        raise ReleaseError(path, reason, ANEW) from None
    if digest(data) != entry.sha256:
        raise ReleaseError(path, "its bytes are not the ones listed", ANEW)
    return data


class ManifestWriter:
    """Appends signed lines behind those of `lines`. entries: of earlier runs.

    Raises ReleaseError where the folder holds a release with another header.
    """

    def __init__(self, lines: Lines, *, key: Key, header: Mapping[str, Any]) -> None:
        self._lines, self._signer = lines, signing_key(key)
        self._previous = ""
        self.entries: Mapping[str, Entry] = {}
        self._listed: set[str] = set()
        facts = {"kind": "header", "version": VERSION, "public_key": public_key(key), **header}
        if not lines.size:
            self._append([facts])
            return
        held = verify_lines(lines.path, lines.kept())
        if not held.entries:  # a run that ended before its first file binds nobody
            lines.cut(0)
            self._append([facts])
            return
        _same(lines.path, held.header, {**facts, "previous": ""})
        lines.cut(held.size)
        self._previous = held.last
        self.entries = held.entries
        self._listed.update(held.entries)

    def add(self, entries: Iterable[Entry]) -> None:
        """List files, durable when this returns; those that an earlier run listed alike are left out."""
        new = [entry for entry in entries if self.entries.get(entry.file) != entry]
        self._append([_row(entry) for entry in new])
        self._listed.update(entry.file for entry in new)

    def close(self) -> None:
        """Write the closing line: the list is whole."""
        self._append([{"kind": "end", "files": len(self._listed)}])

    def _append(self, rows: list[dict[str, Any]]) -> None:
        lines, previous = [], self._previous
        for row in rows:
            body = _json({**row, "previous": previous})[:-1]
            line = body + _MARK + self._signer.sign(body).hex().encode() + _END
            lines.append(line)
            previous = digest(line)
        self._lines.append(lines)
        self._previous = previous


def safe_path(text: object) -> bool:
    """Whether a listed name stays below the release folder."""
    if not isinstance(text, str) or not text or "\\" in text or "\0" in text or ":" in text[:2]:
        return False
    path = PurePosixPath(text)
    return not path.is_absolute() and ".." not in path.parts and str(path) == text


def _row(entry: Entry) -> dict[str, Any]:
    row = {"kind": "file", "file": entry.file, "sha256": entry.sha256}
    return row if entry.agreement is None else {**row, "agreement": entry.agreement}


def _entry(path: Path, number: int, facts: Mapping[str, Any]) -> Entry:
    file, agreement = facts.get("file"), facts.get("agreement")
    if not safe_path(file):
        raise ReleaseError(path, f"line {number} names a file outside the release")
    if not isinstance(facts.get("sha256"), str) or agreement not in (None, True, False):
        raise ReleaseError(path, f"line {number} lacks the facts of a file")
    return Entry(file=str(file), sha256=facts["sha256"], agreement=agreement)


def _facts(path: Path, number: int, line: bytes, *, kind: str | None = None) -> dict[str, Any]:
    try:
        facts = json.loads(line[:-_TAIL] + b"}")
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or facts.get("kind") not in ("header", "file", "end"):
        raise ReleaseError(path, f"line {number} is no line of a manifest")
    if kind is not None and facts["kind"] != kind:
        raise ReleaseError(path, f"line {number} is no {kind}")
    return facts


def _verify(path: Path, number: int, line: bytes, public: Ed25519PublicKey) -> None:
    tail = line[-_TAIL:]
    try:
        signature = bytes.fromhex(tail[len(_MARK) : -len(_END)].decode())
        if tail != _MARK + signature.hex().encode() + _END:  # one spelling only
            raise ValueError
        public.verify(signature, line[:-_TAIL])
    except (InvalidSignature, ValueError):
        reason = f"line {number} was changed after it was signed"
        raise ReleaseError(path, reason, "release again into a new folder") from None


def _public(path: Path, text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise ReleaseError(path, "its public key is not one") from None


def _same(path: Path, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differing = sorted(name for name in {*held, *wanted} if held.get(name) != wanted.get(name))
    if differing:
        reason = f"this folder holds a release made with another {', '.join(differing)}"
        raise ReleaseError(path.parent, reason, "release into a new folder")


def _json(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
