"""What kind of data a model reads, a key recodes and a source holds: the table that joins them.

Images are the built-in kind. Every other kind is a row of `ROWS` and a module with a `PLUG`; the
commands look the kind up here and hand over. Nothing here loads a model.
"""

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from catch11.errors import InvalidArgument, ReleaseError
from catch11.keys.authorized import IMAGE
from catch11.keys.key import Key
from catch11.models.files.function import modality_named

Facts = Mapping[str, Any]
Progress = Callable[..., None]
_LOOKED = 2000  # files of a folder that are looked at to know what it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A kind of data. models, sources: for sentences. suffixes: of its source files. home: the
    module that holds its `PLUG`."""

    name: str
    models: str
    sources: str
    suffixes: frozenset[str]
    home: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a plug's command found: facts for machines, lines for people, whether it is a finding."""

    facts: Mapping[str, Any]
    view: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """How one kind of data is done. `asked` holds the options that were given, by their Python
    names; a plug takes what it knows with `take` and so refuses the others.

    claims: whether a model with this config.json (or JSON beside the file) is of this kind.
    key: (spec, asked, device, allow_code). recode: (src, dst, key, asked, progress). verify:
    (dst, spec, asked, progress). attack: (dst, asked, progress), `asked` holding an opened key; None
    where the attacks on images are those of this kind too.
    """

    claims: Callable[[Facts], bool]
    key: Callable[[str, Facts, str, bool], Key]
    recode: Callable[[Path, Path, Key, Facts, Progress], Result]
    verify: Callable[[Path, str, Facts, Progress], Result]
    attack: Callable[[Path, Facts, Progress], Result] | None = None


_PICTURES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif",
     ".ico", ".jp2", ".j2k", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}
)  # fmt: skip
IMAGES = Row(
    name=IMAGE,
    models="a model of pictures",
    sources="a folder of pictures",
    suffixes=_PICTURES,
)
# To add a kind: a row here and a module with a PLUG. The first whose `claims` holds is taken.
ROWS: tuple[Row, ...] = (
    Row(
        name="text",
        models="a text encoder",
        sources="a .csv, .tsv or .txt file, or a folder of .txt files",
        suffixes=frozenset({".txt", ".csv", ".tsv"}),
        home="catch11.modalities.text.plug",
    ),
    Row(
        name="audio",
        models="a model of sounds",
        sources="a folder of .wav, .flac or .ogg files",
        suffixes=frozenset({".wav", ".wave", ".flac", ".ogg", ".oga", ".opus"}),
        home="catch11.modalities.audio.plug",
    ),
    Row(
        name="table",
        models="a model of tables",
        sources="a .csv, .tsv or .parquet file, or a folder of them",
        suffixes=frozenset({".csv", ".tsv", ".parquet"}),
        home="catch11.modalities.table.plug",
    ),
)


def row_of(name: str) -> Row:
    """The row of a kind. Raises InvalidArgument with the known ones."""
    rows = {row.name: row for row in (IMAGES, *ROWS)}
    if name not in rows:
        raise InvalidArgument("modality", expected=f"one of {', '.join(rows)}", found=name)
    return rows[name]


def plug(name: str) -> Plug:
    """How a kind other than images is done."""
    found: Plug = importlib.import_module(row_of(name).home).PLUG
    return found


def modality_of(spec: str) -> str:
    """The kind of data that the model named by `spec` reads; images where nothing says otherwise.

    A transformers folder or id is known by its config.json, a file by the JSON beside it, a
    function by its attribute `modality`.
    """
    kind, _, rest = spec.partition(":")
    if kind == "py":
        named = modality_named(rest)
        return IMAGE if named is None else row_of(named).name
    facts = model_facts(spec)
    named = facts.get("modality")
    if isinstance(named, str):
        return row_of(named).name
    if facts:
        for row in ROWS:
            if plug(row.name).claims(facts):
                return row.name
    return IMAGE


def model_facts(spec: str) -> dict[str, Any]:
    """What lies beside a model's weights, as JSON; empty where there is nothing to read."""
    kind, colon, rest = spec.partition(":")
    bare = not colon or kind not in ("hf", "onnx", "torch")
    path = Path(spec if bare else rest).expanduser()
    if path.is_dir():
        return _json(path / "config.json")
    if path.is_file():
        return _json(path if path.suffix == ".json" else path.with_suffix(".json"))
    return _cached(rest) if kind == "hf" and rest else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _cached(name: str) -> dict[str, Any]:
    """The configuration of a hub model, from the cache or the hub."""
    from transformers.utils import cached_file

    try:
        found = cached_file(name, "config.json")
    except (OSError, ValueError):
        return {}
    return {} if found is None else _json(Path(found))


def check_source(name: str, src: str | os.PathLike[str]) -> None:
    """Raises InvalidArgument where a source holds another kind of data and none of this.

    A mixed folder passes: what is of another kind is skipped, with its reason, as it is read.
    """
    own, path = row_of(name), Path(src)
    suffixes = _suffixes(path)
    if not suffixes or suffixes & own.suffixes:
        return
    for row in (IMAGES, *ROWS):
        if row is not own and suffixes & row.suffixes:
            found = sorted(suffixes & row.suffixes)[0]
            readers = [other.models for other in (IMAGES, *ROWS) if found in other.suffixes]
            raise InvalidArgument(
                "SRC", expected=f"{own.sources}, as the key is of {own.models}",
                found=f"{found} files in {path}",
                remedy=f"{found} files go with {' or '.join(readers)}",
            )  # fmt: skip


def check_pairing(name: str, spec: str, *, what: str) -> None:
    """Raises InvalidArgument where the model `spec` reads another kind than `what` (a key, a
    release) is made for."""
    own, found = row_of(name), row_of(modality_of(spec))
    if own is not found:
        raise InvalidArgument(
            "--model", expected=f"{own.models}, as {what} is for {own.name}",
            found=f"{found.models} ({spec})",
        )  # fmt: skip


def release_modality(dst: str | os.PathLike[str]) -> str:
    """The kind of a release, from the first line of its list; images where it does not say.

    The list is not verified here: whoever reads the release does that.
    """
    try:
        with open(Path(dst) / "manifest.jsonl", "rb") as file:
            facts = json.loads(file.readline(1 << 16))
    except (OSError, ValueError, RecursionError):
        return IMAGE
    named = facts.get("modality", IMAGE) if isinstance(facts, dict) else IMAGE
    if not isinstance(named, str):
        raise ReleaseError(dst, "its list names no kind of data")
    return row_of(named).name


def take(asked: Facts, known: Sequence[str], *, kind: str) -> dict[str, Any]:
    """The options of a plug. Raises InvalidArgument for one that means nothing to this kind."""
    for name in asked:
        if name not in known:
            option = "--" + name.replace("_", "-")
            raise InvalidArgument(option, expected=f"no such option for {kind}", found="it")
    return dict(asked)


class Loading(TypedDict):
    """What every loader of models takes."""

    device: str
    allow_code: bool


def loading(asked: Facts) -> tuple[dict[str, Any], Loading]:
    """The options of a plug without those that its loader takes, and the latter by themselves."""
    rest = dict(asked)
    device, allow_code = rest.pop("device", "cpu"), rest.pop("allow_code", False)
    return rest, Loading(device=str(device), allow_code=bool(allow_code))


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
