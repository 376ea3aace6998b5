"""Releases of tables: every file again, the model's columns recoded, all other cells as they were."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from catch11.data.folder import walk
from catch11.data.pictures import read_source
from catch11.data.tables import SUFFIXES, Table, decode_table
from catch11.errors import InvalidArgument, UnreadableSource, UnreadableTable
from catch11.modalities.table.form import Sheet
from catch11.modalities.table.model import TableModel
from catch11.recoding.frame import Recoder
from catch11.releases.form import form_of
from catch11.releases.pipeline import Draft, Pipeline, Request, model_of

_KINDS = ".csv, .tsv or .parquet"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceTable:
    """A table that was read: the model's columns of it, and the rows that are not all numbers."""

    name: str
    table: Table
    values: Float[np.ndarray, "row column"]
    gaps: dict[int, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecodedSheet(Sheet):
    """A sheet with what was measured of its rows, not finite where there is nothing."""

    name: str
    psnr: Float[np.ndarray, " row"]
    front_shift: Float[np.ndarray, " row"]
    distance: Float[np.ndarray, " row"]


class Tables(Pipeline[SourceTable, RecodedSheet]):
    """A table or a folder of tables; a release holds files of one kind.

    A row with a gap in a column the model reads, outside a stated range, or whose answer changed is
    left out, with its reason in the ledger.
    """

    noun: ClassVar[str] = "row"
    from_file = divided = True

    def __init__(self, source: Path, *, recoder: Recoder[Tensor], model: TableModel) -> None:
        self._root, self.names, suffix, self.problems = _sources(source)
        self._recoder, self._model = recoder, model
        self.form = form_of(suffix[1:])
        lost = []
        for name in self.names:
            try:
                self.read(name, self.data(name))
                return
            except UnreadableSource as error:
                lost.append(f"{name}: {error.reason}")
        raise InvalidArgument("SRC", expected="a table the model reads", found=lost[0])

    @classmethod
    def open(cls, source: Path, asked: Request) -> "Tables":
        model = model_of(asked, why="which names the columns and their units")
        return cls(source, recoder=asked.recoder, model=model)

    def facts(self) -> dict[str, Any]:
        return {"recoder": dict(self._recoder.settings), "columns": list(self._model.names)}

    def data(self, name: str) -> bytes:
        return read_source(self._root / name)

    def read(self, name: str, data: bytes) -> SourceTable:
        table = decode_table(data, path=name)
        try:
            values, gaps = table.numbers(self._model.names)
        except ValueError as error:
            raise UnreadableTable(name, str(error)) from None
        return SourceTable(name=name, table=table, values=values, gaps=dict(gaps))

    def parts(self, item: SourceTable) -> list[tuple[str, bytes]]:
        rows = enumerate(item.values.astype("<f8"))
        return [(part_name(item.name, row), cells.tobytes()) for row, cells in rows]

    def recode(self, items: Sequence[SourceTable]) -> list[Draft[RecodedSheet]]:
        return [_made(self._recoded(item)) for item in items]

    def judge(
        self,
        items: Sequence[SourceTable],
        made: Sequence[Draft[RecodedSheet]],
        files: Sequence[bytes],
    ) -> list[Draft[RecodedSheet]]:
        return [self._judged(*one) for one in zip(items, made, files, strict=True)]

    def _recoded(self, item: SourceTable) -> RecodedSheet:
        values, gaps, model = item.values, item.gaps, self._model
        usable = np.array([row not in gaps for row in range(len(values))])
        made = self._recoder(model.standardise(values[usable]))
        places = np.flatnonzero(usable).tolist()
        reasons = {
            row: why for row, why in zip(places, made.reasons, strict=True) if why is not None
        }
        return RecodedSheet(
            name=item.name, table=item.table, names=model.names,
            values=_spread(model.restore(made.items), usable), left_out={**gaps, **reasons},
            whole=[column.whole for column in model.columns],
            psnr=_spread(made.psnr, usable), front_shift=_spread(made.front_shift, usable),
            distance=_spread([math.nan if far is None else far for far in made.distances], usable),
        )  # fmt: skip

    def _judged(
        self, item: SourceTable, made: Draft[RecodedSheet], file: bytes
    ) -> Draft[RecodedSheet]:
        """Without the rows whose answer, as the written file reads back, is another."""
        sheet, model = made.value, self._model
        assert sheet is not None
        read, _ = self.form.decode(file, self._recoder.key.canvas).numbers(model.names)
        places = np.flatnonzero(sheet.kept)
        before, after = (
            model.logits(model.standardise(rows)).argmax(1).tolist()
            for rows in (item.values[places], read)
        )
        changed = {
            row: f"the authorized model answers {model.labels[b]} and answered {model.labels[a]}"
            for row, a, b in zip(places.tolist(), before, after, strict=True)
            if a != b
        }
        return _made(replace(sheet, left_out={**sheet.left_out, **changed})) if changed else made


def part_name(file: str, row: int) -> str:
    """The name of a row in the ledger; rows count from 1 below the header."""
    return f"{file}#{row + 1}"


def _spread(values: Sequence[float] | np.ndarray, usable: Bool[np.ndarray, " row"]) -> np.ndarray:
    """Values of the usable rows among all rows, NaN elsewhere."""
    given = np.asarray(values)
    made = np.full((len(usable), *given.shape[1:]), np.nan)
    made[usable] = given
    return made


def _made(sheet: RecodedSheet) -> Draft[RecodedSheet]:
    kept, left_out = sheet.kept, sheet.left_out
    reasons = {part_name(sheet.name, row): why for row, why in left_out.items()}
    counts = {"rows": int(kept.sum()), "rows_withheld": len(left_out)}
    if not kept.any():
        row, why = min(left_out.items())
        reason = f"all of its {len(kept)} rows are withheld, row {row + 1}: {why}"
        return Draft(reason=reason, left_out=reasons, counts=counts)
    return Draft(
        value=sheet, left_out=reasons, counts=counts,
        psnr=_mean(sheet.psnr[kept]), front_shift=_mean(sheet.front_shift[kept]),
        distance=_worst(sheet.distance[kept]),
    )  # fmt: skip


def _mean(values: Float[np.ndarray, " row"]) -> float | None:
    finite = [value for value in values.tolist() if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else None


def _worst(values: Float[np.ndarray, " row"]) -> float | None:
    return max((value for value in values.tolist() if math.isfinite(value)), default=None)


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
    own, problems = [], list(folder.problems)
    for file in folder.files:
        if Path(file).suffix.lower() == suffix:
            own.append(file)
        else:
            problems.append((file, f"this release is of {suffix} files"))
    return folder.root, own, suffix, problems
