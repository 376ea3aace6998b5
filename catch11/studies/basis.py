"""What decides the numbers of a study's cells beside their own settings: the package's version, the
constants of the study and of the releases it makes, and the models and pictures at hand."""

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from catch11 import __version__
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.place import Place

_READ = 1 << 26  # bytes of a file that are looked at; its size counts beside them


def basis(home: str, place: Place) -> str:
    """Sixteen hex digits of all that: another one is another cell. home: the study's module."""
    facts = {
        "version": __version__,
        "constants": {one.__name__: constants(one) for one in _used(import_module(home))},
        "recoders": [_defaults(recoder) for recoder in (SpectralRecoder, DeepRecoder)],
        "place": _place(place),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _used(module: ModuleType) -> list[ModuleType]:
    """A study's module and those beside it whose names it uses, and they in turn."""
    found = {module.__name__: module}
    waiting = [module]
    while waiting:
        for value in vars(waiting.pop()).values():
            name = (
                value.__name__
                if isinstance(value, ModuleType)
                else getattr(value, "__module__", "")
            )
            if str(name).startswith(f"{__package__}.") and name not in found:
                found[name] = import_module(name)
                waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def constants(module: ModuleType) -> dict[str, str]:
    """The constants of a module that are plain data, as text."""
    named = {name: value for name, value in vars(module).items() if name.isupper()}
    return {name: repr(_sorted(value)) for name, value in named.items() if _plain(value)}


def _plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, (tuple, list, set, frozenset)):
        return all(_plain(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    return value is None or isinstance(value, (str, bytes, bool, int, float, Path))


def _sorted(value: object) -> object:
    """The same with sets in order, whose text would differ from one process to the next."""
    if isinstance(value, Mapping):
        return {key: _sorted(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_sorted(part) for part in value]
    return sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value


def _defaults(recoder: type) -> dict[str, str]:
    """What a recoder does where it is not told."""
    named = inspect.signature(recoder).parameters.values()
    return {one.name: repr(one.default) for one in named}


def _place(place: Place) -> object:
    if place.config == "local" and place.assets is not None and place.assets.is_dir():
        return _folder(place.assets.resolve())
    return place.config


@lru_cache(maxsize=4)
def _folder(root: Path) -> str:
    """A digest of a folder's files, wherever it lies."""
    whole = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        with open(path, "rb") as file:
            held = hashlib.sha256(file.read(_READ)).hexdigest()
            size = os.fstat(file.fileno()).st_size
        whole.update(json.dumps([path.relative_to(root).as_posix(), size, held]).encode())
    return whole.hexdigest()
