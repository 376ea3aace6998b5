"""The owner's private list: what became of every source, and which sources were released before.

Line 1 names the key; then one line a source and run that says something new. Sources are known by
an HMAC of their bytes and of their pixels in the window, under the key, so the ledger alone does
not confirm a guess. It holds source names all the same: keep it private (mode 0600).
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from sys import intern
from typing import Any, Literal

from catch11.crypto.stream import KeyedStream, keyed_stream
from catch11.errors import ReleaseError
from catch11.keys.key import Key
from catch11.releases.lines import Lines, whole_lines
from catch11.releases.manifest import safe_path

VERSION = 1
Outcome = Literal["released", "withheld", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one source.

    source: path below the source folder. mac, pixels: HMAC of its bytes and of its pixels in the
    window; empty if they could not be read. settings: id of the recoder's settings. checked: fingerprint of
    the model whose answer was checked. psnr: dB over the window, peak 1, None where nothing
    changed. front_shift: ‖A(x̃−x)‖₂ / ‖A(x−mean)‖₂, None where the source is blank. distance: of
    the file from what was to be kept (see `recoding.keep`), None where that is the answer alone.
    """

    source: str
    outcome: Outcome
    mac: str = ""
    pixels: str = ""
    settings: str = ""
    checked: str = ""
    file: str = ""
    sha256: str = ""
    psnr: float | None = None
    front_shift: float | None = None
    distance: float | None = None
    agreement: bool | None = None
    reason: str = ""

    def to_line(self) -> bytes:
        """One line of strict JSON, without what is empty."""
        facts = {name: value for name, value in asdict(self).items() if value not in ("", None)}
        return json.dumps(facts, ensure_ascii=True, allow_nan=False).encode()


_NUMBERS = ("psnr", "front_shift", "distance")
_TEXTS = {item.name for item in fields(Row)} - {*_NUMBERS, "agreement"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a ledger knows sources by where it is not the key alone: of several keys of one model, whose
    files of one source must not meet. fingerprint: what its first line says. secret: of the HMACs."""

    fingerprint: str
    secret: bytes = field(repr=False)

    def stream(self, *parts: bytes, purpose: str) -> KeyedStream:
        """As of a key."""
        return keyed_stream(self.secret, purpose, *parts)


class Ledger:
    """The ledger, open for one run or several: what it knows, and appending. several: what is added is known from then
    on; a single run asks of a source once, and need not hold it.

    Raises ReleaseError for a ledger of another key and for a line that is none.
    """

    def __init__(self, lines: Lines, *, key: Key | Marks, several: bool = False) -> None:
        self._lines, self._key, self._several = lines, key, several
        facts = {"catch11": "ledger", "version": VERSION, "key": key.fingerprint}
        header = json.dumps(facts).encode()
        if not lines.size:
            lines.append([header])
        self._rows: dict[tuple[str, str, str, str], Row] = {}
        self._sources: set[str] = set()
        self._strength: dict[str, Row] = {}
        self._know(parse(lines.path, lines.kept(), key=key.fingerprint))

    def mac(self, data: bytes, *, of: str) -> str:
        """HMAC, in hex, of a source's bytes ("source") or window ("pixels")."""
        return content_mac(self._key, data, of=of)

    def knows(self, source: str) -> bool:
        """Whether an earlier run said anything about a source of this name."""
        return source in self._sources

    def row(self, source: str, mac: str, *, settings: str, checked: str) -> Row | None:
        """What is known of exactly this content at this place under these settings."""
        return self._rows.get((source, mac, settings, checked))

    def released(self, mac: str) -> Row | None:
        """The first release of anything with these bytes or pixels."""
        return self._strength.get(mac)

    def foreign(self, settings: str) -> bool:
        """Whether anything was released with other settings."""
        return any(row.settings != settings for row in self._strength.values())

    def files(self, settings: str) -> Mapping[str, str]:
        """The names that were given under these settings, by source."""
        return {
            row.source: row.file
            for row in self._rows.values()
            if row.outcome == "released" and row.settings == settings
        }

    def add(self, rows: Iterable[Row]) -> None:
        """Append what is new, durable when this returns."""
        new = {}
        for row in rows:
            place = (row.source, row.mac, row.settings, row.checked)
            if self._rows.get(place) != row:
                new[place] = row
        self._lines.append([row.to_line() for row in new.values()])
        if self._several:
            self._know(new.values())

    def _know(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows[row.source, row.mac, row.settings, row.checked] = row
            self._sources.add(row.source)
            if row.outcome == "released":
                for mac in (row.mac, row.pixels) if row.pixels else (row.mac,):
                    self._strength.setdefault(mac, row)


class Blank(Ledger):
    """A ledger that knows nothing and is written nowhere: what workers elsewhere hold."""

    def __init__(self, key: Key) -> None:
        self._key, self._rows, self._sources, self._strength = key, {}, set(), {}


def content_mac(key: Key | Marks, data: bytes, *, of: str) -> str:
    """As `Ledger.mac`, under a key."""
    return key.stream(data, purpose=f"ledger {of}").bytes(32).hex()


def read_ledger(path: Path) -> list[Row]:
    """The rows of a ledger file, in order; the input is treated as hostile."""
    return list(rows_in(path))


def rows_in(path: Path) -> Iterator[Row]:
    """As `read_ledger`, one by one."""
    try:
        with path.open("rb") as file:
            yield from parse(path, whole_lines(file))
    except OSError as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(path, f"the ledger cannot be read ({error.strerror})") from None


def parse(path: Path, lines: Iterable[bytes], *, key: str | None = None) -> Iterator[Row]:
    """Rows of a ledger's lines. Raises ReleaseError for another key's, naming the line else."""
    lines = iter(lines)
    header = _object(path, 1, next(lines, b""))
    if header.get("catch11") != "ledger" or header.get("version") != VERSION:
        raise ReleaseError(path, "it is not a ledger", "give another file with --ledger")
    if key is not None and header.get("key") != key:
        remedy = "use that key, or give another file with --ledger"
        raise ReleaseError(path, "this ledger belongs to another key", remedy)
    return (_row(path, number, line) for number, line in enumerate(lines, start=2))


# By hand: pydantic reads no names that are no UTF-8, which a ledger may hold, and would save two lines.
def _row(path: Path, number: int, line: bytes) -> Row:
    facts = _object(path, number, line)
    try:
        row = Row(**facts)
    except TypeError:
        raise _no_line(path, number) from None
    numbers = [getattr(row, name) for name in _NUMBERS]
    good = all(isinstance(getattr(row, name), str) for name in _TEXTS)
    good &= row.agreement in (None, True, False) and (not row.file or safe_path(row.file))
    good &= row.outcome in ("released", "withheld", "skipped") and bool(row.source)
    good &= all(n is None or (isinstance(n, int | float) and math.isfinite(n)) for n in numbers)
    if not good:
        raise _no_line(path, number)
    # Texts that every line repeats are held once.
    return replace(row, settings=intern(row.settings), checked=intern(row.checked))


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise _no_line(path, number)
    return facts


def _no_line(path: Path, number: int) -> ReleaseError:
    reason = f"line {number} is no line of a ledger"
    return ReleaseError(path, reason, "restore the file or give another with --ledger")
