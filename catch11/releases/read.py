"""Reading a release back: every file held against the signed list before it is decoded."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument, ReleaseError
from catch11.kinds import IMAGE
from catch11.recoding.keep import Keep, keep_of
from catch11.releases.form import Form, form_of
from catch11.releases.ledger import Row, read_ledger
from catch11.releases.manifest import NAME, Entry, listed_bytes, read_manifest

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release folder of any kind of data, whose list was verified. `complete`: no line is missing
    at its end.

    key: fingerprint of the key. checked: fingerprint of the model whose answers were checked, or
    empty. keep: what its files keep, where it says. public_key: of the signature, hex. facts: the list's header as it is. The files are
    verified as they are read; those that cannot be read so raise ReleaseError.
    """

    root: Path
    modality: str
    method: str
    form: Form[Any, Any]
    key: str
    names: str
    checked: str
    keep: Keep | None = None
    public_key: str
    canvas: Canvas
    complete: bool
    entries: tuple[Entry, ...]
    facts: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.entries)

    def data(self, entry: Entry) -> bytes:
        """The bytes of a file, which are the listed ones."""
        return listed_bytes(self.root, entry)

    def item(self, entry: Entry) -> Any:
        """What a file holds, by its form: an image in pixel units, the canvas picture or the window
        alone; a table; a document's embeddings."""
        return self._read(entry, self.form.decode)

    def windows(
        self, entries: Sequence[Entry]
    ) -> Float[Tensor, "batch channel window_height window_width"]:
        """What the authorized model sees of pictures or sounds, in pixel units, float32."""
        found = [self._read(entry, self.form.window) for entry in entries]
        return torch.stack(found) if found else torch.zeros(0, *self.canvas.shape)

    def picture(self, entry: Entry) -> Image.Image:
        """A file as any other pipeline sees it: 8 bits; other formats are clipped and rounded."""
        return self._read(entry, self.form.picture)

    def _read(self, entry: Entry, how: Callable[[bytes, Canvas], Value]) -> Value:
        try:
            return how(self.data(entry), self.canvas)
        except ValueError as error:
            raise ReleaseError(self.root / entry.file, f"{error}", "release it again") from None


def read_release(dst: str | os.PathLike[str], *, signer: str | None = None) -> Release:
    """The release in a folder, its list verified line by line; treated as a stranger's.

    signer: the owner's public key in hex (`public_key`); without it the list is only known to be
    from one hand. Raises ReleaseError where the list does not hold or states facts that are none.
    """
    root = Path(dst)
    path = root / NAME
    held = read_manifest(path, signer=signer)
    facts = held.header
    names = ("method", "key", "names", "checked", "public_key", "format")
    stated = all(isinstance(facts.get(name), str) for name in names)
    kind = facts.get("modality", IMAGE)
    if not stated or not isinstance(kind, str) or not isinstance(facts.get("canvas"), dict):
        raise ReleaseError(path, "its header lacks facts", "release again into a new folder")
    try:
        form, canvas = form_of(facts["format"]), Canvas.from_dict(facts["canvas"])
        keep = keep_of(facts)
    except InvalidArgument as error:
        raise ReleaseError(path, f"its header is not usable ({error})") from None
    return Release(
        root=root,
        modality=kind,
        method=facts["method"],
        form=form,
        key=facts["key"],
        names=facts["names"],
        checked=facts["checked"],
        keep=keep,
        public_key=facts["public_key"],
        canvas=canvas,
        complete=held.complete,
        entries=tuple(held.entries.values()),
        facts=facts,
    )


def sources_of(release: Release, ledger: str | os.PathLike[str]) -> Mapping[str, Row]:
    """The ledger's row of every listed file: its source, PSNR and shift. Only the owner has it."""
    listed = {entry.file: entry.sha256 for entry in release.entries}
    rows = [row for row in read_ledger(Path(ledger)) if row.outcome == "released"]
    return {row.file: row for row in rows if listed.get(row.file) == row.sha256}
