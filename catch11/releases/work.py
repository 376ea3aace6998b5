"""The work on one chunk of sources: read, recode, write, read back, check. No order, no names.

Chunks are cut from the sorted list of sources and are recoded whole, so what is in a file does not
depend on the number of workers or on where an earlier run stopped. Everything here may run in
several threads at once; names and lists are the business of the one that commits (`engine`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catch11.errors import ReleaseError, SecondStrength, UnreadableSource
from catch11.releases.durable import sync_file
from catch11.releases.form import digest
from catch11.releases.ledger import Row
from catch11.releases.pipeline import Draft
from catch11.releases.task import OTHERWISE, TWICE, Done, Task


@dataclass(frozen=True, slots=True)
class _Source:
    """A readable source: its name, the item, the HMACs of its content and of what a model sees."""

    name: str
    item: Any
    mac: str
    seen: str


@dataclass(frozen=True, slots=True)
class _File:
    """A source on its way: what was made of it, its unfinished file, and what that reads back as."""

    source: _Source
    made: Draft[Any]
    path: Path
    data: bytes = b""

    @property
    def stands(self) -> bool:
        """Whether there is something to release."""
        return self.made.value is not None


def work(task: Task, number: int, names: Sequence[str]) -> list[Done]:
    """What became of each source of chunk `number`, in order.

    Raises ReleaseError where the disk gives back other bytes than were written, or where the
    ledger knows a source at other settings.
    """
    before = settled(task, names)
    if before is not None:
        return before
    looked = [_look(task, name) for name in names]
    sources = [one for one in looked if isinstance(one, _Source)]
    made = iter(_recode(task, number, sources) if sources else [])
    return [one if isinstance(one, Done) else next(made) for one in looked]


def refuse_second_strength(task: Task) -> None:
    """Hold every source, and every part of one, against a ledger that knows other settings."""
    pipeline = task.pipeline
    if not task.strict or not task.ledger.foreign(task.settings):
        return
    for name in pipeline.names:
        try:
            data = pipeline.data(name)
            _mac(task, name, data)
            item = pipeline.read(name, data) if pipeline.divided else None
        except UnreadableSource:
            continue
        _check_parts(task, item)


def _check_parts(task: Task, item: Any) -> None:
    """Raises SecondStrength for an item of which a part was released at other settings."""
    for part, content in task.pipeline.parts(item) if task.pipeline.divided else ():
        _mac(task, part, content)


def _mac(task: Task, name: str, data: bytes) -> str:
    """HMAC of a source's content; raises ReleaseError if it was released at other settings."""
    mac = task.ledger.mac(data, of="source")
    known = task.ledger.released(mac)
    if known is not None and known.settings != task.settings:
        raise SecondStrength(
            name,
            "the ledger knows its content, released with other settings as "
            f"{known.file or known.source}, and two strengths of one {task.pipeline.noun} together "
            "give the original away",
            "use the same settings, or remove the source",
        )
    return mac


def settled(task: Task, names: Sequence[str]) -> list[Done] | None:
    """The results without recoding, if an earlier run left nothing to do here."""
    done = []
    for name in names:
        if not task.ledger.knows(name):
            return None
        try:
            known = standing(task, name, _mac(task, name, task.pipeline.data(name)))
        except (UnreadableSource, SecondStrength):
            return None
        if known is None:
            return None
        done.append(known)
    return done


def standing(task: Task, name: str, mac: str) -> Done | None:
    """The result of an earlier run, if it holds: the hash of the file decides, not its name."""
    row = task.ledger.row(name, mac, settings=task.settings, checked=task.checked)
    if row is None or row.outcome == "skipped":
        return None
    if row.outcome == "released":
        try:
            data = (task.places.release / row.file).read_bytes()
        except (OSError, ValueError):
            return None
        if digest(data) != row.sha256:
            return None
    return Done(row=row, reused=True)


def _look(task: Task, name: str) -> _Source | Done:
    mac, pipeline = "", task.pipeline
    try:
        data = pipeline.data(name)
        mac = _mac(task, name, data)
        item = pipeline.read(name, data)
        if not task.strict:
            _check_parts(task, item)
    except UnreadableSource as error:
        return Done(row=Row(source=name, outcome="skipped", mac=mac, reason=error.reason))
    except SecondStrength:
        if task.strict:
            raise
        row = _row(task, _Source(name, None, task.ledger.mac(data, of="source"), ""))
        return Done(row=replace(row, outcome="withheld", reason=f"it was {TWICE}"))
    seen = pipeline.seen(item)
    source = _Source(name, item, mac, task.ledger.mac(seen, of="pixels") if seen else "")
    known = task.ledger.released(source.seen) if seen else None
    if known is not None and known.settings != task.settings:
        return Done(row=replace(_row(task, source), outcome="withheld", reason=f"its pixels were {TWICE}, as {known.file}"))  # fmt: skip
    return source


