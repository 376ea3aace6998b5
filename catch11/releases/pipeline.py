"""Pipeline: how the sources of one release are listed, read, recoded and checked, by kind of data.

The engine does the rest alike for all: places, names, resuming, refusals, threads, files, lists.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from catch11.data.stores.frame import Source
from catch11.errors import InvalidArgument
from catch11.kinds import fetched, kind_of
from catch11.releases.form import Form

Long = Literal["truncate", "refuse"]
Item = TypeVar("Item")
Meant = TypeVar("Meant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a release was asked for, of what a kind of data may look at; see `engine.release`. source: an
    opened store, in place of a folder."""

    recoder: Any
    model: Any = None
    check: Any = None
    read: Callable[..., Any] | None = None
    columns: tuple[str, ...] = ()
    long: Long = "truncate"
    most: int | None = None
    source: Source | None = None


_USUAL = Request(recoder=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Generic[Meant]):
    """What became of an item: what its file is to hold, or None and the reason to withhold it.

    psnr, front_shift, distance: as the ledger keeps them; not finite or None where there is none. left_out:
    the parts that are not in the file, with their reasons. counts: what of its content is counted.
    """

    value: Meant | None = None
    reason: str = ""
    psnr: float | None = None
    front_shift: float | None = None
    distance: float | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


class Pipeline(ABC, Generic[Item, Meant]):
    """The sources of one release. All but `open` may run in several threads at once.

    noun: one of its items, for sentences. from_file: whether the source may be a file. suffixes: of
    items that stores may hold, none where it knows no stores. divided:
    whether items have parts that the ledger knows one by one. options: what of `Request` it takes
    besides recoder, model and check. names: of the items. problems: (name, reason) of what is no
    item. keyed: see `Source`. batch: items recoded together; chunks are cut the same in every run.
    """

    noun: ClassVar[str]
    from_file: ClassVar[bool] = False
    suffixes: ClassVar[frozenset[str]] = frozenset()
    divided: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()
    form: Form[Meant, Any]
    names: Sequence[str]
    problems: Sequence[tuple[str, str]] = ()
    keyed: bool = False
    batch: int = 1

    @classmethod
    @abstractmethod
    def open(cls, source: Path, asked: Request) -> "Pipeline[Item, Meant]":
        """List a source. Raises InvalidArgument, KeyMismatch."""

    @abstractmethod
    def data(self, name: str) -> bytes:
        """What identifies an item; it leaves the process as an HMAC alone. Raises UnreadableSource."""

    @abstractmethod
    def read(self, name: str, data: bytes) -> Item:
        """The item itself. Raises UnreadableSource."""

    @abstractmethod
    def recode(self, items: Sequence[Item]) -> Sequence[Draft[Meant]]:
        """What becomes of a chunk of items."""

    @abstractmethod
    def judge(
        self, items: Sequence[Item], made: Sequence[Draft[Meant]], files: Sequence[bytes]
    ) -> Sequence[Draft[Meant]]:
        """The same without what the checking model, reading the files, answers otherwise."""

    def facts(self) -> dict[str, Any]:
        """What is public of the release, besides what all releases state."""
        return {}

    def seen(self, item: Item) -> bytes:
        """What a model sees of an item, where the same can be hidden in another source."""
        return b""

    def parts(self, item: Item) -> Sequence[tuple[str, bytes]]:
        """Name and content of each part of an item."""
        return ()

    def sort(self, names: Sequence[str]) -> Sequence[str]:
        """Names in the order of which chunks are cut, from their usual order."""
        return names


def pipeline_of(asked: Request) -> type[Pipeline[Any, Any]]:
    """The pipeline of the key's kind of data. Raises InvalidArgument for what it does not take."""
    kind = asked.recoder.key.modality
    found: type[Pipeline[Any, Any]] = fetched(kind_of(kind, argument="key").pipeline)
    for name in {"read", "columns", "long", "most"} - found.options:
        if getattr(asked, name) != getattr(_USUAL, name):
            raise InvalidArgument(name, expected=f"none for a {found.noun}", found="some")
    return found


def model_of(asked: Request, *, why: str) -> Any:
    """The model that sources are read for. Raises InvalidArgument where there is none, KeyMismatch
    where the key was built from another."""
    if asked.model is None:
        raise InvalidArgument("model", expected=f"the model, {why}", found="none")
    for one in (asked.model, asked.check):
        if one is not None:
            asked.recoder.key.check_model(one)
    return asked.model
