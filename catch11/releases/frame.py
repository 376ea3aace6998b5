"""release: a folder of pictures in, a folder of NTEs with a signed list out; resumable, streamed."""

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catch11.data.folder import Folder, walk
from catch11.data.pictures import quiet, read_source
from catch11.errors import InvalidArgument, UnreadableSource
from catch11.keys.authorized import IMAGE
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.releases.check import same_canvas
from catch11.releases.commit import Committer
from catch11.releases.form import form_of
from catch11.releases.ledger import Ledger, Row
from catch11.releases.lines import Lines
from catch11.releases.manifest import ManifestWriter
from catch11.releases.names import Names, Naming
from catch11.releases.places import Places, one_sentence, places, workroom
from catch11.releases.sources import Read, read_of
from catch11.releases.work import Done, Task, source_mac, work

Progress = Callable[[int, int, str], None]
_PRIVATE, _PUBLIC = 0o600, 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of the sources: files written now, standing from an earlier run, withheld
    because the recoder or the check refused them, and skipped as unreadable. Reasons stand in the
    ledger."""

    written: int
    reused: int
    withheld: int
    skipped: int
    manifest: Path
    ledger: Path


def release(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    recoder: Recoder,
    *,
    format: str | None = None,
    check: Model | None = None,
    names: Naming = "keep",
    ledger: str | os.PathLike[str] | None = None,
    workers: int = 1,
    resume: bool = True,
    read: Read | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Recode every picture or sound below `src` into the folder `dst`.

    check: the authorized model; what it answers otherwise than the source is withheld. names:
    "keep" mirrors the tree, "opaque" writes keyed ids. ledger: the private list, beside `dst`
    unless given. workers: threads; the bytes written do not depend on it. read: how a source comes
    to the canvas, as the canvas says unless given. progress: called with
    (done, total, source). A run that was stopped resumes where it stood; sources that cannot be
    read are skipped with a reason in the ledger, and nothing else stops a run half-way but the
    disk. Raises ReleaseError, InvalidArgument, KeyMismatch.
    """
    if format not in (None, recoder.domain.format):
        expected = f"{recoder.domain.format}, as the recoder was made"
        raise InvalidArgument("format", expected=expected, found=format)
    if workers < 1:
        raise InvalidArgument("workers", expected="at least 1", found=workers)
    if recoder.key.private and recoder.scramble is None:
        raise InvalidArgument(
            "copy", expected="the secret of the personalised copy that the key is of", found="none",
            remedy="a copy reads scrambled pictures only: give the recoder copy=load_secret(FILE)",
        )  # fmt: skip
    if check is not None:
        same_canvas(check, recoder.key.canvas)
        recoder.key.check_reader(check)
    where = places(src, dst, ledger, resume=resume)
    folder = walk(where.source)
    with one_sentence(where.release):
        where.ledger.parent.mkdir(parents=True, exist_ok=True)
        with Lines(where.ledger, mode=_PRIVATE) as private, quiet():
            task = _task(where, recoder, Ledger(private, key=recoder.key), check, read)
            _refuse_second_strength(task, folder)
            count = _fill(task, folder, names, workers, progress)
    return Summary(
        written=count["released"],
        reused=count["reused"],
        withheld=count["withheld"],
        skipped=count["skipped"],
        manifest=where.manifest,
        ledger=where.ledger,
    )


def settings_id(recoder: Recoder) -> str:
    """A keyed id of everything that decides what the recoder makes of a picture."""
    facts = json.dumps([recoder.method, recoder.domain.format, recoder.settings], sort_keys=True)
    return recoder.key.stream(facts.encode(), purpose="settings").bytes(16).hex()


def _task(
    where: Places, recoder: Recoder, book: Ledger, check: Model | None, read: Read | None
) -> Task:
    return Task(
        places=where,
        recoder=recoder,
        form=form_of(recoder.domain.format),
        ledger=book,
        settings=settings_id(recoder),
        check=check,
        read=read or read_of(recoder.key.canvas),
    )


def _header(task: Task, names: Naming) -> dict[str, Any]:
    kind = task.recoder.key.modality
    return {
        **({} if kind == IMAGE else {"modality": kind}),
        "key": task.recoder.key.fingerprint,
        "method": task.recoder.method,
        "format": task.form.name,
        "settings": task.settings,
        "names": names,
        "checked": task.checked,
        "canvas": task.recoder.key.canvas.to_dict(),
    }


def _refuse_second_strength(task: Task, folder: Folder) -> None:
    """Before anything is written, hold every source against a ledger that knows other settings."""
    if not task.ledger.foreign(task.settings):
        return
    for path in folder.files:
        try:
            source_mac(task, path, read_source(folder.root / path))
        except UnreadableSource:
            continue


def _fill(
    task: Task, folder: Folder, naming: Naming, workers: int, progress: Progress | None
) -> Counter[str]:
    """Work off all sources into the release folder; how many came to what."""
    where, key = task.places, task.recoder.key
    names = Names(naming, key=key, suffix=task.form.suffix, sources=folder.files)
    files = sorted(folder.files, key=names.order)
    where.release.mkdir(parents=True, exist_ok=True)
    with Lines(where.manifest, mode=_PUBLIC) as public, workroom(where):
        manifest = ManifestWriter(public, key=key, header=_header(task, naming))
        committer = Committer(where, ledger=task.ledger, manifest=manifest, names=names)
        here = set(files)
        given = task.ledger.files(task.settings).items()
        committer.remember((source, file) for source, file in given if source in here)
        _commit_all(committer, task, files, folder.problems, workers, progress)
        manifest.close()
    return committer.count


def _commit_all(
    committer: Committer,
    task: Task,
    files: Sequence[str],
    problems: Sequence[tuple[str, str]],
    workers: int,
    progress: Progress | None,
) -> None:
    size = task.recoder.batch
    chunks = [files[start : start + size] for start in range(0, len(files), size)]
    lost = [Done(row=Row(source=path, outcome="skipped", reason=why)) for path, why in problems]
    total, done = len(files) + len(lost), 0
    for chunk in _in_order(lost, task, chunks, workers):
        committer.commit(chunk)
        for item in chunk:
            done += 1
            if progress is not None:
                progress(done, total, item.row.source)


def _in_order(
    first: list[Done], task: Task, chunks: Sequence[Sequence[str]], workers: int
) -> Iterator[list[Done]]:
    """Results in the order of the chunks, few of them ahead: memory does not grow with the list."""
    yield first
    if workers == 1:
        yield from (work(task, number, chunk) for number, chunk in enumerate(chunks))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="recode")
    ahead: deque[Future[list[Done]]] = deque()
    try:
        for number, chunk in enumerate(chunks):
            ahead.append(pool.submit(work, task, number, chunk))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