def _recode(task: Task, number: int, sources: Sequence[_Source]) -> list[Done]:
    made = task.pipeline.recode([source.item for source in sources])
    known = [standing(task, source.name, source.mac) for source in sources]
    files = [
        _written(task, _File(source, one, task.places.workroom / f"{number}-{index}"))
        for index, (source, one) in enumerate(zip(sources, made, strict=True))
        if known[index] is None
    ]
    files = _judged(task, files)
    for file in files:
        if file.stands and task.on_disk:
            sync_file(file.path)
    new = iter(files)
    return [held or _alike(task, _done(task, next(new))) for held in known]


def _alike(task: Task, done: Done) -> Done:
    """The same, unless the source was released before as another file, of the same settings."""
    before = task.ledger.released(done.row.mac)
    alike = (
        before is None or before.checked != task.checked or before.sha256 in ("", done.row.sha256)
    )
    if task.strict or alike or done.row.outcome != "released":
        return done
    row = replace(
        done.row, outcome="withheld", reason=f"it was {OTHERWISE}", sha256="", agreement=None
    )
    return replace(done, row=row, parts=(), temporary=None, data=None)


def _written(task: Task, file: _File) -> _File:
    """Write the file, read it back, and hold it against what was meant to be written."""
    if not file.stands:
        return file
    form, value = task.pipeline.form, file.made.value
    meant = form.encode(value, task.canvas)
    data = meant
    if task.on_disk:
        file.path.write_bytes(meant)
        data = file.path.read_bytes()
    try:
        intact = data == meant and form.intact(data, value, task.canvas)
    except ValueError:
        intact = False
    if not intact:
        reason = "the file read back differs from what was written"
        raise ReleaseError(file.source.name, reason, "check the disk")
    return replace(file, data=data)


def _judged(task: Task, files: list[_File]) -> list[_File]:
    """Withhold what the authorized model no longer answers as it answers the source."""
    held = [file for file in files if file.stands]
    if task.check is None or not held:
        return files
    columns = zip(*((one.source.item, one.made, one.data) for one in held), strict=True)
    judged = iter(task.pipeline.judge(*columns))
    return [_revised(task, file, next(judged)) if file.stands else file for file in files]


def _revised(task: Task, file: _File, made: Draft[Any]) -> _File:
    """A file after its check, which may leave out parts of it."""
    if made.value is file.made.value:
        return file
    if made.value is None:
        file.path.unlink(missing_ok=True)
    return _written(task, replace(file, made=made))


def _done(task: Task, file: _File) -> Done:
    made, row = file.made, _row(task, file.source)
    if file.stands:
        row = replace(
            row, sha256=digest(file.data), agreement=None if task.check is None else True,
            psnr=_finite(made.psnr), front_shift=_finite(made.front_shift),
            distance=_finite(made.distance),
        )  # fmt: skip
    else:
        row = replace(row, outcome="withheld", reason=made.reason)
    return Done(
        row=row,
        parts=_parts(task, file),
        temporary=file.path if file.stands and task.on_disk else None,
        data=file.data if file.stands and not task.on_disk else None,
        counts=made.counts,
    )


def _parts(task: Task, file: _File) -> list[Row]:
    """A row for each part of a source."""
    rows = []
    for name, content in task.pipeline.parts(file.source.item):
        reason = file.made.left_out.get(name, "") if file.stands else file.made.reason
        rows.append(
            Row(
                source=name, outcome="withheld" if reason else "released",
                mac=task.ledger.mac(content, of="source"), settings=task.settings,
                checked=task.checked, reason=reason,
            )
        )  # fmt: skip
    return rows


def _row(task: Task, source: _Source) -> Row:
    return Row(
        source=source.name, outcome="released", mac=source.mac, pixels=source.seen,
        settings=task.settings, checked=task.checked,
    )  # fmt: skip


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: an unchanged picture has no PSNR, a blank one no relative shift."""
    return None if value is None or not math.isfinite(value) else value
