"""What became of a job's parts, read from what the engine wrote; the list and the bundle that go out.

A reason to withhold tells what the model answered, so none goes out; why a file could not be read
concerns the sender alone, and does.
"""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

from catch11.keys.key import Key
from catch11.releases.durable import sync_file
from catch11.releases.ledger import Row, content_mac, read_ledger
from catch11.releases.manifest import NAME
from catch11.releases.read import Release, read_release
from catch11.serve.jobs import Outcome
from catch11.serve.settings import Place

WITHHELD = "it was withheld"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def outcomes(place: Place, ledger: Path, key: Key, names: Sequence[str]) -> list[Outcome]:
    """What became of each part of a finished job, in order."""
    release = read_release(place.release)
    listed = {entry.file: entry.sha256 for entry in release.entries}
    rows: dict[str, list[Row]] = {name: [] for name in names}
    alone = one_file(place, key, names) is not None
    for row in read_ledger(ledger):
        if (owner := names[0] if alone else _part_of(row.source, rows)) is not None:
            rows[owner].append(row)
    return [_outcome(place, key, name, rows[name], listed) for name in names]


def one_file(place: Place, key: Key, names: Sequence[str]) -> Path | None:
    """The source where it is one file with many documents in it; None where it is the folder."""
    table = key.modality == "text" and len(names) == 1 and not names[0].lower().endswith(".txt")
    return place.source / names[0] if table else None


def write_lists(place: Place, ledger: Path, key: Key, names: Sequence[str]) -> None:
    """The job's own ledger, without what was measured, and the release in one file; durable."""
    release = read_release(place.release)
    alone = one_file(place, key, names) is not None
    rows = _rows(release, ledger, None if alone else names)
    head = {"catch11": "ledger", "version": 1, "key": key.fingerprint}
    lines = [json.dumps(head).encode(), *(row.to_line() for row in rows)]
    replace_file(place.ledger, b"".join(line + b"\n" for line in lines))
    rough = place.bundle.with_suffix(".rough")
    with zipfile.ZipFile(rough, "w", zipfile.ZIP_STORED) as bundle:
        for file in (NAME, *sorted(entry.file for entry in release.entries)):
            info = zipfile.ZipInfo(file, date_time=_EPOCH)
            info.external_attr = 0o644 << 16
            bundle.writestr(info, (place.release / file).read_bytes())
    sync_file(rough)
    os.replace(rough, place.bundle)


def _rows(release: Release, ledger: Path, names: Sequence[str] | None) -> list[Row]:
    """The rows of released items of these parts, a file once, without measurements."""
    listed = {entry.file: entry.sha256 for entry in release.entries}
    known = dict.fromkeys(names or ())
    found: dict[str, Row] = {}
    for row in read_ledger(ledger):
        mine = row.outcome == "released" and listed.get(row.file) == row.sha256
        if mine and (names is None or _part_of(row.source, known) is not None):
            found[row.file] = Row(
                source=row.source, outcome="released", settings=row.settings, checked=row.checked,
                file=row.file, sha256=row.sha256, agreement=row.agreement,
            )  # fmt: skip
    return [found[file] for file in sorted(found)]


def _outcome(
    place: Place, key: Key, name: str, rows: Sequence[Row], listed: dict[str, str]
) -> Outcome:
    """Of one part: released if any of its items was."""
    for row in rows:
        if row.outcome == "released" and row.file and listed.get(row.file) == row.sha256:
            return Outcome(name=name, outcome="released", file=row.file, sha256=row.sha256)
    mac = content_mac(key, (place.source / name).read_bytes(), of="source")
    told = [row for row in rows if row.mac in (mac, "")] or rows
    lost = next((row for row in reversed(told) if row.outcome == "skipped"), None)
    if lost is not None and not any(row.outcome == "withheld" for row in told):
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
