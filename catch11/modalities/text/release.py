"""A release of documents: recoded embeddings, one file a document, and no token ids anywhere."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from catch11.data.texts import Document, Documents, read_documents
from catch11.errors import ReleaseError
from catch11.modalities.text.deep import agreement_of
from catch11.modalities.text.embeds import FORMAT, SUFFIX, decode, encode
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.recoder import TEXT, Passage, Passages, passages
from catch11.recoding.deep.agreement import Agreement
from catch11.recoding.frame import Recoder
from catch11.releases.frame import Progress, Summary
from catch11.releases.items import Item, Made, release_items
from catch11.releases.manifest import NAME, Entry, listed_bytes, read_manifest
from catch11.releases.names import Naming
from catch11.releases.places import places

Long = Literal["truncate", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSummary:
    """What became of the documents. cut: documents that were truncated. tokens, unknown: of those
    that were encoded, all and the ones the vocabulary lacks."""

    release: Summary
    tokens: int
    unknown: int
    cut: int

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self.release) | {
            "tokens": self.tokens,
            "unknown": self.unknown,
            "cut": self.cut,
        }


def release_texts(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    recoder: Recoder[Passages],
    model: TextModel,
    *,
    columns: Sequence[str] = (),
    long: Long = "truncate",
    most: int | None = None,
    check: bool = False,
    names: Naming = "keep",
    ledger: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> TextSummary:
    """Recode every document of `src` into the folder `dst`.

    src: a .txt file of lines, a folder of .txt files, or a CSV or TSV with `columns`; two columns
    are one document for a classifier and two for an embedding model. long: what to do with a
    document the model (or `most`) has no room for. check: withhold what the model, reading the
    written bytes, answers otherwise. Empty documents are skipped with a reason. Raises
    ReleaseError, InvalidArgument.
    """
    where = places(src, dst, ledger, resume=resume, files=True)
    joined = len(columns) == 2 and bool(model.labels)
    found = read_documents(src, columns=columns, joined=joined)
    encoded, problems = _encoded(model, found, long, most)
    order = sorted(encoded, key=lambda name: (len(encoded[name]), name))
    contents = {item.name: item for item in found.items}
    items = [Item(name=name, data=_content(contents[name])) for name in order]
    size = recoder.batch
    alike = getattr(recoder, "agreed", None) or agreement_of(
        None, margin=0.0, classes=len(model.labels)
    )
    desk = _Desk(recoder, model, encoded, alike if check else None)
    done = release_items(
        where, key=recoder.key, header=_header(recoder, columns, joined),
        chunks=[items[low : low + size] for low in range(0, len(items), size)],
        problems=problems, make=desk.make, suffix=SUFFIX, names=names,
        checked=model.fingerprint if check else "", progress=progress,
    )  # fmt: skip
    kept = encoded.values()
    return TextSummary(
        release=done,
        tokens=sum(map(len, kept)),
        unknown=sum(one.unknown for one in kept),
        cut=sum(one.cut > 0 for one in kept),
    )


def _header(recoder: Recoder[Passages], columns: Sequence[str], joined: bool) -> dict[str, Any]:
    return {
        "method": recoder.method,
        "format": FORMAT,
        "recoder": dict(recoder.settings),
        "columns": list(columns),
        "joined": joined,
    }


def _encoded(
    model: TextModel, found: Documents, long: Long, most: int | None
) -> tuple[dict[str, Encoded], list[tuple[str, str]]]:
    encoded: dict[str, Encoded] = {}
    problems = list(found.problems)
    for item in found.items:
        one = model.encode(item.text, item.pair, most=most)
        if one.cut and long == "refuse":
            room = len(one)
            problems.append(
                (item.name, f"it has {room + one.cut} tokens and there is room for {room}")
            )
        elif all(i in model.special and i != model.tokenizer.unk_token_id for i in one.ids):
            problems.append((item.name, "the tokenizer finds no word in it"))
        else:
            encoded[item.name] = one
    return encoded, problems


def _content(item: Document) -> bytes:
    """What identifies a document: its texts, each preceded by its length."""
    parts = [part.encode() for part in (item.text, item.pair) if part is not None]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Makes chunks of documents into the bytes of files."""

    recoder: Recoder[Passages]
    model: TextModel
    encoded: Mapping[str, Encoded]
    check: Agreement | None

    def make(self, chunk: Sequence[Item]) -> list[Made]:
        rows = [self.encoded[item.name] for item in chunk]
        clean, types = [self.model.embed(row) for row in rows], [row.types for row in rows]
        recoded = self.recoder(passages(clean, types))
        files = [encode(passage, half=passage.half) for passage in recoded.items]
        made = [
            Made(data=data, front_shift=shift) if why is None else Made(reason=why)
            for data, shift, why in zip(files, recoded.front_shift, recoded.reasons, strict=True)
        ]
        if self.check is None:
            return made
        width = self.model.width
        back = [decode(data, width=width).embeds for data in files]
        before, after = (self.model.answers(rows, types) for rows in (clean, back))
        gaps = self.check.gap(after, before).tolist()
        return [self._judged(one, gap) for one, gap in zip(made, gaps, strict=True)]

    def _judged(self, one: Made, gap: float) -> Made:
        if one.data is None:
            return one
        if gap >= 0.0:
            return Made(data=one.data, front_shift=one.front_shift, agreement=True)
        assert self.check is not None
        text = f"the authorized model answers otherwise: {self.check.text} short by {-gap:.3g}"
        return Made(reason=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRelease:
    """A release folder of documents whose list was verified; files are verified as they are read."""

    root: Path
    method: str
    key: str
    width: int
    columns: tuple[str, ...]
    joined: bool
    complete: bool
    public_key: str
    entries: tuple[Entry, ...]

    def passage(self, entry: Entry) -> Passage:
        """A document's embeddings. Raises ReleaseError where the file is not the listed one."""
        try:
            return decode(listed_bytes(self.root, entry), width=self.width)
        except ValueError as error:
            raise ReleaseError(self.root / entry.file, str(error), "release it again") from None


def read_texts(dst: str | os.PathLike[str], *, signer: str | None = None) -> TextRelease:
    """The release of documents in a folder, its list verified; treated as a stranger's."""
    path = Path(dst) / NAME
    held = read_manifest(path, signer=signer)
    facts = held.header
    texts = all(isinstance(facts.get(name), str) for name in ("method", "key", "public_key"))
    columns, canvas = facts.get("columns"), facts.get("canvas")
    if not texts or not isinstance(columns, list) or not isinstance(canvas, dict):
        raise ReleaseError(path, "its header lacks facts", "release again into a new folder")
    width = canvas.get("window_width")
    if facts.get("modality") != TEXT or facts.get("format") != FORMAT or type(width) is not int:
        raise ReleaseError(path, "it is no release of texts")
    return TextRelease(
        root=Path(dst), method=facts["method"], key=facts["key"], width=width,
        columns=tuple(map(str, columns)), joined=facts.get("joined") is True,
        complete=held.complete, public_key=facts["public_key"],
        entries=tuple(held.entries.values()),
    )  # fmt: skip
