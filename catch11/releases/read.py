"""Reading a release back: every file held against the signed list before it is decoded."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from catch11.releases.holdings import Holding, holdings
from catch11.releases.ledger import Row, read_ledger
from catch11.releases.manifest import ANEW, NAME, Entry, verify_lines

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release folder of any kind of data, whose list was verified. `complete`: no line is missing
    at its end.

    key: fingerprint of the key. checked: fingerprint of the model whose answers were checked, or
    empty. keep: what its files keep, where it says. public_key: of the signature, hex. facts: the list's header as it is. files: how
    they are read; others: what a table holds beside them. They are
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
    files: Callable[[Entry], bytes] = field(repr=False)
    others: Callable[[Entry, str], Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.entries)

    def data(self, entry: Entry) -> bytes:
        """The bytes of a file, which are the listed ones."""
        return self.files(entry)

    def beside(self, entry: Entry, column: str) -> Any:
        """What the table or sample of a file holds beside it. Raises KeyError where there is none."""
        if self.others is None:
            raise KeyError(column)
        return self.others(entry, column)

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
            raise ReleaseError(self.root / entry.file, f"{error}", ANEW) from None


def read_release(dst: str | os.PathLike[str], *, signer: str | None = None) -> Release:
    """The release in a folder, archive, table, data set or shards, here or at an address; its list is verified
    line by line and treated as a stranger's. Shards are read as one, their files behind their names.

    signer: the owner's public key in hex (`public_key`); without it the list is only known to be
    from one hand. Raises ReleaseError where the list does not hold or states facts that are none.
    """
    found = [(one, _one(one, signer)) for one in holdings(dst)]
    first = found[0][1]
    if len(found) == 1 and not found[0][0].shard:
        return first
    parts: dict[str, Release] = {}
    entries: list[Entry] = []
    for held, release in found:
        if release.facts != first.facts:
            reason = f"its list has another header than that of {found[0][0].path.name}"
            raise ReleaseError(
                held.path, reason, "release the shards under one key and one setting"
            )
        parts[held.shard] = release
        entries += [replace(one, file=f"{held.shard}{one.file}") for one in release.entries]

    def part(entry: Entry) -> tuple[Release, Entry]:
        shard = max((one for one in parts if entry.file.startswith(one)), key=len)
        return parts[shard], replace(entry, file=entry.file.removeprefix(shard))

    def files(entry: Entry) -> bytes:
        release, own = part(entry)
        return release.data(own)

    def others(entry: Entry, column: str) -> Any:
        release, own = part(entry)
        return release.beside(own, column)

    complete = all(release.complete for _, release in found)
    root = Path(os.fspath(dst))
    return replace(
        first, root=root, complete=complete, entries=tuple(entries), files=files, others=others
    )


def _one(holding: Holding, signer: str | None) -> Release:
    path = holding.path
    held = verify_lines(path, holding.lines, signer=signer)
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
        root=holding.root,
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
        files=holding.files,
        others=holding.beside,
    )


def unlisted(release: Release) -> tuple[str, ...]:
    """The warning that files lie in a release's folder which its list does not name; empty without any."""
    if not (release.root / NAME).is_file():
        return ()
    listed = {entry.file for entry in release.entries}
    found = sorted(path.relative_to(release.root).as_posix() for path in release.root.rglob(f"*{release.form.suffix}"))  # fmt: skip
    more = [file for file in found if file not in listed]
    if not more:
        return ()
    names = ", ".join(more[:3]) + (f" and {len(more) - 3} more" if len(more) > 3 else "")
    held = "1 file is" if len(more) == 1 else f"{len(more)} files are"
    return (f"{held} in the folder and not in the signed list, and not judged: {names}",)


def sources_of(
    release: Release, ledger: str | os.PathLike[str], *, shard: str = ""
) -> Mapping[str, Row]:
    """The ledger's row of every listed file: its source, PSNR and shift. Only the owner has it. shard:
    what stands before the files of the ledger's shard."""
    listed = {entry.file: entry.sha256 for entry in release.entries}
    rows = [row for row in read_ledger(Path(ledger)) if row.outcome == "released"]
    named = ((f"{shard}{row.file}", row) for row in rows)
    return {file: row for file, row in named if listed.get(file) == row.sha256}
