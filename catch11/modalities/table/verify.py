"""Every model's scores on a release of tables: released rows, clean ones, and the controls."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from catch11.canvas.grid import decibels
from catch11.data.tables import Table
from catch11.errors import InvalidArgument, ReleaseError
from catch11.evaluation import roles
from catch11.evaluation.record import Condition
from catch11.evaluation.score import Score, Tally, to_record, to_verdict
from catch11.evaluation.verify import Verification
from catch11.keys.key import Key
from catch11.modalities.table.model import TableModel
from catch11.modalities.table.release import part_name
from catch11.modalities.table.scores import classes_of, clean_table, rows_by_source, rows_of
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release


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
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Every model on the released rows and, with `source`, on the clean ones, on Gaussian noise of
    the same strength a row, and on the rows as they are (zero noise).

    target: the column with the class, by name or number; without it a model's own clean answer is
    the truth. ledger: says which rows were left out. key: the one that the release must be signed
    with. Raises ReleaseError, InvalidArgument.
    """
    if max_drop is not None and source is None:
        raise InvalidArgument("max_drop", expected="a source to compare with", found="no source")
    held = read_release(dst, signer=signer_of(key))
    if not held.entries:
        raise ReleaseError(dst, "the release lists no files", "release something first")
    named = roles.named((model, *rivals))
    rows = rows_by_source(dst, ledger)
    tally, truth = Tally(), list[int | None]()
    for number, entry in enumerate(held.entries, start=1):
        table = held.item(entry)
        clean = None if source is None else clean_table(source, entry.file, table, rows)
        truth += classes_of(table, target, model.labels)
        _answer(tally, named, table, clean, entry.file, seed)
        if progress is not None:
            progress(number, len(held.entries))
    scores = _scores(tally, truth, named, model)
    held_by = roles.roles_of(model, named)
    settings = {"method": held.method, "peak": "one standard deviation"}
    records = [
        to_record(score, named, held_by, tally, settings, held.key, seed, command)
        for score in scores
    ]
    warnings = [] if held.complete else ["the manifest has no closing line: the release was cut"]
    if len(tally.files) < 100:
        warnings.append(f"only {len(tally.files)} rows were scored: the intervals are wide")
    return Verification(
        records=tuple(records), verdict=to_verdict(scores, held_by, max_drop, max_rival, 0),
        warnings=tuple(warnings), files=len(held.entries),
    )  # fmt: skip


def _answer(
    tally: Tally, named: Mapping[str, TableModel], table: Table, clean: Table | None,
    file: str, seed: int,
) -> None:  # fmt: skip
    first = next(iter(named.values()))
    tally.files += [part_name(file, row) for row in range(len(table))]
    for name, model in named.items():
        released = rows_of(table, model)
        conditions: dict[Condition, Tensor] = {"nte": released}
        if clean is not None:
            original = rows_of(clean, model)
            conditions |= {"clean": original, "control": original}
            conditions["gaussian"] = _noisy(original, _strength(table, clean, first), file, seed)
        for condition, rows in conditions.items():
            given = model.logits(rows).argmax(1).tolist()
            tally.answers[name, condition] += given
    if clean is not None:
        strength = _strength(table, clean, first)
        strengths = decibels(strength.clamp_min(1e-12).square()).tolist()
        for condition in ("nte", "gaussian"):
            tally.psnr[condition] += strengths


def _strength(table: Table, clean: Table, model: TableModel) -> Tensor:
    """Root mean square of what was added to each row, in standard deviations."""
    return (rows_of(table, model) - rows_of(clean, model)).square().mean(1).sqrt()


def _noisy(rows: Tensor, strength: Tensor, file: str, seed: int) -> Tensor:
    name = hashlib.sha256(f"{seed}/{file}".encode()).digest()[:7]
    generator = torch.Generator().manual_seed(int.from_bytes(name, "big"))
    noise = torch.randn(rows.shape, generator=generator, dtype=rows.dtype)
    return rows + noise * (strength / noise.square().mean(1).sqrt())[:, None]


def _scores(
    tally: Tally, truth: Sequence[int | None], named: Mapping[str, TableModel], model: TableModel
) -> list[Score]:
    scores = []
    known = [index for index, label in enumerate(truth) if label is not None]
    clean = any(condition == "clean" for _, condition in tally.answers)
    first = next(iter(named))
    for (name, condition), given in tally.answers.items():
        if known and len(named[name].labels) == len(model.labels):
            hits = tuple(given[index] == truth[index] for index in known)
            scores.append(Score(name=name, condition=condition, metric="accuracy", hits=hits))
    for (name, condition), given in tally.answers.items():
        own = tally.answers[name, "clean"] if clean else tally.answers[first, "nte"]
        if condition != "clean" and (clean or name != first):
            hits = tuple(one == other for one, other in zip(given, own, strict=True))
            metric = "agreement" if clean else "agreement with the authorized model"
            scores.append(Score(name=name, condition=condition, metric=metric, hits=hits))
    return scores
