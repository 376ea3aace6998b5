"""All kinds of data, and which of them a model, a release or a source is of."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from catch11.data.stores.find import find
from catch11.data.stores.remote import Where, is_remote, local
from catch11.errors import InvalidArgument, ReleaseError
from catch11.kinds import KINDS, fetched, kind_of
from catch11.modalities.frame import Modality
from catch11.modalities.image.modality import IMAGE
from catch11.models.files.function import modality_named
from catch11.releases.holdings import header_of

_LOOKED = 2000  # files of a folder that are looked at to know what it holds


def named(name: str) -> Modality:
    """A kind of data by its name. Raises InvalidArgument with the known ones."""
    found: Modality = fetched(kind_of(name).modality)
    return found


def modalities() -> Iterator[Modality]:
    """All kinds of data, in the order in which they are asked for their claims."""
    yield from map(named, KINDS)


def modality_of(spec: str) -> Modality:
    """The kind of data that the model named by `spec` reads; images where nothing says otherwise."""
    return stated_modality(spec) or IMAGE


def stated_modality(spec: str) -> Modality | None:
    """The kind that lies beside a model: a transformers folder or id is known by its config.json, a
    file by the JSON beside it, a function by its attribute `modality`; None where it has none."""
    kind, _, rest = spec.partition(":")
    if kind == "py":
        stated = modality_named(rest)
        return None if stated is None else named(stated)
    facts = model_facts(spec)
    stated = facts.get("modality")
    if isinstance(stated, str):
        return named(stated)
    return next((one for one in modalities() if facts and one.claims(facts)), IMAGE)


def model_facts(spec: str) -> dict[str, Any]:
    """What lies beside a model's weights, as JSON; empty where there is nothing to read."""
    kind, colon, rest = spec.partition(":")
    bare = not colon or kind not in ("hf", "onnx", "torch")
    path = Path(spec if bare else rest).expanduser()
    if path.is_dir():
        return _json(path / "config.json")
    if path.is_file():
        return _json(path if path.suffix == ".json" else path.with_suffix(".json"))
    if kind != "hf" or not rest:
        return {}
    from catch11.models.hub.transformers import hub_file

    found = hub_file(rest, "config.json")
    return {} if found is None else _json(found)


def _json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def check_source(own: Modality, src: str | os.PathLike[str]) -> None:
    """Raises InvalidArgument where a source holds another kind of data and none of this.

    A mixed folder passes: what is of another kind is skipped, with its reason, as it is read.
    """
    path = Path(src)
    suffixes = _suffixes(path)
    if not suffixes or suffixes & own.suffixes:
        return
    for other in modalities():
        if suffixes & other.suffixes:
            found = sorted(suffixes & other.suffixes)[0]
            readers = [one.models for one in modalities() if found in one.suffixes]
            raise InvalidArgument(
                "SRC", expected=f"{own.sources}, as the key is of {own.models}",
                found=f"{found} files in {path}",
                remedy=f"{found} files go with {' or '.join(readers)}",
            )  # fmt: skip


def in_store(own: Modality, src: Where) -> bool:
    """Whether a source lies in an archive, shards, a table or a data set that this kind of data is read
    from, or elsewhere."""
    suffixes = fetched(kind_of(own.name).pipeline).suffixes
    return bool(suffixes) and (is_remote(src) or find(local(src), suffixes).store is not None)


def check_pairing(own: Modality, found: Modality, spec: str, *, what: str) -> None:
    """Raises InvalidArgument where the model `spec` reads another kind than `what` (a key, a
    release) is made for."""
    if own is not found:
        raise InvalidArgument(
            "--model", expected=f"{own.models}, as {what} is for {own.name}",
            found=f"{found.models} ({spec})",
        )  # fmt: skip


def release_modality(dst: str | os.PathLike[str]) -> Modality:
    """The kind of a release, from the first line of its list; images where it does not say.

    The list is not verified here: whoever reads the release does that.
    """
    stated = header_of(dst).get("modality", IMAGE.name)
    if not isinstance(stated, str):
        raise ReleaseError(dst, "its list names no kind of data")
    return named(stated)


def _suffixes(path: Path) -> frozenset[str]:
    if path.is_file():
        return frozenset({path.suffix.lower()})
    found: set[str] = set()
    count = 0
    for _, _, files in os.walk(path):
        found |= {Path(file).suffix.lower() for file in files}
        count += len(files)
        if count > _LOOKED:
            break
    return frozenset(found)
