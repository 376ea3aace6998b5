"""What `catch11 recode` does, for whatever kind of data: a source in, a release for one model out."""

import os
from contextlib import ExitStack
from dataclasses import fields, replace
from typing import Any, NamedTuple

from catch11.data.stores.find import opened
from catch11.data.windows import folder_windows
from catch11.errors import InvalidArgument
from catch11.keys.authorized import is_private
from catch11.keys.key import Key
from catch11.modalities.frame import Modality, Progress
from catch11.modalities.frame import options as names
from catch11.modalities.known import check_source, in_store, named
from catch11.modalities.open import check_copy, check_unsealed, readers
from catch11.modalities.options import Folder, RecodeOptions
from catch11.recoding.choose import method_for, options_of, options_taken, recoder_for
from catch11.recoding.codecs import survival
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.threads import torch_threads
from catch11.releases.engine import Summary, planned
from catch11.releases.ledger import Marks
from catch11.releases.press import Press
from catch11.releases.preview import Preview
from catch11.releases.preview import preview as reckoned
from catch11.releases.whole import release, stored, suffix_of

_RUN = names("keep method model copy check names ledger workers resume engine address")
_RELEASE = names(
    "names ledger resume columns long engine address"
)  # what a release takes as it is given
_DEEP = names("also against quiet")


def recode(
    src: Folder, dst: Folder, key: Key, options: RecodeOptions, *, apart: bool = False,
    marks: Key | Marks | None = None, progress: Progress | None = None,
) -> Summary:  # fmt: skip
    """Recode a source for the model that a key is of; see `catch11.release`.

    apart: each item for itself, as who hands files out to others needs it. What is in a file does not hang on
    what came with it, and a second strength withholds that item alone. marks: see there. Raises InvalidArgument, KeyMismatch, ReleaseError.
    """
    asked = _asked(src, key, options, apart=apart)
    return release(
        src, dst, asked.recoder, check=asked.check, workers=asked.workers, strict=not apart,
        marks=marks, progress=progress, **asked.given,
    )  # fmt: skip


def press(key: Key, options: RecodeOptions) -> Press:
    """What `recode` makes files with, each apart, held open for sources that come one by one. Raises as it does."""
    asked = _asked(None, key, options, apart=True)
    return Press(
        asked.recoder, model=asked.given["model"], check=asked.check, workers=asked.workers
    )


def preview(src: Folder, dst: Folder, key: Key, options: RecodeOptions) -> Preview:
    """What `recode` would do, reckoned from a few items; writes nothing. Raises as it does."""
    asked = _asked(src, key, options)
    with torch_threads(asked.recoder.threads):
        only = ("names", "engine", "address")
        given = {name: value for name, value in asked.given.items() if name not in only}
        to, ledger = given.pop("to", None), given.pop("ledger", None)
        columns = given.pop("columns", ())
        kind, suffix = asked.recoder.key.modality, suffix_of(asked.recoder)
        found = stored(src, dst, kind, to=to, ledger=ledger, columns=columns, suffix=suffix)
        with found as store, ExitStack() as stack:
            if store is None:
                plan = planned(
                    src, dst, asked.recoder, check=asked.check, ledger=ledger, columns=columns, **given
                )  # fmt: skip
            else:
                first = store.shards[0]
                source = store.open(first) if len(store.shards) == 1 else opened(src, store.wanted)
                stack.callback(source.close)
                plan = planned(
                    source, first.room, asked.recoder, check=asked.check, ledger=first.ledger, **given
                )  # fmt: skip
            return reckoned(plan, workers=asked.workers)


class _Asked(NamedTuple):
    """What a release is made with. given: further arguments, as they are."""

    recoder: Recoder[Any]
    check: Any
    workers: int
    given: dict[str, Any]


def _asked(src: Folder | None, key: Key, options: RecodeOptions, *, apart: bool = False) -> _Asked:
    """The recoder and all else that options ask for."""
    if options.check and options.model is None:
        raise InvalidArgument("check", expected="--model MODEL beside it", found="none")
    kind = named(key.modality)
    if src is not None and not in_store(kind, src):
        check_source(kind, src)
    given = _opened(kind, key, _taken(kind, options), options)
    run = {name: given.pop(name) for name in _RELEASE & set(given)}
    run |= {name: given.pop(name) for name in kind.reading & set(given)}
    model, check, workers = (given.pop(name, None) for name in ("model", "check", "workers"))
    recoder = _recoder(key, given, model=model, src=src)
    if apart and hasattr(recoder, "chunk"):
        recoder = replace(recoder, chunk=1)  # type: ignore[type-var]
    return _Asked(
        recoder=recoder, check=model if check else None, workers=workers or _workers(recoder),
        given={"model": model, **run},
    )  # fmt: skip


def _taken(kind: Modality, options: RecodeOptions) -> dict[str, Any]:
    """The options that were given. Raises InvalidArgument for those that mean nothing here."""
    method, entry = method_for(kind.name, options.method, options.keep)
    known = options_taken(entry, (field.name for field in fields(options)))
    for name in sorted(_DEEP - known):
        if getattr(options, name) and method != "deep":
            raise InvalidArgument(
                name, expected="--method deep beside it", found=method,
                remedy="a spectral key for several models is made by catch11 key --also",
            )  # fmt: skip
    return options.taken(known | _RUN | kind.reading, kind=f"{kind.items} with --method {method}")


def _opened(
    kind: Modality, key: Key, given: dict[str, Any], options: RecodeOptions
) -> dict[str, Any]:
    """The same, with models in place of what they are loaded by."""
    if "model" not in given and (why := kind.reader(key)):
        raise InvalidArgument("model", expected=why, found="none")
    found = dict(given)
    for name in ("model", "also", "against"):
        if name in given:
            some = given[name] if isinstance(given[name], tuple) else (given[name],)
            opened = readers(some, kind, options, what="the key")
            check_unsealed(opened)
            found[name] = opened[0] if name == "model" else tuple(opened)
    if is_private(found.get("model")) or key.private:
        check_copy("that the key is of" if key.private else found["model"].spec, options.copy)
    return found


def _recoder(key: Key, given: dict[str, Any], *, model: Any, src: Folder | None) -> Recoder[Any]:
    """The recoder that options ask for. src: the source, of which `quiet` learns."""
    method, keep, copy, quiet = (
        given.pop(name, None) for name in ("method", "keep", "copy", "quiet")
    )
    options = options_of(given)
    if "survive" in options:
        options["survive"] = survival(options["survive"])
    if options.get("start", "noise") not in ("noise", "spectral"):
        options["start"] = folder_windows(options["start"], key.canvas)
    made = recoder_for(key, keep=keep, method=method, model=model, copy=copy, **options)
    if quiet and src is not None and isinstance(made, DeepRecoder):
        return replace(made, quiet=made.learn_quiet(folder_windows(src, key.canvas, most=quiet)))
    return made


def _workers(recoder: Recoder[Any]) -> int:
    """As many as processors for recoders that work on one thread of torch, one for those that use
    them all."""
    return 1 if recoder.threads is None else os.cpu_count() or 1
