"""Reading a release back: every file held against the signed list before it is decoded."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.data.pictures import decode_picture
from catch11.errors import InvalidArgument, ReleaseError, UnreadablePicture
from catch11.releases.form import Form, form_of
from catch11.releases.ledger import Row, read_ledger
from catch11.releases.manifest import NAME, Entry, listed_bytes, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release folder whose list was verified. `complete`: no line is missing at its end.

    key: fingerprint of the key. checked: fingerprint of the model whose answers were checked, or
    empty. public_key: of the signature, hex. The files are verified as they are read.
    """

    root: Path
    method: str
    form: Form
    key: str
    names: str
    checked: str
    public_key: str
    canvas: Canvas
    complete: bool
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def data(self, entry: Entry) -> bytes:
        """The bytes of a file; raises ReleaseError if they are not the listed ones."""
        return listed_bytes(self.root, entry)

    def image(self, entry: Entry) -> Float[Tensor, "channel height width"]:
        """A file in pixel units, float32: the canvas picture, or the window of a tensor release."""
        try:
            return self.form.read(self.data(entry), self.canvas)
        except ValueError as error:
            raise ReleaseError(self.root / entry.file, f"{error}", "release it again") from None

    def windows(
        self, entries: Sequence[Entry]
    ) -> Float[Tensor, "batch channel window_height window_width"]:
        """What the authorized model sees of files, in pixel units."""
        images = [self.image(entry) for entry in entries]
        if not images:
            return torch.zeros(0, *self.canvas.shape)
        stack = torch.stack(images)
        return self.canvas.window(stack) if self.form.whole else stack

    def picture(self, entry: Entry) -> Image.Image:
        """A file as any other pipeline sees it: 8 bits; other formats are clipped and rounded."""
        if self.form.picture:
            try:
                return decode_picture(self.data(entry))
            except UnreadablePicture as error:
                raise ReleaseError(self.root / entry.file, error.reason) from None
        pixels = (self.image(entry).clamp(0, 1) * 255).round().to(torch.uint8)
        array = rearrange(pixels, "channel height width -> height width channel").numpy()
        grey = array.shape[-1] == 1
        return Image.fromarray(np.squeeze(array, -1) if grey else array).convert("RGB")

    def batches(self, size: int) -> Iterator[tuple[Entry, ...]]:
        """The entries in order, `size` at a time."""
        for start in range(0, len(self.entries), size):
            yield self.entries[start : start + size]


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
    if not stated or not isinstance(facts.get("canvas"), dict):
        raise ReleaseError(path, "its header lacks facts", "release again into a new folder")
    try:
        form, canvas = form_of(facts["format"]), Canvas.from_dict(facts["canvas"])
    except InvalidArgument as error:
        raise ReleaseError(path, f"its header is not usable ({error})") from None
    return Release(
        root=root,
        method=facts["method"],
        form=form,
        key=facts["key"],
        names=facts["names"],
        checked=facts["checked"],
        public_key=facts["public_key"],
        canvas=canvas,
        complete=held.complete,
        entries=tuple(held.entries.values()),
    )


def sources_of(release: Release, ledger: str | os.PathLike[str]) -> Mapping[str, Row]:
    """The ledger's row of every listed file: its source, PSNR and shift. Only the owner has it."""
    listed = {entry.file: entry.sha256 for entry in release.entries}
    rows = [row for row in read_ledger(Path(ledger)) if row.outcome == "released"]
    return {row.file: row for row in rows if listed.get(row.file) == row.sha256}
