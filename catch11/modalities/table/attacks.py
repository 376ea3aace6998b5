"""Attacks on released tables: a blind filter, known pairs, a known front; what each model answers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.data.tables import Table, read_table
from catch11.errors import InvalidArgument, ReleaseError
from catch11.evaluation.record import Record
from catch11.evaluation.roles import named as named_by
from catch11.evaluation.roles import role_of
from catch11.keys.key import Key
from catch11.modalities.table.model import TableModel
from catch11.modalities.table.restore import projected, regressed, wiener
from catch11.modalities.table.scores import (
    classes_of,
    clean_table,
    rows_by_source,
    rows_of,
)
from catch11.modalities.tries import Tries, chosen, tried
from catch11.releases.read import read_release

Told = Callable[[str, int, int], None]
Rows = Float[Tensor, "row column"]
Others = Float[Tensor, "_ column"]


def attack_rows(
    dst: Path,
    rivals: Sequence[TableModel],
    *,
    source: Path,
    model: TableModel | None = None,
    key: Key | None = None,
    public: Path | None = None,
    target: str | None = None,
    ledger: Path | None = None,
    limit: int = 60,
    training: int = 200,
    seed: int = 0,
    attacks: Sequence[str] | None = None,
    command: str | None = None,
    progress: Told | None = None,
) -> list[Record]:
    """What models answer to released rows, as they are and after each attack that what is given here
    allows. limit: rows that are judged, evenly spaced. training: others of which the attacker holds
    both sides. public: clean rows of his. target: the column with the class; without it a model's own
    clean answer is the truth. Raises ReleaseError, InvalidArgument.
    """
    held = read_release(dst)
    if not held.entries:
        raise ReleaseError(dst, "the release lists no files", "release something first")
    named = named_by((*rivals,) if model is None else (model, *rivals))
    first = next(iter(named.values()))
    ledger_rows = rows_by_source(dst, ledger)
    made, clean = [], []
    truth: list[int | None] = []
    for entry in held.entries:
        table = held.item(entry)
        made.append(table)
        clean.append(clean_table(source, entry.file, table, ledger_rows))
        truth += classes_of(table, target, first.labels)
    released, originals = _stacked(made, first), _stacked(clean, first)
    count = len(released)
    judged = [i * count // min(limit, count) for i in range(min(limit, count))]
    rest = sorted(set(range(count)) - set(judged))
    pairs = [
        rest[i * len(rest) // min(training, len(rest))] for i in range(min(training, len(rest)))
    ]
    known_front = None if key is None or model is None else key  # in the units of its own model
    sides = (originals[pairs], released[pairs])
    runs = _runs(released[judged], sides, public, known_front, first)
    plain: Tries[Rows] = {"": ((), lambda: released[judged])}
    return tried(
        {**plain, **chosen(runs, attacks)}, named,
        restored=lambda one, rows: _answers(one, _as_read(first.restore(rows), first, one)),
        own=lambda one: _answers(one, _stacked(clean, one)[judged]),
        role=lambda one: role_of(model, one),
        truth=[truth[row] for row in judged],
        release=held, seed=seed, command=command, progress=progress,
    )  # fmt: skip


def _answers(model: TableModel, rows: Rows) -> list[int]:
    return model.logits(rows).argmax(1).tolist()


def _runs(
    rows: Rows,
    pairs: tuple[Others, Others],
    public: Path | None,
    key: Key | None,
    model: TableModel,
) -> Tries[Rows]:
    """What can be run, by name, with what it knows."""
    found: dict[str, tuple[tuple[str, ...], Callable[[], Rows]]] = {}
    if len(pairs[0]) > 1:
        found["regression"] = (("pairs",), lambda: regressed(rows, pairs))
    if public is not None:
        files = sorted(public.iterdir()) if public.is_dir() else [public]
        tables = [read_table(file) for file in files if file.suffix in (".csv", ".tsv", ".parquet")]
        if not tables:
            raise InvalidArgument("--public", expected="a table or some", found=str(public))
        others = _stacked(tables, model)
        found["Wiener"] = (("public",), lambda: wiener(rows, others))
        if key is not None:
            front = key.front
            found["front known"] = (("public", "front"), lambda: projected(rows, others, front))
    return found


def _stacked(tables: Sequence[Table], model: TableModel) -> Rows:
    return torch.cat([rows_of(table, model) for table in tables])


def _as_read(values: Float[np.ndarray, "row column"], first: TableModel, one: TableModel) -> Rows:
    """Cells in the first model's columns as another model reads them."""
    missing = set(one.names) - set(first.names)
    if missing:
        raise InvalidArgument(
            f"model {one.name}", expected=f"columns of {first.name}", found=sorted(missing)[0]
        )
    return one.standardise(values[:, [first.names.index(name) for name in one.names]])
