"""The frame of every recoder: it checks, keys the randomness, rounds, measures. Final.

What items are (windows, rows, documents) is said by a `Domain`. A variant returns data and reasons; it
never rounds for the file, grades itself or draws secrets but from the streams it is handed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, final

from catch11.copies.scramble import Scramble
from catch11.copies.seal import SealSecret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.keep import ALL, EVERYTHING, Keep
from catch11.recoding.registry import entry_of

Facts = Mapping[str, str | int | float | bool]
Items = TypeVar("Items")  # a batch: a tensor of windows or rows, a sequence of documents
# Fields of recoders that are no settings: what they work with, and how many items at once.
_THINGS = frozenset({"key", "model", "copy", "chunk"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Recoded(Generic[Items]):
    """What a recoder made of a batch. How far that is from what came in is measured when it is asked for.

    items: as a reader of the file finds them, of the shapes that went in. psnr: dB, as measured on
    them, sealed ones as their copy opens them, with the peak of their kind: 1 for pictures and sounds, one standard deviation for rows, a
    document's own size. front_shift: ‖A(x̃-x)‖₂ / ‖A(x-neutral)‖₂, x scrambled where the reader is a
    personalised copy. distances: how far each is from what was to be kept, in the measure of the
    recoder's `keeps`; None where nothing but the answer is. reasons: why an item must be withheld, None
    where it may be released.
    """

    items: Items
    reasons: tuple[str | None, ...]
    _moved: Callable[[], tuple[float, ...]] = field(repr=False)
    _shifted: Callable[[], tuple[float, ...]] = field(repr=False)
    _far: tuple[float | None, ...] | None = field(repr=False)

    @cached_property
    def psnr(self) -> tuple[float, ...]:
        """dB of each item."""
        return self._moved()

    @cached_property
    def front_shift(self) -> tuple[float, ...]:
        """How far each item moved in the front, relative."""
        return self._shifted()

    @property
    def distances(self) -> tuple[float | None, ...]:
        """How far each item is from what was to be kept: the front's shift where that is everything."""
        return self.front_shift if self._far is None else self._far

    @property
    def images(self) -> Items:
        """The items, where they are pictures or sounds."""
        return self.items


class Domain(ABC, Generic[Items]):
    """What one kind of data is to a recoder: how its items are checked, keyed, rounded, measured.

    purpose: of the streams of its items. batch: how many are best worked on together. format: of
    their files, where there are several. scramble: how the reader takes its items where it is a
    personalised copy. seal: by which its files are sealed where it is a sealed one.
    """

    purpose: ClassVar[str]
    batch: int = 8
    format: str = ""
    scramble: Scramble | None = None
    seal: SealSecret | None = None

    @abstractmethod
    def clean(self, items: Items) -> Items:
        """The items as a recoder takes them. Raises InvalidArgument for what are none."""

    def keyed(self, clean: Items) -> Items:
        """What keys the noise of the items: as the reader takes them, with or without a seal, so that a
        source has one noise under every seal and none."""
        return clean if self.scramble is None else self.scramble(clean)  # type: ignore[arg-type, return-value]

    def seen(self, keyed: Items) -> Items:
        """What the reader sees of them."""
        return keyed

    def refused(self, clean: Items) -> Sequence[str | None]:
        """Why an item must be withheld whatever is made of it."""
        return [None] * len(clean)  # type: ignore[arg-type]

    @abstractmethod
    def content(self, item: Any) -> tuple[bytes, ...]:
        """What keys an item's noise, beside key and settings."""

    @abstractmethod
    def rounded(self, made: Items) -> Items:
        """Values that a file can hold."""

    @abstractmethod
    def psnr(self, made: Any, clean: Any) -> float:
        """Of one item, in dB; see `Recoded`."""

    @abstractmethod
    def shift(self, made: Any, seen: Any) -> float:
        """How far one item moved in the key's front, relative."""

    def framed(
        self, made: Items, items: Items, margins: Callable[[], Sequence[KeyedStream]]
    ) -> Items:
        """What goes out for the items that came in. margins: streams for what no model sees."""
        return made


