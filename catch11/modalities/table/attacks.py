"""What attackers of released tables hold: rows, pairs of both sides, public rows, a known front."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.attacks.digest import digest, source_digest
from catch11.attacks.frame import Material
from catch11.attacks.jury import ClassJury, truths
from catch11.attacks.scene import Asked, Folder, Scene, Stand
from catch11.data.selection import spread
from catch11.data.tables import SUFFIXES, Table, read_table
from catch11.errors import InvalidArgument, ReleaseError
from catch11.modalities.table.model import TableModel
from catch11.modalities.table.scores import classes_of, clean_table, rows_by_source, rows_of
from catch11.modalities.table.verify import noise_like, verify_rows

Rows = Float[Tensor, "row column"]


class WholeRows:
    """Rows as they are: each is one piece."""

    def cut(self, items: Rows) -> Float[Tensor, "row 1 column"]:
        return items.double()[:, None]

    def paste(self, pieces: Float[Tensor, "row 1 column"], like: Rows) -> Rows:
        return pieces[:, 0].to(like)


def gather(asked: Asked) -> Scene:
    """Read a release of tables. Rows are in the units of the first model; the key's front is known
    where the authorized model is that. Judged are the rows that have a class, evenly spaced, or all
    where the target names none. Raises ReleaseError, InvalidArgument.
    """
    asked.needed("rivals", "source")
    assert asked.source is not None
    effort, first = asked.effort, next(iter(asked.models.values()))
    held = asked.release
    if not held.entries:
        raise ReleaseError(asked.dst, "the release lists no files", "release something first")
    ledger = rows_by_source(asked.dst, asked.ledger)
    tables = [held.item(entry) for entry in held.entries]
    clean = [
        clean_table(asked.source, entry.file, table, ledger)
        for entry, table in zip(held.entries, tables, strict=True)
    ]
    labels = [label for one in tables for label in classes_of(one, asked.target, first.labels)]
    released, originals = _stacked(tables, first), _stacked(clean, first)
    if effort.control:
        strength = (released - originals).square().mean(1).sqrt()
        released = noise_like(originals, strength, "control", seed=effort.seed)
    known = [place for place, label in enumerate(labels) if label is not None]
    every = known or range(len(released))
    judged = list(spread(every, effort.judged))
    pairs = list(spread(sorted({*range(len(released))} - {*judged}), effort.training))
    material = Material(
        canvas=first.canvas,
        released=released[judged],
        public=_public(asked.public, effort.public, first),
        front=None if asked.key is None or asked.model is None else asked.key.front,
        pairs=(originals[pairs], released[pairs]) if pairs else None,
        pieces=lambda size: WholeRows(),
    )
    truth, metric = truths(
        asked.models,
        torch.tensor([labels[row] for row in judged]) if known else None,
        lambda one: one.logits(_stacked(clean, one)[judged]).argmax(1),
    )
    jury = ClassJury(
        rivals=asked.models, truth=truth, metric=metric, predict=partial(_predicted, first=first),
        released=released[judged],
    )  # fmt: skip
    return Scene(
        stands=(Stand(material=material, jury=jury),),
        count=len(judged),
        verify=asked.verified(verify_rows, target=asked.target, seed=effort.seed),
        digest=digest(held.complete, labels, source_digest(asked.source)),
        unit="rows",
        learned=len(pairs),
        plain=True,
    )  # fmt: skip


def _public(folder: Folder | None, most: int, model: TableModel) -> Rows | None:
    if folder is None:
        return None
    path = Path(folder)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    tables = [read_table(file) for file in files if file.suffix in SUFFIXES][:most]
    if not tables:
        raise InvalidArgument("--public", expected="a table or some", found=str(path))
    return _stacked(tables, model)


def _predicted(one: TableModel, rows: Rows, *, first: TableModel) -> Int[Tensor, " row"]:
    """A model's classes of rows in the units of the first one."""
    missing = set(one.names) - set(first.names)
    if missing:
        raise InvalidArgument(
            f"model {one.name}", expected=f"columns of {first.name}", found=sorted(missing)[0]
        )
    cells: Any = first.restore(rows)[:, [first.names.index(name) for name in one.names]]
    return one.logits(one.standardise(cells)).argmax(1)


def _stacked(tables: Sequence[Table], model: TableModel) -> Rows:
    return torch.cat([rows_of(table, model) for table in tables])
