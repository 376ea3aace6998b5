"""A release of tables: every file again, the model's columns recoded, all other cells as they were."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catch11.data.folder import walk
from catch11.data.tables import SUFFIXES, Table, decode_table, encode_table, read_table
from catch11.errors import InvalidArgument, ReleaseError, UnreadableTable
from catch11.modalities.table.model import TableModel
from catch11.recoding.frame import Recoder
from catch11.releases.form import digest
from catch11.releases.frame import Progress, Summary
from catch11.releases.items import Item, Made, release_items
from catch11.releases.manifest import NAME, Entry, listed_bytes, read_manifest
from catch11.releases.names import Naming
from catch11.releases.places import places


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """What became of the files, and of the rows of those that were written now."""

    release: Summary
    rows: int
    rows_withheld: int

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self.release) | {"rows": self.rows, "rows_withheld": self.rows_withheld}


def release_tables(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    recoder: Recoder[torch.Tensor],
    model: TableModel,
    *,
    check: bool = False,
    names: Naming = "keep",
    ledger: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> TableSummary:
    """Recode the model's columns of every table of `src` into the folder `dst`.

    src: a .csv, .tsv or .parquet file, or a folder; a release holds files of one of these kinds. A
    row with a gap in a column the model reads, outside a stated range, or with an answer that
    changed (check) is left out, with its reason in the ledger. Raises ReleaseError, InvalidArgument.
    """
    where = places(src, dst, ledger, resume=resume, files=True)
    root, files, suffix, problems = _sources(where.source)
    found: dict[str, Table] = {}
    for file in files:
        try:
            table = read_table(root / file)
            table.numbers(model.names)
            found[file] = table
        except UnreadableTable as error:
            problems.append((file, error.reason))
        except ValueError as error:
            problems.append((file, str(error)))
    if not found:
        name, why = problems[0] if problems else (str(src), "it holds no tables")
        raise InvalidArgument("SRC", expected="a table the model reads", found=f"{name}: {why}")
    desk = _Desk(recoder, model, found, check, suffix)
    header = {
        "method": recoder.method, "format": suffix[1:], "recoder": dict(recoder.settings),
        "columns": list(model.names),
    }  # fmt: skip
    done = release_items(
        where, key=recoder.key, header=header, chunks=[[desk.item(name)] for name in sorted(found)],
        problems=problems, make=desk.make, suffix=suffix, names=names,
        checked=model.fingerprint if check else "", progress=progress,
    )  # fmt: skip
    return TableSummary(release=done, rows=desk.rows, rows_withheld=desk.withheld)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRelease:
    """A release of tables whose list was verified; files are verified as they are read."""

    root: Path
    method: str
    key: str
    complete: bool
    entries: tuple[Entry, ...]

    def table(self, entry: Entry) -> Table:
        """A released file. Raises ReleaseError where it is not the listed one."""
        path = self.root / entry.file
        try:
            return decode_table(listed_bytes(self.root, entry), path=path)
        except UnreadableTable as error:
            raise ReleaseError(path, error.reason, "release it again") from None


def read_tables(dst: str | os.PathLike[str], *, signer: str | None = None) -> TableRelease:
    """The release in a folder; treated as a stranger's. Raises ReleaseError."""
    root = Path(dst)
    held = read_manifest(root / NAME, signer=signer)
    facts = held.header
    if not all(isinstance(facts.get(name), str) for name in ("method", "key")):
        raise ReleaseError(root / NAME, "its header lacks facts", "release again into a new folder")
    return TableRelease(
        root=root, method=str(facts["method"]), key=str(facts["key"]), complete=held.complete,
        entries=tuple(held.entries.values()),
    )  # fmt: skip


def part_name(file: str, row: int) -> str:
    """The name of a row in the ledger; rows count from 1 below the header."""
    return f"{file}#{row + 1}"


