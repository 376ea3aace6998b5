"""The work on one chunk of sources: read, fit, recode, write, read back, check. No order, no names.

Chunks are cut from the sorted list of sources and are recoded whole, so what is in a file does not
depend on the number of workers or on where an earlier run stopped. Everything here may run in
several threads at once; names and lists are the business of the one that commits (`frame`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.data.pictures import read_source
from catch11.errors import ReleaseError, UnreadableSource
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.releases.check import released_answers, source_answers
from catch11.releases.durable import sync_file
from catch11.releases.form import Form, digest
from catch11.releases.ledger import Ledger, Row
from catch11.releases.places import Places
from catch11.releases.sources import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one source. temporary: the finished file, still without its name; None if
    nothing is to be placed, because nothing was released or the file stands already."""

    row: Row
    temporary: Path | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Everything the work on a chunk needs; read only."""

    places: Places
    recoder: Recoder
    form: Form
    ledger: Ledger
    settings: str
    check: Model | None
    read: Read

    @property
    def checked(self) -> str:
        return self.check.fingerprint if self.check is not None else ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A readable source: its place, its HMACs, its pixels on the canvas (see `Read`)."""

    path: str
    mac: str
    pixels_mac: str
    pixels: np.ndarray


def work(task: Task, number: int, paths: Sequence[str]) -> list[Done]:
    """What became of each source of chunk `number`, in order.

    Raises ReleaseError where the disk gives back other bytes than were written, or where the
    ledger knows a source at other settings.
    """
    settled = _settled(task, paths)
    if settled is not None:
        return settled
    looked = [_look(task, path) for path in paths]
    sources = [item for item in looked if isinstance(item, _Source)]
    made = iter(_recode(task, number, sources) if sources else [])
    return [item if isinstance(item, Done) else next(made) for item in looked]


def source_mac(task: Task, path: str, data: bytes) -> str:
    """HMAC of a source's bytes; raises ReleaseError if it was released at other settings."""
    mac = task.ledger.mac(data, of="source")
    known = task.ledger.released(mac)
    if known is not None and known.settings != task.settings:
        raise ReleaseError(
            path,
            f"the ledger knows this source, released with other settings as {known.file}, and two "
            "strengths of one picture together give the original away",
            "use the same settings, or remove the source",
        )
    return mac


def _settled(task: Task, paths: Sequence[str]) -> list[Done] | None:
    """The results without recoding, if an earlier run left nothing to do here."""
    done = []
    for path in paths:
        if not task.ledger.knows(path):
            return None
        try:
            mac = source_mac(task, path, read_source(task.places.source / path))
        except UnreadableSource:
            return None
        standing = _standing(task, path, mac)
        if standing is None:
            return None
        done.append(standing)
    return done


def _standing(task: Task, path: str, mac: str) -> Done | None:
    """The result of an earlier run, if it holds: the hash of the file decides, not its name."""
    row = task.ledger.row(path, mac, settings=task.settings, checked=task.checked)
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


def _look(task: Task, path: str) -> _Source | Done:
    mac = ""
    try:
        data = read_source(task.places.source / path)
        mac = source_mac(task, path, data)
        pixels = task.read(data, path, task.recoder.key.canvas)
    except UnreadableSource as error:
        return Done(row=Row(source=path, outcome="skipped", mac=mac, reason=error.reason))
    source = _Source(path, mac, task.ledger.mac(_window(task, pixels), of="pixels"), pixels)
    known = task.ledger.released(source.pixels_mac)
    if known is not None and known.settings != task.settings:
        reason = f"its pixels were released before with other settings, as {known.file}"
        return Done(row=replace(_row(task, source), outcome="withheld", reason=reason))
    return source


def _window(task: Task, pixels: np.ndarray) -> bytes:
    """The bytes of what the model sees: another margin is no other picture."""
    canvas = task.recoder.key.canvas
    rows = slice(canvas.top, canvas.top + canvas.window_height)
    return pixels[rows, canvas.left : canvas.left + canvas.window_width].tobytes()


def _recode(task: Task, number: int, sources: list[_Source]) -> list[Done]:
    stack = torch.from_numpy(np.stack([source.pixels for source in sources]))
    images = rearrange(stack, "n height width channel -> n channel height width").float()
    images = images / 255 if stack.dtype == torch.uint8 else images
    recoded = task.recoder(images)
    done = []
    for index, source in enumerate(sources):
        standing = _standing(task, source.path, source.mac)
        reason = recoded.reasons[index]
        if standing is not None:
            done.append(standing)
        elif reason is not None:
            row = replace(_row(task, source), outcome="withheld", reason=reason)
            done.append(Done(row=row))
        else:
            row = replace(
                _row(task, source),
                psnr=_finite(recoded.psnr[index]),
                front_shift=_finite(recoded.front_shift[index]),
            )
            path = task.places.workroom / f"{number}-{index}"
            done.append(_write(task, row, path, recoded.images[index]))
    done = _checked(task, sources, done)
    for item in done:
        if item.temporary is not None:
            sync_file(item.temporary)
    return done


def _write(task: Task, row: Row, path: Path, image: Float[Tensor, "channel height width"]) -> Done:
    """Write the file, read it back, and hold it against what was meant to be written."""
    canvas = task.recoder.key.canvas
    if not task.form.whole:
        image = canvas.window(image[None])[0]
    meant = task.form.encode(image, canvas)
    path.write_bytes(meant)
    data = path.read_bytes()
    try:
        intact = data == meant and task.form.same(image, task.form.read(data, canvas))
    except ValueError:
        intact = False
    if not intact:
        reason = "the file read back differs from what was written"
        raise ReleaseError(row.source, reason, "check the disk")
    return Done(row=replace(row, sha256=digest(data)), temporary=path)


def _checked(task: Task, sources: list[_Source], done: list[Done]) -> list[Done]:
    """Withhold what the authorized model no longer answers as it answers the source."""
    new = [(i, item.temporary) for i, item in enumerate(done) if item.temporary is not None]
    if task.check is None or not new:
        return done
    pixels = [sources[index].pixels for index, _ in new]
    clean = source_answers(task.check, pixels, scramble=task.recoder.scramble)
    files = [path.read_bytes() for _, path in new]
    released = released_answers(task.check, task.form, files)
    for (index, path), before, after in zip(new, clean, released, strict=True):
        row = replace(done[index].row, agreement=True)
        if before != after:
            path.unlink()
            reason = f"the authorized model answers {after} and answered {before} on the source"
            row = replace(_row(task, sources[index]), outcome="withheld", reason=reason)
        done[index] = Done(row=row, temporary=path if before == after else None)
    return done


def _row(task: Task, source: _Source) -> Row:
    return Row(
        source=source.path,
        outcome="released",
        mac=source.mac,
        pixels=source.pixels_mac,
        settings=task.settings,
        checked=task.checked,
    )


def _finite(value: float) -> float | None:
    """JSON has no infinity: an unchanged picture has no PSNR, a blank one no relative shift."""
    return value if math.isfinite(value) else None
