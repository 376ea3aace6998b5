"""Verifying a release of tables, row by row: the authorized model, rivals and, with a source, controls."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import decibels
from catch11.data.tables import Table
from catch11.errors import ReleaseError
from catch11.evaluation.gaussian import item_generator
from catch11.evaluation.kept import answers_kept, broken, kept_measures, unsourced
from catch11.evaluation.record import Condition
from catch11.evaluation.roles import named
from catch11.evaluation.score import Run, Tally, class_scores, kept_facts, release_id
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
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release, unlisted

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
    the same strength a row, and on the rows as they are (zero noise); and whether rows keep what the
    list says.

    target: the column with the class, by name or number; without it a model's own clean answer is
    the truth. ledger: says which rows were left out. key: the one that the release must be signed
    with. Raises ReleaseError, InvalidArgument.
    """
    check_limits(max_drop=max_drop, max_rival=max_rival, source=source, rivals=rivals)
    held = read_release(dst, signer=signer_of(key))
    if not held.entries:
        raise ReleaseError(dst, "the release lists no files", "release something first")
    rows, models = rows_by_source(dst, ledger), named((model, *rivals))

    def answered() -> Iterator[tuple[int, Tally]]:
        for entry in held.entries:
            table = held.item(entry)
            clean = None if source is None else clean_table(source, entry.file, table, rows)
            tally = _answered(entry.file, table, clean, models, seed)
            if clean is not None:
                own, made = (model.logits(rows_of(one, model)) for one in (clean, table))
                tally.kept, alike = answers_kept(held.keep, made, own, classes=len(model.labels))
                tally.problems += broken(held.keep, tally.files, tally.kept, alike)
            tally.truth = classes_of(table, target, model.labels)
            yield 1, tally

    settings = {
        "method": held.method, "peak": "one standard deviation", "release": release_id(held.entries),
        **kept_facts(held),
    }  # fmt: skip
    trial = Verifiable(
        models=models,
        answered=answered,
        total=len(held.entries),
        run=Run(key=held.key, seed=seed, command=command, settings=settings),
        complete=held.complete,
        sourced=source is not None,
        scores=lambda tally, models: [
            *class_scores(tally, models),
            *(one.by(next(iter(models)), "nte") for one in kept_measures(tally, seed=seed)),
        ],
        said=(*unlisted(held), *(() if source is not None else unsourced(held.keep))),
        withheld=sum(row.outcome == "withheld" for row in rows.values()),
        unit="rows",
        files=len(held.entries),
    )
    return verified(trial, max_drop=max_drop, max_rival=max_rival, progress=progress)


def _answered(
    file: str, table: Table, clean: Table | None, models: Mapping[str, TableModel], seed: int
) -> Tally:
    """What every model answers to a file's rows; noise is as strong as in the first one's units."""
    tally = Tally(files=[part_name(file, row) for row in range(len(table))])
    strength = torch.zeros(len(table))
    if clean is not None:
        first = next(iter(models.values()))
        strength = (rows_of(table, first) - rows_of(clean, first)).square().mean(1).sqrt()
        loud = decibels(strength.clamp_min(1e-12).square()).tolist()
        tally.psnr |= {"nte": loud, "gaussian": loud}
    for name, model in models.items():
        given: dict[Condition, Rows] = {"nte": rows_of(table, model)}
        if clean is not None:
            own = rows_of(clean, model)
            noisy = noise_like(own, strength, file, seed=seed)
            given |= {"clean": own, "control": own, "gaussian": noisy}
        for condition, some in given.items():
            tally.answers[name, condition] += model.logits(some).argmax(1).tolist()
    return tally


def noise_like(rows: Rows, strength: Float[Tensor, " row"], file: str, *, seed: int) -> Rows:
    """The control: rows plus Gaussian noise of a root mean square a row, drawn by the file's name."""
    noise = torch.randn(rows.shape, generator=item_generator(file, seed=seed), dtype=rows.dtype)
    return rows + noise * (strength / noise.square().mean(1).sqrt())[:, None]
