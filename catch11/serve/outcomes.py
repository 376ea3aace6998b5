"""What became of a job's parts, read from what the engine wrote; the list and the bundle that go out.

A reason to withhold tells what the model answered, so none goes out; why a file could not be read
concerns the sender alone, and does.
"""

import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from catch11.data.tables import read_table
from catch11.data.texts import read_documents
from catch11.errors import UnreadableTable
from catch11.keys.key import Key
from catch11.releases.durable import sync_file
from catch11.releases.ledger import Marks, Row, content_mac, read_ledger
from catch11.releases.manifest import NAME
from catch11.releases.press import Bound
from catch11.releases.read import Release, read_release
from catch11.releases.task import OTHERWISE, TWICE
from catch11.serve.jobs import Outcome
from catch11.serve.refusals import Refused
from catch11.serve.settings import Place, make_private
from catch11.serve.vault import Opened

WITHHELD = "it was withheld"
AGAIN = (
    "it was released to you before with other settings or under another key, and two files of one source "
    "together give it away; ask for the same settings, use that file, or leave it out"
)
CHANGED = (
    "it was released to you before, and the gateway would make another file of it now; use that one"
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def outcomes(place: Place, ledger: Path, opened: Opened, names: Sequence[str]) -> list[Outcome]:
    """What became of each part of a finished job, in order."""
    key = opened.key
    release = read_release(place.release)
    listed = {entry.file: entry.sha256 for entry in release.entries}
    rows: dict[str, list[Row]] = {name: [] for name in names}
    alone = one_file(place, key, names) is not None
    for row in read_ledger(ledger):
        if (owner := names[0] if alone else _part_of(row.source, rows)) is not None:
            rows[owner].append(row)
    return [_outcome(place, opened.marks, name, rows[name], listed) for name in names]


def one_file(place: Place, key: Key, names: Sequence[str]) -> Path | None:
    """The source where it is one file with many documents in it; None where it is the folder."""
    table = key.modality == "text" and len(names) == 1 and not names[0].lower().endswith(".txt")
    return place.source / names[0] if table else None


def items(place: Place, key: Key, names: Sequence[str], *, columns: Sequence[str], joined: bool) -> int:  # fmt: skip
    """How many rows, documents, pictures or sounds the sources of a job hold; a file that cannot be read counts
    as one. joined: whether two columns are one document. Raises InvalidArgument."""
    if key.modality == "text":
        source = one_file(place, key, names) or place.source
        return len(read_documents(source, columns=columns, joined=joined).items)
    if key.modality != "table":
        return len(names)
    return sum(_rows_of(place.source / name) for name in names)


def _rows_of(path: Path) -> int:
    try:
        return len(read_table(path))
    except UnreadableTable:
        return 1


def write_lists(place: Place, ledger: Path, key: Key, names: Sequence[str]) -> None:
    """The job's own ledger, without what was measured, and the release in one file; durable."""
    release = read_release(place.release)
    alone = one_file(place, key, names) is not None
    rows = _rows(release, ledger, None if alone else names)
    replace_file(place.ledger, _ledger(key, rows))
    bundle(place, [entry.file for entry in release.entries])


def bundle(place: Place, files: Sequence[str]) -> None:
    """A job's release in one file; durable."""
    rough = place.bundle.with_suffix(".rough")
    with zipfile.ZipFile(rough, "w", zipfile.ZIP_STORED) as made:
        _fill(
            made, ((name, (place.release / name).read_bytes()) for name in (NAME, *sorted(files)))
        )
    sync_file(rough)
    os.replace(rough, place.bundle)


def zipped(bound: Bound) -> bytes:
    """A release in memory as the same zip."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as made:
        _fill(made, [(NAME, bound.manifest), *sorted(bound.files.items())])
    return held.getvalue()


def _fill(made: zipfile.ZipFile, members: Iterable[tuple[str, bytes]]) -> None:
    for name, data in members:
        info = zipfile.ZipInfo(name, date_time=_EPOCH)
        info.external_attr = 0o644 << 16
        made.writestr(info, data)


def keep_sources(place: Place, held: Mapping[str, bytes | Path]) -> None:
    """Lay what was sent out as that of a job; durable."""
    make_private(place.source)
    for name, data in held.items():
        path = place.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, bytes):
            path.write_bytes(data)
        sync_file(path)


def keep(place: Place, bound: Bound, key: Key, rows: Mapping[str, Row]) -> None:
    """Lay a release out as that of a finished job; durable. rows: by the names of the sources."""
    for name, data in (*bound.files.items(), (NAME, bound.manifest)):
        path = place.release / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sync_file(path)
    told = {
        file: _told(replace(rows[name], source=name), file) for name, file in bound.named.items()
    }
    replace_file(place.ledger, _ledger(key, [told[file] for file in sorted(told)]))


def unusable(parts: Sequence[Outcome]) -> Refused | None:
    """The refusal of a request of which no file could be used."""
    before = (AGAIN, CHANGED)
    if not parts or any(part.outcome != "skipped" and part.reason not in before for part in parts):
        return None
    first = parts[0]
    status = 409 if first.reason in before else 422
    return Refused(f"{first.name[:60]}: not usable: {first.reason}.", status=status)


def outcome_of(name: str, row: Row, file: str) -> Outcome:
    """Of one source that was worked off alone. file: its released name."""
    if row.outcome == "released":
        return Outcome(name=name, outcome="released", file=file, sha256=row.sha256)
    return _lost(name, [row])


def _ledger(key: Key, rows: Iterable[Row]) -> bytes:
    head = {"catch11": "ledger", "version": 1, "key": key.fingerprint}
    lines = [json.dumps(head).encode(), *(row.to_line() for row in rows)]
    return b"".join(line + b"\n" for line in lines)


def _told(row: Row, file: str) -> Row:
    """What a tenant may know of a released file."""
    return Row(
        source=row.source, outcome="released", settings=row.settings, checked=row.checked, file=file,
        sha256=row.sha256, agreement=row.agreement,
    )  # fmt: skip


def _rows(release: Release, ledger: Path, names: Sequence[str] | None) -> list[Row]:
    """The rows of released items of these parts, a file once, without measurements."""
    listed = {entry.file: entry.sha256 for entry in release.entries}
    known = dict.fromkeys(names or ())
    found: dict[str, Row] = {}
    for row in read_ledger(ledger):
        mine = row.outcome == "released" and listed.get(row.file) == row.sha256
        if mine and (names is None or _part_of(row.source, known) is not None):
            found[row.file] = _told(row, row.file)
    return [found[file] for file in sorted(found)]


def _outcome(
    place: Place, marks: Key | Marks, name: str, rows: Sequence[Row], listed: dict[str, str]
) -> Outcome:
    """Of one part: released if any of its items was."""
    for row in rows:
        if row.outcome == "released" and row.file and listed.get(row.file) == row.sha256:
            return Outcome(name=name, outcome="released", file=row.file, sha256=row.sha256)
    mac = content_mac(marks, (place.source / name).read_bytes(), of="source")
    told = [row for row in rows if row.mac in (mac, "")] or rows
    return _lost(name, told)


def _lost(name: str, rows: Sequence[Row]) -> Outcome:
    """Of a source without a file: what concerns the sender alone is told, and else nothing."""
    for mark, sentence in ((TWICE, AGAIN), (OTHERWISE, CHANGED)):
        if any(row.outcome == "withheld" and mark in row.reason for row in rows):
            return Outcome(name=name, outcome="withheld", reason=sentence)
    lost = next((row for row in reversed(rows) if row.outcome == "skipped"), None)
    if lost is not None and not any(row.outcome == "withheld" for row in rows):
        return Outcome(name=name, outcome="skipped", reason=lost.reason)
    return Outcome(name=name, outcome="withheld", reason=WITHHELD)


def _part_of(source: str, names: dict[str, list[Row]] | dict[str, None]) -> str | None:
    """The part that an item is, or is in."""
    if source in names:
        return source
    start = source.rpartition("#")[0]  # a row of a table
    return start if start in names else None


def replace_file(path: Path, data: bytes) -> None:
    """A file that is whole or as before, durable."""
    rough = path.with_suffix(".rough")
    rough.write_bytes(data)
    sync_file(rough)
    os.replace(rough, path)