def _sources(source: Path) -> tuple[Path, list[str], str, list[tuple[str, str]]]:
    """Root, table files, their suffix, and (name, reason) of what is no table of that kind."""
    if source.is_file():
        suffix = source.suffix.lower()
        if suffix not in SUFFIXES:
            raise InvalidArgument("SRC", expected=f"a {_KINDS} file", found=source.name)
        return source.parent, [source.name], suffix, []
    folder = walk(source)
    kinds = Counter(Path(file).suffix.lower() for file in folder.files)
    held = {kind: count for kind, count in kinds.items() if kind in SUFFIXES}
    if not held:
        raise InvalidArgument("SRC", expected=f"{_KINDS} files", found=f"none in {source}")
    suffix = max(sorted(held), key=lambda kind: held[kind])
    files, problems = [], list(folder.problems)
    for file in folder.files:
        if Path(file).suffix.lower() == suffix:
            files.append(file)
        else:
            problems.append((file, f"this release is of {suffix} files"))
    return folder.root, files, suffix, problems


_KINDS = ".csv, .tsv or .parquet"


@dataclass(slots=True)
class _Desk:
    """Makes one file at a time, and counts rows."""

    recoder: Recoder[torch.Tensor]
    model: TableModel
    tables: dict[str, Table]
    check: bool
    suffix: str
    rows: int = 0
    withheld: int = 0

    def item(self, name: str) -> Item:
        values, _ = self.tables[name].numbers(self.model.names)
        parts = tuple(
            (part_name(name, row), cells.astype("<f8").tobytes())
            for row, cells in enumerate(values)
        )
        rest = repr((self.tables[name].names, self.tables[name].cells)).encode()
        return Item(
            name=name, data=digest(rest).encode() + values.astype("<f8").tobytes(), parts=parts
        )

    def make(self, items: Sequence[Item]) -> list[Made]:
        return [self._one(item.name) for item in items]

    def _one(self, name: str) -> Made:
        table = self.tables[name]
        values, gaps = table.numbers(self.model.names)
        usable = np.array([row not in gaps for row in range(len(values))])
        reasons = dict(gaps)
        rows = self.model.standardise(values[usable])
        recoded = self.recoder(rows)
        places = np.flatnonzero(usable)
        for place, reason in zip(places.tolist(), recoded.reasons, strict=True):
            if reason is not None:
                reasons[place] = reason
        made = np.full(values.shape, np.nan)
        made[usable] = self.model.restore(recoded.items)
        kept = np.array([row not in reasons for row in range(len(values))])
        if self.check and kept.any():
            self._withhold_changed(table, values, made, kept, reasons)
        self.rows += int(kept.sum())
        self.withheld += len(reasons)
        left_out = {part_name(name, row): why for row, why in reasons.items()}
        if not kept.any():
            row, why = next(iter(sorted(reasons.items())))
            return Made(reason=f"all of its {len(values)} rows are withheld, row {row + 1}: {why}")
        data = self._bytes(table, made, kept)
        return Made(
            data=data,
            left_out=left_out,
            agreement=True if self.check else None,
            front_shift=_mean(recoded.front_shift, kept[usable]),
            psnr=_mean(recoded.psnr, kept[usable]),
        )

    def _bytes(self, table: Table, made: np.ndarray, kept: np.ndarray) -> bytes:
        whole = [column.whole for column in self.model.columns]
        return encode_table(table, self.model.names, made, kept=kept, whole=whole)

    def _withhold_changed(
        self, table: Table, values: np.ndarray, made: np.ndarray, kept: np.ndarray,
        reasons: dict[int, str],
    ) -> None:  # fmt: skip
        """Leave out the rows whose answer, as the written file reads back, is another."""
        data = self._bytes(table, made, kept)
        read, _ = decode_table(data, path=f"x{self.suffix}").numbers(self.model.names)
        places = np.flatnonzero(kept)
        before = self.model.logits(self.model.standardise(values[places])).argmax(1)
        after = self.model.logits(self.model.standardise(read)).argmax(1)
        for place, one, other in zip(places.tolist(), before.tolist(), after.tolist(), strict=True):
            if one != other:
                labels = self.model.labels
                reasons[place] = (
                    f"the authorized model answers {labels[other]} and answered {labels[one]}"
                )
                kept[place] = False


def _mean(values: Sequence[float], kept: np.ndarray) -> float | None:
    finite = [v for v, keep in zip(values, kept, strict=True) if keep and math.isfinite(v)]
    return float(torch.tensor(finite).mean()) if finite else None
