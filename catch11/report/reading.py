"""Records from files: JSON lines, the JSON that verify and attack write, or those beside a release."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from catch11.errors import InvalidArgument
from catch11.evaluation.record import Record, read_records

BESIDE = ".records.jsonl"


def load_records(paths: Iterable[str | os.PathLike[str]]) -> tuple[Record, ...]:
    """All records of files and release folders, each once, in order.

    .jsonl: one record a line; .json: an object with `records`; a folder: FOLDER.records.jsonl
    beside it, where `catch11 attack --records` put them. Raises InvalidArgument for anything else.
    """
    found: dict[str, Record] = {}
    for given in paths:
        path = Path(given)
        for record in _lines(beside(path)) if path.is_dir() else _file(path):
            found.setdefault(record.to_line(), record)
    if not found:
        raise InvalidArgument("records", expected="one record or more", found="none")
    return tuple(found.values())


def load_warnings(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """What `catch11 verify` and `attack` warned of when they wrote these `.json` files, each once.
    Records say less: a line of JSON lines holds none. Raises InvalidArgument as load_records does."""
    found: dict[str, None] = {}
    for given in paths:
        path = Path(given)
        held = _decoded(path) if path.suffix == ".json" and not path.is_dir() else {}
        told = held.get("warnings", []) if isinstance(held, dict) else []
        if not isinstance(told, list) or not all(isinstance(text, str) for text in told):
            raise InvalidArgument(
                "records", expected=f"`warnings` of sentences in {path.name}", found="other things"
            )
        found |= dict.fromkeys(told)
    return tuple(found)


def beside(folder: Path) -> Path:
    """Where the records of a release stand: beside its folder."""
    return Path(f"{os.path.abspath(folder)}{BESIDE}")


def _file(path: Path) -> tuple[Record, ...]:
    return _object(path) if path.suffix == ".json" else _lines(path)


def _lines(path: Path) -> tuple[Record, ...]:
    if not path.is_file():
        raise InvalidArgument(
            "records", expected="a file of records", found=f"no file {path}",
            remedy="catch11 attack DST … --records FILE.jsonl makes one",
        )  # fmt: skip
    try:
        return tuple(read_records(path))
    except UnicodeDecodeError:
        raise InvalidArgument("records", expected="JSON lines", found=path.name) from None


def _decoded(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArgument("records", expected=f"JSON in {path}", found=str(error)) from None


def _object(path: Path) -> tuple[Record, ...]:
    held = _decoded(path)
    rows = held.get("records") if isinstance(held, dict) else None
    if not isinstance(rows, list):
        raise InvalidArgument(
            "records", expected=f"an object with `records` in {path.name}", found="none"
        )
    return tuple(Record.from_line(json.dumps(row)) for row in rows)
