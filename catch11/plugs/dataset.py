"""ReleaseDataset: a release as torch loaders read data, with its labels."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from catch11.data.labels import Labels, folder_labels, given_labels
from catch11.errors import InvalidArgument, LabelsRefused, UnreadableSource
from catch11.releases.read import read_release


class ReleaseDataset(Dataset):
    """(item, label) of every released file, each held against the signed list as it is read.

    An item is a Pillow picture of a PNG, and else the window that the authorized model sees, a float tensor in
    pixel units; `transform` is called with it. A label is an int, None where there is none.

    dst: a release of pictures or sounds, in whatever form. labels: a CSV of `file,label`, or the mapping; class folders
    are recognised without it. column: in place of them, the column of a table, or the member of a sample (`cls`), that
    holds a number or a class. names: of the classes; needed where labels are names. signer: the owner's public key,
    which must have signed. Raises ReleaseError, LabelsRefused, InvalidArgument.
    """

    def __init__(
        self,
        dst: str | os.PathLike[str],
        *,
        labels: Mapping[str, int] | str | os.PathLike[str] | None = None,
        column: str | None = None,
        names: Sequence[str] = (),
        transform: Callable[[Any], Any] | None = None,
        signer: str | None = None,
    ) -> None:
        if column is not None and labels is not None:
            raise InvalidArgument("labels", expected="none beside a column", found="some")
        self._opened = dst, signer
        self.release = read_release(dst, signer=signer)
        self.transform = transform
        files = [entry.file for entry in self.release.entries]
        if column is not None:
            self.labels = tuple(_beside(self.release, column, names))
        else:
            given = _given(labels, files, names)
            self.labels = tuple(None if given is None else given.of(file) for file in files)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "release"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a loader's worker: the release opened again."""
        self.__dict__.update(state)
        dst, signer = self._opened
        self.release = read_release(dst, signer=signer)

    def __len__(self) -> int:
        return len(self.release)

    def __getitem__(self, index: int) -> tuple[Any, int | None]:
        entry = self.release.entries[index]
        picture = self.release.form.exact_for_stock_pipelines and not self.release.canvas.sound
        item = self.release.picture(entry) if picture else self.release.windows([entry])[0]
        return (item if self.transform is None else self.transform(item)), self.labels[index]


def _given(labels: Any, files: Sequence[str], names: Sequence[str]) -> Labels | None:
    if labels is not None:
        return given_labels(labels, names=names)
    try:
        return folder_labels(files, names=names)
    except LabelsRefused:
        return None


def _beside(release: Any, column: str, names: Sequence[str]) -> list[int | None]:
    known = {name: index for index, name in enumerate(names)}
    found: list[int | None] = []
    for entry in release.entries:
        try:
            value = release.beside(entry, column)
        except (UnreadableSource, KeyError, ValueError):
            raise LabelsRefused(
                release.root, f"nothing called {column} lies beside {entry.file}"
            ) from None
        text = value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value)
        if value is None:
            found.append(None)
        elif text in known:
            found.append(known[text])
        elif text.isascii() and text.isdigit():
            found.append(int(text))
        else:
            reason = f"{text[:40]!r} beside {entry.file} is no class"
            raise LabelsRefused(release.root, reason, "give the names of the classes")
    return found
