"""Which recoder does a method for a kind of data: a new one is a decorated class, and its place in `KINDS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from catch11.errors import InvalidArgument
from catch11.kinds import KINDS

Defaults = Callable[[Any], Mapping[str, Any]]
AnyClass = TypeVar("AnyClass", bound=type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A recoder for one kind of data. defaults: of its options, for a key, where they are not the
    class's own. usual: whether it is taken where no method is named."""

    recoder: Any
    defaults: Defaults
    usual: bool


_ENTRIES: dict[tuple[str, str], Entry] = {}


def _own(key: Any) -> Mapping[str, Any]:
    return {}


def registered(
    *modalities: str, defaults: Defaults = _own, usual: bool = False
) -> Callable[[AnyClass], AnyClass]:
    """Class decorator: the recoder of its `method` for these kinds of data.

    Raises InvalidArgument where there is one already.
    """

    def keep(recoder: AnyClass) -> AnyClass:
        for modality in modalities:
            place = recoder.method, modality  # type: ignore[attr-defined]
            if place in _ENTRIES:
                raise InvalidArgument(
                    recoder.__name__, expected=f"no other recoder {place[0]} for {modality}",
                    found=_ENTRIES[place].recoder.__name__,
                )  # fmt: skip
            _ENTRIES[place] = Entry(recoder=recoder, defaults=defaults, usual=usual)
        return recoder

    return keep


def entry_of(method: str, modality: str) -> Entry | None:
    """The recoder of a method for a kind of data, where there is one."""
    if modality in KINDS and method in KINDS[modality].recoders:
        import_module(KINDS[modality].recoders[method])
    return _ENTRIES.get((method, modality))


def methods_of(modality: str) -> dict[str, Entry]:
    """All recoders of a kind of data by their methods, the usual one first."""
    for home in KINDS[modality].recoders.values() if modality in KINDS else ():
        import_module(home)
    found = {method: entry for (method, kind), entry in _ENTRIES.items() if kind == modality}
    return dict(sorted(found.items(), key=lambda item: not item[1].usual))
