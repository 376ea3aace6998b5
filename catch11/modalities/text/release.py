"""Releases of documents: recoded embeddings, one file a document, and no token ids anywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from catch11.data.texts import Document, read_documents
from catch11.errors import ReleaseError
from catch11.modalities.text.deep import agreement_of
from catch11.modalities.text.embeds import EMBEDS
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.recoder import Passage, Passages, passages
from catch11.recoding.frame import Recoder
from catch11.releases.pipeline import Draft, Pipeline, Request, model_of
from catch11.releases.read import Release


class Texts(Pipeline[Encoded, Passage]):
    """A .txt file of lines, a folder of .txt files, or columns of a CSV or TSV; two columns are one
    document for a classifier and two for an embedding model. Empty documents, and those that the
    model has no room for where they shall not be cut, are skipped with a reason."""

    noun: ClassVar[str] = "document"
    from_file = True
    options = frozenset({"columns", "long", "most"})
    form = EMBEDS

    def __init__(
        self, source: Path, *, recoder: Recoder[Passages], model: TextModel, asked: Request
    ) -> None:
        self._recoder, self._model, self._columns = recoder, model, asked.columns
        self._joined = len(asked.columns) == 2 and bool(model.labels)
        self.batch = recoder.batch
        found = read_documents(source, columns=asked.columns, joined=self._joined)
        self._data = {item.name: _content(item) for item in found.items}
        encoded = {
            item.name: model.encode(item.text, item.pair, most=asked.most) for item in found.items
        }
        lost = {name: self._refusal(one, asked.long) for name, one in encoded.items()}
        self.problems = [*found.problems, *((name, why) for name, why in lost.items() if why)]
        self._encoded = {name: one for name, one in encoded.items() if not lost[name]}
        self.names = list(self._encoded)

    @classmethod
    def open(cls, source: Path, asked: Request) -> "Texts":
        model = model_of(asked, why="whose tokenizer is needed")
        return cls(source, recoder=asked.recoder, model=model, asked=asked)

    def facts(self) -> dict[str, Any]:
        settings = dict(self._recoder.settings)
        return {"recoder": settings, "columns": list(self._columns), "joined": self._joined}

    def sort(self, names: Sequence[str]) -> Sequence[str]:
        """By their length, since a batch is as long as its longest document."""
        return sorted(names, key=lambda name: len(self._encoded[name]))

    def data(self, name: str) -> bytes:
        return self._data[name]

    def read(self, name: str, data: bytes) -> Encoded:
        return self._encoded[name]

    def recode(self, items: Sequence[Encoded]) -> list[Draft[Passage]]:
        clean = [self._model.embed(item) for item in items]
        made = self._recoder(passages(clean, [item.types for item in items]))
        columns = made.items, made.front_shift, made.distances, made.reasons
        rows = zip(items, *columns, strict=True)
        return [
            Draft(
                value=None if why else passage, reason=why or "", front_shift=shift, distance=far,
                counts={"tokens": len(item), "unknown": item.unknown, "cut": int(item.cut > 0)},
            )
            for item, passage, shift, far, why in rows
        ]  # fmt: skip

    def judge(
        self, items: Sequence[Encoded], made: Sequence[Draft[Passage]], files: Sequence[bytes]
    ) -> list[Draft[Passage]]:
        model, types = self._model, [item.types for item in items]
        alike = getattr(self._recoder, "agreed", None) or agreement_of(
            None, margin=0.0, classes=len(model.labels)
        )
        canvas = self._recoder.key.canvas
        back = [self.form.decode(data, canvas).embeds for data in files]
        before, after = (
            model.answers(rows, types) for rows in ([model.embed(i) for i in items], back)
        )
        why = f"the authorized model answers otherwise: {alike.text} short by"
        return [
            one if gap >= 0.0 else Draft(reason=f"{why} {-gap:.3g}", counts=one.counts)
            for one, gap in zip(made, alike.gap(after, before).tolist(), strict=True)
        ]

    def _refusal(self, one: Encoded, long: str) -> str:
        if one.cut and long == "refuse":
            return f"it has {len(one) + one.cut} tokens and there is room for {len(one)}"
        model = self._model
        if all(i in model.special and i != model.tokenizer.unk_token_id for i in one.ids):
            return "the tokenizer finds no word in it"
        return ""


def columns_of(release: Release) -> tuple[tuple[str, ...], bool]:
    """The source's columns that a release states, and whether two were joined to one document.

    Raises ReleaseError where it is no release of documents.
    """
    columns, joined = release.facts.get("columns"), release.facts.get("joined")
    if release.form is not EMBEDS or not isinstance(columns, list):
        raise ReleaseError(release.root, "it is no release of texts")
    return tuple(map(str, columns)), joined is True


def _content(item: Document) -> bytes:
    """What identifies a document: its texts, each preceded by its length."""
    parts = [part.encode() for part in (item.text, item.pair) if part is not None]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
