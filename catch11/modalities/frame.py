"""Modality: a kind of data that models read, keys recode and sources hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from catch11.errors import InvalidArgument
from catch11.evaluation.verification import Verification
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key, build_key
from catch11.modalities.options import Options

Facts = Mapping[str, Any]
Progress = Callable[..., None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """Options of a command that mean something to one kind of data. needs: of these, what it cannot
    do without, and how sentences call it."""

    takes: frozenset[str]
    needs: Mapping[str, str] = field(default_factory=dict)

    def taken(self, given: Options, *, kind: str) -> dict[str, Any]:
        """The options that were given. Raises InvalidArgument for one that means nothing here, and
        where one is missing."""
        found = given.taken(self.takes, kind=kind)
        for name, what in self.needs.items():
            if name not in found:
                raise InvalidArgument(name, expected=what, found="none")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Takes, Generic[Result]):
    """What a command does for one kind of data. run: is given what the command works on, and by
    keyword those of its options that it takes and that were given."""

    run: Callable[..., Result]


def options(names: str) -> frozenset[str]:
    """Options that mean something to a kind of data, by their names."""
    return frozenset(names.split())


RULES = options("energy tau cumulative rank layer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """A kind of data.

    items, models, sources: for sentences. peak: what decibels are of. suffixes: of source files.
    claims: whether a model with this config.json (or JSON beside the file) reads it. load: a model
    by its spec, to a device, with or without leave to run code. key: of a loaded model. reading:
    options that say how sources are read, beside those of the recoder and of every release. reader:
    why sources cannot be read without the key's model, if so.
    """

    name: str
    items: str
    models: str
    sources: str
    peak: str
    suffixes: frozenset[str]
    claims: Callable[[Facts], bool]
    load: Callable[..., Authorized]
    key: Action[Key] = Action(run=build_key, takes=RULES)
    reading: frozenset[str] = frozenset()
    reader: Callable[[Key], str] = lambda key: ""
    verify: Action[Verification]
    attack: Takes
