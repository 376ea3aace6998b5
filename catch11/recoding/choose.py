"""The recoder for a key: of its kind of data, by a method's name and options."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from catch11.copies.secretfile import Secret
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.frame import Recoder
from catch11.recoding.keep import ALL, parse_keep
from catch11.recoding.registry import Entry, methods_of

# What a recoder may work with beside the key, and how a command is given it.
_THINGS = {"model": "--model MODEL", "copy": "--secret FILE"}
_NAMED = {"client": "tag", "half": "precise"}  # options of commands that recoders call otherwise


def method_for(modality: str, method: str | None, keep: str | None = None) -> tuple[str, Entry]:
    """A method and its recoder for a kind of data: the one that keeps what is asked for, the usual one
    where nothing is. Raises InvalidArgument with the known ones."""
    known = methods_of(modality)
    named = method
    if keep is not None:
        named = "spectral" if parse_keep(keep).what == ALL else "deep"
        if method not in (None, named):
            expected = f"--method {named}, or none, beside --keep {keep}"
            raise InvalidArgument("method", expected=expected, found=method)
    chosen = next(iter(known), "none") if named is None else named
    if chosen not in known:
        expected = f"{' or '.join(known)} for {modality}"
        raise InvalidArgument("method", expected=expected, found=repr(chosen))
    return chosen, known[chosen]


def options_taken(entry: Entry, among: Iterable[str]) -> frozenset[str]:
    """Which options of a command a recoder takes, by their Python names."""
    slots = {field.name for field in fields(entry.recoder) if field.init}
    return frozenset(name for name in among if _NAMED.get(name, name) in slots)


def recoder_for(
    key: Key,
    *,
    method: str | None = None,
    keep: str | None = None,
    model: object = None,
    copy: Secret | None = None,
    **options: Any,
) -> Recoder[Any]:
    """The recoder that `catch11 recode` takes for this key.

    keep: what files keep: answer, scores, features or layer:NAME (method deep), or all (spectral); see
    `recoding.keep`. method: for experts; the usual one of the key's kind of data unless named. model: the
    authorized one, for methods that ask it. copy: the secret of the personalised copy that the key
    was built from. options: those of the recoder, as its class takes them. Raises InvalidArgument,
    which names the known ones.
    """
    chosen, entry = method_for(key.modality, method, keep)
    slots = {field.name: field for field in fields(entry.recoder) if field.init}
    things = {"model": model, "copy": copy}
    for name, how in _THINGS.items():
        if things[name] is None and name in slots and slots[name].default is MISSING:
            word = f"--method {chosen}" if keep is None else f"--keep {keep}"
            raise InvalidArgument(word, expected=f"{how} beside it", found="none")
    own = [name for name in slots if name not in ("key", *_THINGS)]
    options |= {"keep": keep} if keep is not None and "keep" in own else {}
    for name in options:
        if name not in own:
            expected = f"one of {', '.join(own)}, the options of method {chosen} for {key.modality}"
            raise InvalidArgument("option", expected=expected, found=name)
    if copy is not None and "copy" not in slots:
        raise InvalidArgument("copy", expected=f"none, for {key.modality}", found="a secret")
    given = {name: thing for name, thing in things.items() if name in slots}
    made: Recoder[Any] = entry.recoder(key=key, **given, **{**entry.defaults(key), **options})
    return made


def options_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a recoder from those that a command was given, by their Python names."""
    options = {_NAMED.get(name, name): value for name, value in asked.items()}
    if "precise" in options:
        options["precise"] = "float16" if options["precise"] else "float32"
    if "radius" in options:
        options["radius"] = radius_of(options["radius"])
    return options


def radius_of(text: str) -> str | float:
    """A radius as written: auto, least or a number. Raises InvalidArgument."""
    if text in ("auto", "least"):
        return text
    try:
        return float(text)
    except ValueError:
        known = "auto, least or a number"
        raise InvalidArgument("radius", expected=known, found=repr(text)) from None
