"""Verifying a release of tables, row by row: the authorized model, rivals and, with a source, controls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import decibels
from catch11.data.tables import Table
from catch11.errors import ReleaseError
from catch11.evaluation.gaussian import item_generator
from catch11.evaluation.record import Condition
from catch11.evaluation.roles import named
from catch11.evaluation.score import Run, Tally, release_id
from catch11.evaluation.verification import (
    Progress,
    Verifiable,
    Verification,
    check_limits,
    verified,
)
from catch11.keys.key import Key
from catch11.modalities.table.model import TableModel
from catch11.modalities.table.release import part_name
from catch11.modalities.table.scores import classes_of, clean_table, rows_by_source, rows_of
from catch11.releases.ledger import Row
from catch11.releases.manifest import signer_of
from catch11.releases.read import Release, read_release

Rows = Float[Tensor, "row column"]


def verify_rows(
    dst: Path,
    model: TableModel,
    *,
    rivals: Sequence[TableModel] = (),
    source: Path | None = None,
    key: Key | None = None,
    target: str | None = None,
    ledger: Path | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Every model on the released rows and, with `source`, on the clean ones, on Gaussian noise of
    the same strength a row, and on the rows as they are (zero noise).

    target: the column with the class, by name or number; without it a model's own clean answer is
    the truth. ledger: says which rows were left out. key: the one that the release must be signed
    with. Raises ReleaseError, InvalidArgument.
    """
    check_limits(max_drop=max_drop, max_rival=max_rival, source=source, rivals=rivals)
    held = read_release(dst, signer=signer_of(key))
    if not held.entries:
        raise ReleaseError(dst, "the release lists no files", "release something first")
    ledger_rows = rows_by_source(dst, ledger)
    files = _Files(held, named((model, *rivals)), source, target, ledger_rows, seed)
    settings = {
        "method": held.method, "peak": "one standard deviation", "release": release_id(held.entries)
    }  # fmt: skip
    trial = Verifiable(
        models=files.models,
        answered=files.answered,
        total=len(held.entries),
        run=Run(key=held.key, seed=seed, command=command, settings=settings),
        complete=held.complete,
        sourced=source is not None,
        withheld=sum(row.outcome == "withheld" for row in ledger_rows.values()),
        unit="rows",
        files=len(held.entries),
    )
    return verified(trial, max_drop=max_drop, max_rival=max_rival, progress=progress)


def noise_like(rows: Rows, strength: Float[Tensor, " row"], file: str, *, seed: int) -> Rows:
    """The control: rows plus Gaussian noise of a root mean square a row, drawn by the file's name."""
    noise = torch.randn(rows.shape, generator=item_generator(file, seed=seed), dtype=rows.dtype)
    return rows + noise * (strength / noise.square().mean(1).sqrt())[:, None]


@dataclass(frozen=True, slots=True)
class _Files:
    """Released tables, and what reads them; noise is in the units of the first model."""

    held: Release
    models: Mapping[str, TableModel]
    source: Path | None
    target: str | None
    ledger: Mapping[str, Row]
    seed: int

    def answered(self) -> Iterator[tuple[int, Tally]]:
        """A file at a time."""
        first = next(iter(self.models.values()))
        for entry in self.held.entries:
            table, tally = self.held.item(entry), Tally()
            tally.files = [part_name(entry.file, row) for row in range(len(table))]
            tally.truth = classes_of(table, self.target, first.labels)
            self._answer(entry.file, table, tally)
            yield 1, tally

    def _answer(self, file: str, table: Table, tally: Tally) -> None:
        first = next(iter(self.models.values()))
        clean = strength = None
        if self.source is not None:
            clean = clean_table(self.source, file, table, self.ledger)
            moved = rows_of(table, first) - rows_of(clean, first)
            strength = moved.square().mean(1).sqrt()
            for condition in ("nte", "gaussian"):
                loud = strength.clamp_min(1e-12).square()
                tally.psnr[condition] += decibels(loud).tolist()
        for name, model in self.models.items():
            given: dict[Condition, Rows] = {"nte": rows_of(table, model)}
            if clean is not None and strength is not None:
                rows = rows_of(clean, model)
                noisy = noise_like(rows, strength, file, seed=self.seed)
                given |= {"clean": rows, "control": rows, "gaussian": noisy}
            for condition, some in given.items():
                tally.answers[name, condition] += model.logits(some).argmax(1).tolist()
