"""Store: a form in which people keep data. Source: what is to be recoded of one; Held: what was released.

A store never learns what a release is: it is handed finished files, by the names of their sources.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from catch11.data.pictures import MAX_BYTES
from catch11.errors import Catch11Error, InvalidArgument, UnreadableSource

Keeps = Literal["files", "samples", "rows"]
Bytes = bytes | Catch11Error  # of a file, or why there are none
LIST = ".manifest.jsonl"  # behind the name of a packed file whose list lies beside it


class Source(ABC):
    """Pictures or sounds by name. Several threads may ask at once.

    names: of what may be recoded, in their own order. problems: (name, reason) of what is none.
    ordered: whether that order must be kept, because something else hangs on it. keyed: whether a name up to its first
    dot is what others go by. column: what holds them, where columns have names.
    """

    names: Sequence[str] = ()
    problems: Sequence[tuple[str, str]] = ()
    ordered: ClassVar[bool] = False
    keyed: ClassVar[bool] = False
    column: str = ""

    @abstractmethod
    def data(self, name: str) -> bytes:
        """The bytes of one. Raises UnreadableSource."""

    def close(self) -> None:  # noqa: B027 - most hold nothing open
        """Let go of files."""


class Given(Source):
    """Sources whose bytes are at hand, and why others cannot be read."""

    def __init__(self, held: "Mapping[str, Bytes] | None" = None) -> None:
        self.held = held or {}

    def data(self, name: str) -> bytes:
        data = self.held[name]
        if isinstance(data, Catch11Error):
            raise data
        return data


def bytes_at(read: Callable[[Any], bytes], name: Any) -> Bytes:
    """What is read of a name, to be handed on."""
    try:
        return read(name)
    except Catch11Error as error:
        return error


class Held(ABC):
    """A packed release, open for reading; treated as a stranger's. column: as its list states it."""

    column: str = ""

    @abstractmethod
    def list(self) -> bytes:
        """Its manifest. Raises OSError, ValueError."""

    @abstractmethod
    def data(self, file: str, sha256: str) -> bytes:
        """The bytes of a listed file. Raises UnreadableSource."""

    def beside(self, file: str, sha256: str, column: str) -> Any:
        """What a table or sample holds beside a file, in the column or member of that name. Raises
        KeyError, UnreadableSource."""
        raise KeyError(column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for in a store. suffixes: of pictures, or sounds. column: the field or column that
    holds them, where several might. suffix: of the files that become of them."""

    suffixes: Collection[str]
    column: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Finished files to be packed, below `folder`: by the name of the source, and in the list's order.
    list: of them. opaque: whether names of sources must not show."""

    folder: Path
    files: Mapping[str, str]
    order: Sequence[str]
    list: Path
    suffix: str
    opaque: bool


class Store(ABC):
    """keeps: what else lies beside the pictures; only stores that keep the same go into each other.
    suffixes: of its files, none for a folder. inside: whether the list is a part of what is packed."""

    name: ClassVar[str]
    keeps: ClassVar[Keeps]
    suffixes: ClassVar[tuple[str, ...]] = ()
    inside: ClassVar[bool] = False

    @abstractmethod
    def open(self, path: Path, wanted: Wanted) -> Source:
        """What is to be recoded. Raises InvalidArgument where it is damaged as a whole or does not
        hold what is wanted."""

    @abstractmethod
    def pack(self, source: Source, made: Made, target: Path) -> None:
        """Write `target` anew: what the source holds, its pictures replaced; what has no file is left out."""

    @abstractmethod
    def held(self, path: Path) -> Held:
        """Open what was packed. Raises InvalidArgument, OSError."""


def beside(path: Path) -> Path:
    """Where the list of a packed file lies that holds none itself."""
    return path.with_name(path.name + LIST)


class Beside(Held):
    """A packed release with its list beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def list(self) -> bytes:
        return beside(self.path).read_bytes()


def too_large(name: str, size: int) -> None:
    """Raises UnreadableSource for a member that claims more than any picture has."""
    if size > MAX_BYTES:
        raise UnreadableSource(name, f"it is larger than {MAX_BYTES >> 20} MiB")


def member_problem(name: str) -> str | None:
    """Why a member's name is not accepted."""
    parts = PurePosixPath(name).parts
    if "\\" in name:
        return "its name holds a backslash, which only some systems take for a folder"
    if name.startswith("/") or ".." in parts or "\0" in name or ":" in name[:2]:
        return "its name leads out of the archive"
    return None if parts else "it has no name"


def clause(reason: object) -> str:
    """What somebody else's error says, as a part of a sentence."""
    return " ".join(str(reason).split()).rstrip(".")[:150]


def damaged(path: Path, what: str, reason: object) -> InvalidArgument:
    """A store that cannot be used at all, said once."""
    return InvalidArgument(
        "SRC", expected=f"a whole {what}", found=f"{path.name}, which cannot be read ({clause(reason)})",
        remedy="get it again, or leave it out",
    )  # fmt: skip