class Recoder(ABC, Generic[Items]):
    """A key with options; calling it recodes a batch. The result of an item depends on that item
    alone, or, for recoders that say so by `batch`, on its fixed chunk.

    A variant is a frozen dataclass: its keyword-only fields are its options, with their defaults,
    checked in `__post_init__`. threads: of torch, that serve it best; None for all there are.
    """

    method: ClassVar[str]
    threads: ClassVar[int | None] = None
    key: Key

    def __post_init__(self) -> None:
        own = entry_of(self.method, self.key.modality)
        if own is not None and not isinstance(self, own.recoder):
            raise InvalidArgument(
                "key", expected=f"one for {type(self).__name__}",
                found=f"one of {self.key.modality}",
                remedy=f"catch11.recoder_for(key, method={self.method!r}) finds the recoder of any key",
            )  # fmt: skip
        _ = self.domain  # checks its part of the options

    @property
    @abstractmethod
    def domain(self) -> Domain[Items]:
        """What the items are, with this key and these options."""

    @property
    def batch(self) -> int:
        """How many items are worked on together."""
        return self.domain.batch

    @property
    def scramble(self) -> Scramble | None:
        """How the reader takes its items where it is a personalised copy."""
        return self.domain.scramble

    @property
    def keeps(self) -> Keep:
        """What its files keep of the source."""
        return EVERYTHING

    def distances(self, made: Items, seen: Items) -> Sequence[float | None]:
        """How far items, as a file holds them, are from what was to be kept of the clean ones."""
        return [None] * len(seen)  # type: ignore[arg-type]

    @cached_property
    def settings(self) -> Facts:
        """Everything but the key that decides what a file looks like; public."""
        return {"method": self.method, **self.facts()}

    def facts(self) -> Mapping[str, Any]:
        """The settings beside the method: every option as it stands, unless a variant says otherwise."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in names if name not in _THINGS}

    @abstractmethod
    def run(
        self, items: Items, streams: Sequence[KeyedStream]
    ) -> tuple[Items, Sequence[str | None]]:
        """Recoded items and reasons to withhold; one keyed stream an item."""

    @final
    def __call__(self, items: Items) -> Recoded[Items]:
        """Recode a batch; what its items are says the domain. Raises InvalidArgument for others."""
        domain = self.domain
        clean: Any = domain.clean(items)
        keyed: Any = domain.keyed(clean)
        seen: Any = domain.seen(keyed)
        made: Any = seen
        reasons: Sequence[str | None] = ()
        if len(seen):
            made, reasons = self.run(seen, [self.stream(item) for item in keyed])
        made = domain.rounded(made)
        refused = domain.refused(clean)
        far: tuple[float | None, ...] | None = None
        broken: list[str | None] = [None] * len(reasons)
        if self.keeps.what != ALL:
            far = tuple(self.distances(made, seen) if reasons else ())
            broken = [self.keeps.broken(distance) for distance in far]
        return Recoded(
            items=domain.framed(made, items, lambda: [self.stream(v, "margin") for v in keyed]),
            reasons=tuple(a or b or c for a, b, c in zip(refused, broken, reasons, strict=True)),
            # Each item by itself: alike in any batch, and within the cache.
            _moved=lambda: tuple(map(domain.psnr, made, clean)),
            _shifted=lambda: tuple(map(domain.shift, made, seen)),
            _far=far,
        )

    def stream(self, item: Any, purpose: str = "") -> KeyedStream:
        """The stream of one item, as the front sees it, under these settings.

        The settings belong to it: with one noise at two strengths, x + a·z and x + b·z would give
        x away.
        """
        settings = repr(sorted(self.settings.items())).encode()
        content = self.domain.content(item)
        return self.key.stream(
            self.method.encode(), settings, *content, purpose=purpose or self.domain.purpose
        )
