"""Releases of data that are no pictures: the order of writing, resuming and listing is that of images.

A kind of data says what its items are and how a chunk of them becomes bytes (`Make`); everything
that must be durable, signed or private happens here.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from catch11.errors import ReleaseError
from catch11.keys.key import Key
from catch11.releases.commit import Committer
from catch11.releases.durable import sync_file
from catch11.releases.form import digest
from catch11.releases.frame import Progress, Summary
from catch11.releases.ledger import Ledger, Outcome, Row
from catch11.releases.lines import Lines
from catch11.releases.manifest import ManifestWriter
from catch11.releases.names import Names, Naming
from catch11.releases.places import Places, one_sentence, workroom
from catch11.releases.work import Done

_PRIVATE, _PUBLIC = 0o600, 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to release. name: its place in the source. data: what identifies its content; it
    never leaves the process but as an HMAC under the key. parts: the same of what it is made of
    (the rows of a table), each of which is known to the ledger too."""

    name: str
    data: bytes
    parts: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of an item: the bytes of its file, or None and the reason. skipped: it could not
    be read, where otherwise it was withheld. front_shift, psnr: as the ledger keeps them. left_out:
    the parts that are not in the file, with their reasons."""

    data: bytes | None = None
    reason: str = ""
    skipped: bool = False
    agreement: bool | None = None
    front_shift: float | None = None
    psnr: float | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


Make = Callable[[Sequence[Item]], Sequence[Made]]


def release_items(
    where: Places,
    *,
    key: Key,
    header: Mapping[str, Any],
    chunks: Sequence[Sequence[Item]],
    problems: Sequence[tuple[str, str]],
    make: Make,
    suffix: str,
    names: Naming = "keep",
    checked: str = "",
    progress: Progress | None = None,
) -> Summary:
    """Make every item of every chunk into a file, or say in the ledger why not.

    header: what is public of the release, without key and names; it decides whether a source was
    released before at another strength. chunks: made whole, so that a resumed run makes the same
    bytes. problems: (name, reason) of what could not be read. checked: fingerprint of the model
    that checks. Raises ReleaseError; what is listed by then is intact.
    """
    facts = {"modality": key.modality, **header}
    settings = settings_of(key, facts)
    with one_sentence(where.release):
        where.ledger.parent.mkdir(parents=True, exist_ok=True)
        with Lines(where.ledger, mode=_PRIVATE) as private:
            book = Ledger(private, key=key)
            run = _Run(where, key, book, settings, checked, make)
            for chunk in chunks:
                run.refuse_second_strength(chunk)
            everything = [item.name for chunk in chunks for item in chunk]
            where.release.mkdir(parents=True, exist_ok=True)
            with Lines(where.manifest, mode=_PUBLIC) as public, workroom(where):
                given = Names(names, key=key, suffix=suffix, sources=everything)
                listed = {
                    "key": key.fingerprint, **facts, "settings": settings, "names": names,
                    "checked": checked, "canvas": key.canvas.to_dict(),
                }  # fmt: skip
                manifest = ManifestWriter(public, key=key, header=listed)
                committer = Committer(where, ledger=book, manifest=manifest, names=given)
                here = set(everything)
                known = book.files(settings).items()
                committer.remember((source, file) for source, file in known if source in here)
                count = run.fill(committer, chunks, problems, progress)
                manifest.close()
    return Summary(
        written=count["released"], reused=count["reused"], withheld=count["withheld"],
        skipped=count["skipped"], manifest=where.manifest, ledger=where.ledger,
    )  # fmt: skip


def settings_of(key: Key, facts: Mapping[str, Any]) -> str:
    """A keyed id of everything that decides what is made of an item."""
    text = json.dumps(facts, sort_keys=True)
    return key.stream(text.encode(), purpose="settings").bytes(16).hex()


@dataclass(frozen=True, slots=True)
class _Run:
    """What the work on one release needs."""

    where: Places
    key: Key
    book: Ledger
    settings: str
    checked: str
    make: Make

    def refuse_second_strength(self, chunk: Sequence[Item]) -> None:
        """Raises ReleaseError where the ledger knows an item's content at other settings."""
        if not self.book.foreign(self.settings):
            return
        for name, data in (one for item in chunk for one in ((item.name, item.data), *item.parts)):
            known = self.book.released(self.book.mac(data, of="source"))
            if known is not None and known.settings != self.settings:
                raise ReleaseError(
                    name,
                    "the ledger knows its content, released with other settings as "
                    f"{known.file or known.source}, "
                    "and two strengths of one thing together give the original away",
                    "use the same settings, or remove the source",
                )

    def fill(
        self,
        committer: Committer,
        chunks: Sequence[Sequence[Item]],
        problems: Sequence[tuple[str, str]],
        progress: Progress | None,
    ) -> Counter[str]:
        lost = [Done(row=Row(source=name, outcome="skipped", reason=why)) for name, why in problems]
        committer.commit(lost)
        done, total = len(lost), len(lost) + sum(map(len, chunks))
        for number, chunk in enumerate(chunks):
            committer.commit(self._chunk(number, chunk))
            done += len(chunk)
            if progress is not None:
                progress(done, total, chunk[-1].name if chunk else "")
        return committer.count

    def _chunk(self, number: int, chunk: Sequence[Item]) -> list[Done]:
        macs = [self.book.mac(item.data, of="source") for item in chunk]
        standing = [self._standing(item, mac) for item, mac in zip(chunk, macs, strict=True)]
        held = [item for item in standing if item is not None]
        if len(held) == len(chunk):
            return held
        made = self.make(chunk)
        done = []
        for index, (item, mac, one) in enumerate(zip(chunk, macs, made, strict=True)):
            done.append(standing[index] or self._written(f"{number}-{index}", item, mac, one))
            if standing[index] is None:
                self.book.add(self._parts(item, one))
        for result in done:
            if result.temporary is not None:
                sync_file(result.temporary)
        return done

    def _parts(self, item: Item, made: Made) -> list[Row]:
        """A row for each part: listed before its file stands, so that none is forgotten."""
        rows = []
        for name, data in item.parts:
            reason = made.reason if made.data is None else made.left_out.get(name, "")
            rows.append(
                Row(
                    source=name, outcome="withheld" if reason else "released",
                    mac=self.book.mac(data, of="source"), settings=self.settings,
                    checked=self.checked, reason=reason,
                )
            )  # fmt: skip
        return rows

    def _standing(self, item: Item, mac: str) -> Done | None:
        """The outcome of an earlier run, if it holds: the hash of the file decides."""
        row = self.book.row(item.name, mac, settings=self.settings, checked=self.checked)
        if row is None or row.outcome == "skipped":
            return None
        if row.outcome == "released":
            try:
                data = (self.where.release / row.file).read_bytes()
            except OSError:
                return None
            if digest(data) != row.sha256:
                return None
        return Done(row=row, reused=True)

    def _written(self, place: str, item: Item, mac: str, made: Made) -> Done:
        row = Row(
            source=item.name, outcome="released", mac=mac, settings=self.settings,
            checked=self.checked, agreement=made.agreement, front_shift=made.front_shift,
            psnr=made.psnr,
        )  # fmt: skip
        if made.data is None:
            outcome: Outcome = "skipped" if made.skipped else "withheld"
            bare = replace(row, agreement=None, front_shift=None, psnr=None)
            return Done(row=replace(bare, outcome=outcome, reason=made.reason))
        path = self.where.workroom / place
        path.write_bytes(made.data)
        if path.read_bytes() != made.data:
            reason = "the file read back differs from what was written"
            raise ReleaseError(item.name, reason, "check the disk")
        return Done(row=replace(row, sha256=digest(made.data)), temporary=path)
