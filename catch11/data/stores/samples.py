"""WebDataset: tar shards of samples, the members that share a name up to their first dot.

Of every sample one member is a picture and is replaced; the others pass through as they are, in their order.
"""

import tarfile
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from catch11.data.stores.frame import Beside, Held, Made, Source, Store, Wanted
from catch11.data.stores.tarfiles import Members, add, indexed
from catch11.errors import InvalidArgument


class SampleSource(Source):
    """The pictures of a shard, one a sample. column: the field that holds them, empty where suffixes say."""

    ordered: ClassVar[bool] = True
    keyed: ClassVar[bool] = True

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.members, self.column = indexed(path), wanted.column
        self.fields = fields_of(self.members)
        self.pictures = dict.fromkeys((key for key, _ in self.fields.values()), "")
        try:
            self._find(path, wanted)
        except InvalidArgument:
            self.close()
            raise
        self.names = tuple(name for name in self.pictures.values() if name)
        lacking = "the sample has no " + (wanted.column or "picture")
        self.problems = (
            *self.members.problems,
            *(
                (name, "its name has no key")
                for name in self.members.files
                if name not in self.fields
            ),
            *((key, lacking) for key, name in self.pictures.items() if not name),
        )

    def _find(self, path: Path, wanted: Wanted) -> None:
        """Which member of every sample is its picture."""
        column = wanted.column.lower()  # loaders heed no capitals in fields
        for name, (key, field) in self.fields.items():
            if not (field.lower() == column if column else is_picture(name, wanted.suffixes)):
                continue
            if other := self.pictures[key]:
                both = f"{split(other)[1]} and {field}"
                raise InvalidArgument(
                    "column", expected="the name of one field of pictures (--column)",
                    found=f"{both} in sample {key} of {path.name}",
                )  # fmt: skip
            self.pictures[key] = name
        if self.pictures and not any(self.pictures.values()):
            fields = sorted({field for _, field in self.fields.values()})
            raise InvalidArgument(
                "column", expected=f"a {wanted.column or 'picture'} in the samples of {path.name}",
                found=f"the fields {', '.join(fields[:9])}",
            )  # fmt: skip
        for key, picture in self.pictures.items() if wanted.suffix else ():
            front = split(picture)[1].rpartition(".")[0]
            new = f"{key}.{front}{wanted.suffix if front else wanted.suffix[1:]}"
            if picture != new and new in self.fields:
                raise _twice(new, path)

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
        return self._members.data(self._fields[split(file)[0], column.lower()])

    @cached_property
    def _fields(self) -> dict[tuple[str, str], str]:
        """The members by key and field, in whatever letters the field is written."""
        fields = fields_of(self._members).items()
        return {(key, field.lower()): name for name, (key, field) in fields}


class WebDataset(Store):
    """A shard of samples."""

    name, keeps, suffixes = "webdataset", "samples", (".tar", ".tar.gz", ".tgz")

    def open(self, path: Path, wanted: Wanted) -> SampleSource:
        return SampleSource(path, wanted)

    def pack(self, source: Source, made: Made, target: Path) -> None:
        assert isinstance(source, SampleSource)
        given: set[str] = set()
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, (key, own) in source.fields.items():
                picture, like = source.pictures[key], source.members.files[name]
                file = made.files.get(picture)
                if file is None:
                    continue
                base = _base(file, split(picture)[1], made.suffix)
                new = file if name == picture else f"{base}.{own}" if own else base
                if new in given:
                    raise _twice(new, target)
                given.add(new)
                path = made.folder / file if name == picture else None
                with source.members.file(name) if path is None else path.open("rb") as data:
                    add(
                        archive,
                        new,
                        data,
                        like.size if path is None else path.stat().st_size,
                        like=like,
                    )

    def held(self, path: Path) -> Held:
        return _Shard(path)


def fields_of(members: Members) -> dict[str, tuple[str, str]]:
    """Key and field of every member that has a key. Others belong to no sample, such as those that macOS lays beside
    its files (._a.jpg)."""
    found = {name: split(name) for name in members.files}
    return {name: one for name, one in found.items() if one[0].rpartition("/")[2]}


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
    for name, (key, _) in fields_of(members).items():
        kinds.setdefault(key, set()).add(is_picture(name, suffixes))
    return any(len(kind) == 2 for kind in kinds.values())


def _base(file: str, field: str, suffix: str) -> str:
    """The key of a sample whose picture, of this field, became this file."""
    stem = file.removesuffix(suffix)
    front = field.rpartition(".")[0]
    return stem.removesuffix(f".{front}") if front else stem


def _twice(name: str, path: Path) -> InvalidArgument:
    return InvalidArgument(
        "column", expected="one picture a sample, or fields of other names",
        found=f"{name} twice in what {path.name} becomes",
    )  # fmt: skip
