"""release: a source in, a folder of NTEs with a signed list out; resumable, streamed, of any kind."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from catch11.data.pictures import quiet
from catch11.data.selection import batches
from catch11.data.stores.frame import Source
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.kinds import IMAGE
from catch11.recoding.frame import Recoder
from catch11.recoding.keep import EVERYTHING, Keep
from catch11.recoding.threads import torch_threads
from catch11.releases.commit import Committer, Refusal
from catch11.releases.ledger import Blank, Ledger, Marks, Row
from catch11.releases.lines import Lines
from catch11.releases.manifest import ManifestWriter, public_key
from catch11.releases.names import Names, Naming
from catch11.releases.pipeline import Long, Pipeline, Request, pipeline_of
from catch11.releases.places import Places, one_sentence, places, workroom
from catch11.releases.task import Done, Task
from catch11.releases.work import refuse_second_strength, work

Progress = Callable[[int, int, str], None]
Runner = Callable[[Task, Sequence[Sequence[str]]], Iterator[list[Done]]]
"""Works off chunks of sources, and gives what became of them in their order."""
_PRIVATE, _PUBLIC = 0o600, 0o666
# The recoder's options tell how hard was searched, and how narrow the answer is: `settings` is a keyed id of them.
_OWN = "recoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of the sources: files written now, standing from an earlier run, withheld
    because the recoder or the check refused them, and skipped as unreadable. refused: why; each one's
    reason stands in the ledger. counts: of the content of those that were worked on now, by kind of data: rows and
    rows_withheld of tables; tokens, unknown and cut (documents that were truncated) of texts. keep:
    what is kept; distance: the median and the worst of the released files, where it is measured. address: of
    the signed list, where the release was sent away and no list lies at `manifest`."""

    written: int
    reused: int
    withheld: int
    skipped: int
    manifest: Path
    ledger: Path
    refused: tuple[Refusal, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    keep: Keep = EVERYTHING
    distance: tuple[float, float] | None = None
    address: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing was released, now or before."""
        return not self.written + self.reused

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        facts = asdict(self)
        facts["manifest"] = facts.pop("address") or self.manifest
        return facts | facts.pop("counts") | self.keep.to_dict()


def release(
    src: str | os.PathLike[str] | Source,
    dst: str | os.PathLike[str],
    recoder: Recoder[Any],
    *,
    format: str | None = None,
    model: Any = None,
    check: Any = None,
    names: Naming = "keep",
    ledger: str | os.PathLike[str] | None = None,
    workers: int = 1,
    resume: bool = True,
    read: Callable[..., Any] | None = None,
    columns: Sequence[str] = (),
    long: Long = "truncate",
    most: int | None = None,
    strict: bool = True,
    marks: Key | Marks | None = None,
    progress: Progress | None = None,
    run: Runner | None = None,
) -> Summary:
    """Recode every picture, sound, table or document of `src` into the folder `dst`.

    src: a folder; of tables and texts a file too; of pictures and sounds also an opened store (see
    `whole.release`). model: the authorized model, where sources are
    read for it (tables, texts, features of sounds) and neither check nor recoder has it. check: it; what it answers otherwise than
    the source is withheld, of a table row by row. names: "keep" mirrors the tree, "opaque" writes
    keyed ids. ledger: the private list, beside `dst` unless given. workers: threads; the bytes
    written do not depend on it. read: how a picture or sound comes to the canvas, if not as usual.
    columns: of texts in a CSV or TSV. long: what becomes of a document that the model, or `most`
    tokens, has no room for: "truncate" or "refuse". strict: a source that the ledger knows at other settings
    stops the release; else it alone is withheld. marks: what the ledger knows sources by, if not the
    key. progress: called with (done, total, source). run: by
    what chunks are done, if not by `workers` threads.

    A run that was stopped resumes where it stood; sources that cannot be read are skipped with a
    reason in the ledger, and nothing else stops a run half-way but the disk. Raises ReleaseError,
    InvalidArgument, KeyMismatch.
    """
    if workers < 1:
        raise InvalidArgument("workers", expected="at least 1", found=workers)
    plan = planned(
        src, dst, recoder, format=format, model=model, check=check, ledger=ledger, resume=resume,
        read=read, columns=columns, long=long, most=most,
    )  # fmt: skip
    where, pipeline, key = plan.places, plan.pipeline, recoder.key
    with one_sentence(where.release):
        where.ledger.parent.mkdir(parents=True, exist_ok=True)
        threads = torch_threads(recoder.threads)
        with Lines(where.ledger, mode=_PRIVATE) as private, quiet(), threads:
            task = Task(
                places=where, pipeline=pipeline, canvas=key.canvas, ledger=Ledger(private, key=marks or key),
                settings=settings_id(recoder, pipeline), check=check, strict=strict,
            )  # fmt: skip
            refuse_second_strength(task)
            done = _fill(task, recoder, names, run or partial(in_threads, workers), progress)
    count = done.count
    return Summary(
        written=count["released"], reused=count["reused"], withheld=count["withheld"],
        skipped=count["skipped"], manifest=where.manifest, ledger=where.ledger,
        refused=done.refused, counts=dict(done.content), keep=recoder.keeps,
        distance=(median(done.distances), max(done.distances)) if done.distances else None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A release of which everything is checked and nothing written yet."""

    places: Places
    pipeline: Pipeline[Any, Any]
    recoder: Recoder[Any]
    check: Any = None


def planned(
    src: str | os.PathLike[str] | Source,
    dst: str | os.PathLike[str],
    recoder: Recoder[Any],
    *,
    format: str | None = None,
    model: Any = None,
    check: Any = None,
    ledger: str | os.PathLike[str] | None = None,
    resume: bool = True,
    read: Callable[..., Any] | None = None,
    columns: Sequence[str] = (),
    long: Long = "truncate",
    most: int | None = None,
) -> Planned:
    """The release that `release` would make of the same; writes nothing. Raises as it does."""
    models = (model, check, getattr(recoder, "model", None))
    reader = next((one for one in models if one is not None), None)
    asked = Request(
        recoder=recoder, model=reader, check=check, read=read, columns=tuple(columns), long=long,
        most=most, source=src if isinstance(src, Source) else None,
    )  # fmt: skip
    kind = pipeline_of(asked)
    path = None if isinstance(src, Source) else src
    where = places(path, dst, ledger, resume=resume, files=kind.from_file)
    pipeline = kind.open(Path(path or dst), asked)
    own = pipeline.form.option or pipeline.form.name
    if format not in (None, pipeline.form.name, own):
        expected = f"{own}, as the recoder was made"
        raise InvalidArgument("format", expected=expected, found=format)
    return Planned(places=where, pipeline=pipeline, recoder=recoder, check=check)


def settings_id(recoder: Recoder[Any], pipeline: Pipeline[Any, Any]) -> str:
    """A keyed id of everything that decides what becomes of a source."""
    facts = [recoder.method, pipeline.form.name, recoder.settings, *pipeline.facts().values()]
    text = json.dumps(facts, sort_keys=True)
    return recoder.key.stream(text.encode(), purpose="settings").bytes(16).hex()


def header(task: Task, recoder: Recoder[Any], names: Naming) -> Mapping[str, Any]:
    """What a release says of itself."""
    kind, seal = recoder.key.modality, recoder.domain.seal
    return {
        "key": recoder.key.fingerprint,
        **({} if kind == IMAGE else {"modality": kind}),
        "method": recoder.method,
        **recoder.keeps.to_dict(),
        "format": task.pipeline.form.name,
        **{name: value for name, value in task.pipeline.facts().items() if name != _OWN},
        "settings": task.settings,
        "names": names,
        "checked": task.checked,
        **({} if seal is None else {"sealed": seal.fingerprint}),
        "canvas": task.canvas.to_dict(),
    }


def stated(plan: Planned, names: Naming) -> Mapping[str, Any]:
    """What the list of a planned release would state, and who would sign it."""
    pipeline, key = plan.pipeline, plan.recoder.key
    task = Task(
        places=plan.places, pipeline=pipeline, canvas=key.canvas, ledger=Blank(key),
        settings=settings_id(plan.recoder, pipeline), check=plan.check,
    )  # fmt: skip
    return {"public_key": public_key(key), **header(task, plan.recoder, names)}


def _fill(
    task: Task, recoder: Recoder[Any], naming: Naming, run: Runner, progress: Progress | None
) -> Committer:
    """Work off all sources into the release folder."""
    where, key, pipeline = task.places, recoder.key, task.pipeline
    names = Names(
        naming, key=key, suffix=pipeline.form.suffix, sources=pipeline.names, keyed=pipeline.keyed
    )
    order = pipeline.sort(sorted(pipeline.names, key=names.order))
    chunks = list(batches(order, pipeline.batch))
    where.release.mkdir(parents=True, exist_ok=True)
    with Lines(where.manifest, mode=_PUBLIC) as public, workroom(where):
        manifest = ManifestWriter(public, key=key, header=header(task, recoder, naming))
        committer = Committer(where, ledger=task.ledger, manifest=manifest, names=names)
        given = task.ledger.files(task.settings)
        committer.remember(
            (one, given[one]) for one in (pipeline.names if given else ()) if one in given
        )
        _commit_all(committer, task, chunks, run, progress)
        manifest.close()
    return committer


def _commit_all(
    committer: Committer,
    task: Task,
    chunks: Sequence[Sequence[str]],
    run: Runner,
    progress: Progress | None,
) -> None:
    problems = task.pipeline.problems
    lost = [Done(row=Row(source=name, outcome="skipped", reason=why)) for name, why in problems]
    total, done = len(lost) + sum(map(len, chunks)), 0
    for chunk in chain([lost], run(task, chunks)):
        committer.commit(chunk)
        for item in chunk:
            done += 1
            if progress is not None:
                progress(done, total, item.row.source)


def in_threads(workers: int, task: Task, chunks: Sequence[Sequence[str]]) -> Iterator[list[Done]]:
    """Results in the order of the chunks, few of them ahead: memory does not grow with the list."""
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
