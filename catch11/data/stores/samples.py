"""WebDataset: tar shards of samples, the members that share a name up to their first dot.

Of every sample one member is a picture and is replaced; the others pass through as they are, in their order.
"""

import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from catch11.data.stores.frame import Beside, Held, Made, Source, Store, Wanted
from catch11.data.stores.tarfiles import Members, add, indexed
from catch11.errors import InvalidArgument


class SampleSource(Source):
    """The pictures of a shard, one a sample. column: the field that holds them, empty where suffixes say."""

    ordered: ClassVar[bool] = True

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.members, self.column = indexed(path), wanted.column
        self.pictures: dict[str, str] = dict.fromkeys((split(n)[0] for n in self.members.files), "")
        for name in self.members.files:
            key, field = split(name)
            if not (field == wanted.column if wanted.column else is_picture(name, wanted.suffixes)):
                continue
            if self.pictures[key]:
                self.close()
                both = " and ".join(split(one)[1] for one in (self.pictures[key], name))
                raise InvalidArgument(
                    "column", expected="the name of one field of pictures (--column)",
                    found=f"{both} in sample {key} of {path.name}",
                )  # fmt: skip
            self.pictures[key] = name
        self.names = tuple(name for name in self.pictures.values() if name)
        what = wanted.column or "picture"
        lacking = [(key, f"the sample has no {what}") for key, n in self.pictures.items() if not n]
        self.problems = (*self.members.problems, *lacking)
        if not self.names:
            fields = sorted({split(name)[1] for name in self.members.files})
            self.close()
            raise InvalidArgument(
                "column", expected=f"a {what} in the samples of {path.name}",
                found=f"the fields {', '.join(fields[:9])}" if fields else "no sample",
            )  # fmt: skip

    def data(self, name: str) -> bytes:
        return self.members.data(name)

    def close(self) -> None:
        self.members.close()


class _Shard(Beside):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members = indexed(path)

    def data(self, file: str, sha256: str) -> bytes:
        return self._members.data(file)

    def beside(self, file: str, sha256: str, column: str) -> bytes:
        return self._members.data(f"{split(file)[0]}.{column}")


class WebDataset(Store):
    """A shard of samples."""

    name, keeps, suffixes = "webdataset", "samples", (".tar", ".tar.gz", ".tgz")

    def open(self, path: Path, wanted: Wanted) -> SampleSource:
        return SampleSource(path, wanted)

    def pack(self, source: Source, made: Made, target: Path) -> None:
        assert isinstance(source, SampleSource)
        given: set[str] = set()
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, facts in source.members.files.items():
                key, own = split(name)
                picture = source.pictures[key]
                file = made.files.get(picture)
                if file is None:
                    continue
                if name == picture:
                    new, data = file, (made.folder / file).read_bytes()
                else:
                    base = _base(file, split(picture)[1], made.suffix)
                    new, data = f"{base}.{own}" if own else base, passed(source.members, name)
                if new in given:
                    raise InvalidArgument(
                        "column", expected="one picture a sample, or fields of other names",
                        found=f"{new} twice in {target.name}",
                    )  # fmt: skip
                given.add(new)
                add(archive, new, data, like=facts)

    def held(self, path: Path) -> Held:
        return _Shard(path)


def passed(members: Members, name: str) -> bytes:
    """A member that passes through; it may be empty."""
    return members.data(name) if members.files[name].size else b""


def split(name: str) -> tuple[str, str]:
    """Key and field of a member: its name up to the first dot of its last part, and the rest."""
    folder, slash, last = name.rpartition("/")
    key, _, field = last.partition(".")
    return folder + slash + key, field


def is_picture(name: str, suffixes: Collection[str]) -> bool:
    """Whether a member looks like what is recoded."""
    return f".{name.rpartition('.')[2].lower()}" in suffixes


def has_samples(members: Members, suffixes: Collection[str]) -> bool:
    """Whether pictures in a tar share their names with other members."""
    kinds: dict[str, set[bool]] = {}
    for name in members.files:
        kinds.setdefault(split(name)[0], set()).add(is_picture(name, suffixes))
    return any(len(kind) == 2 for kind in kinds.values())


def _base(file: str, field: str, suffix: str) -> str:
    """The key of a sample whose picture, of this field, became this file."""
    stem = file.removesuffix(suffix)
    front = field.rpartition(".")[0]
    return stem.removesuffix(f".{front}") if front else stem
