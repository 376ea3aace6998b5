"""Tables: how models of them are loaded, keyed, released for, scored and attacked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.modalities.attack import attack_items
from catch11.modalities.frame import (
    Action,
    Facts,
    Modality,
    Progress,
    Recoded,
    loading,
    options,
    radius_of,
    take,
)
from catch11.modalities.table.deep import DeepRowRecoder
from catch11.modalities.table.model import TableModel, claims, load_table
from catch11.modalities.table.recoder import STRENGTH, RowRecoder, SpectralRowRecoder
from catch11.modalities.table.verify import verify_rows
from catch11.modalities.views import summary_view
from catch11.releases.engine import release

_RUN = ("names", "ledger", "workers", "resume", "check", "model", "method")
_SPECTRAL, _DEEP = ("psnr", "client"), ("steps", "radius", "agreement", "margin", "client")


def recode_tables(src: Path, dst: Path, key: Key, asked: Facts, progress: Progress) -> Recoded:
    """Recode a table or a folder of tables; see `release`."""
    facts, how = loading(asked)
    method = str(facts.get("method", "spectral"))
    rest = (*_RUN, *(_DEEP if method == "deep" else _SPECTRAL))
    given = take(facts, rest, kind=f"tables with --method {method}")
    if given.get("model") is None:
        raise InvalidArgument(
            "--model", expected="the model, which names the columns and their units", found="none"
        )
    model = load_table(str(given["model"]), **how)
    done = release(
        src, dst, row_recoder(key, model, method, given), model=model,
        check=model if given.get("check") else None, names=given.get("names", "keep"),
        ledger=given.get("ledger"), workers=given.get("workers") or 1,
        resume=given.get("resume", True), progress=progress,
    )  # fmt: skip
    rows, lost = (done.counts.get(name, 0) for name in ("rows", "rows_withheld"))
    more = [f"{lost} rows withheld"] if lost else []
    view = summary_view(done, dst, held=f" ({rows} rows)", rest=more)
    return Recoded(facts=done.to_dict(), view=view)


def row_recoder(key: Key, model: TableModel, method: str, given: Mapping[str, Any]) -> RowRecoder:
    """The recoder that options ask for. Raises InvalidArgument."""
    tag = str(given.get("client", ""))
    if method == "spectral":
        return SpectralRowRecoder(key, model.cells, psnr=given.get("psnr", STRENGTH), tag=tag)
    return DeepRowRecoder(
        model, key, model.cells, tag=tag,
        steps=given.get("steps", 60), radius=radius_of(given.get("radius", "auto")),
        agreement=given.get("agreement", "top1"), margin=given.get("margin", 0.5),
    )  # fmt: skip


TABLE = Modality(
    name="table",
    items="tables",
    models="a model of tables",
    sources="a .csv, .tsv or .parquet file, or a folder of them",
    peak="one standard deviation",
    suffixes=frozenset({".csv", ".tsv", ".parquet"}),
    claims=claims,
    load=load_table,
    recode=recode_tables,
    verify=Action(
        run=verify_rows,
        takes=options("rivals source target key ledger max_drop max_rival seed"),
    ),
    attack=Action(
        run=attack_items,
        takes=options(
            "rivals model attacks source key public target records ledger limit training control seed"
        ),
        needs={
            "rivals": "at least one model, to attack tables",
            "source": "the originals, to attack tables",
        },
    ),
)
