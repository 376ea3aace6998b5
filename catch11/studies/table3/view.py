"""Table 3 as it is printed: the comparison, private training, costs of encryption, errors by depth,
quoted figures."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from catch11.baselines.fhe_cost import QUOTED
from catch11.evaluation.record import Record
from catch11.studies.table3.rows import BYTES, SECONDS
from catch11.studies.tables import interval_text, number

Rows = dict[tuple[str, str], list[Record]]


def view(records: Sequence[Record]) -> RenderableType:
    """Every table that has something in it."""
    rows: Rows = {}
    for record in records:
        place = (str(record.settings.get("task")), str(record.settings.get("method")))
        rows.setdefault(place, []).append(record)
    parts = [
        _comparison(rows),
        *_reasons(rows),
        *_private(rows),
        *_encryption(rows),
        *_ratios(rows),
        *_depths(rows),
        _quoted(),
    ]
    return Group(*(item for part in parts for item in (part, "")))


def _comparison(rows: Rows) -> Table:
    made = _table(
        "task",
        "method",
        "authorized",
        "best rival",
        "attacked",
        "CPU s",
        "bytes",
        "n",
        "guaranteed, against whom",
    )
    for (task, method), records in rows.items():
        authorized, rival = _best(records, "authorized"), _best(records, "rival")
        attacked = _best(records, "attacked", "trained")
        by = "" if attacked is None else f" {attacked.model}, {attacked.attack or 'trained on it'}"
        count = next((str(one.n) for one in (authorized, rival) if one is not None), "")
        cells = (
            task,
            method,
            _shown(records, authorized, "authorized"),
            _shown(records, rival, "rival"),
            _shown(records, attacked, "attacked") + by,
            _cost(records, SECONDS),
            _cost(records, BYTES),
            count,
            str(records[0].settings.get("guarantee", "")),
        )
        made.add_row(*map(escape, cells))
    return made


def _reasons(rows: Rows) -> list[Table]:
    """Why a cell holds a word and no number."""
    made = _table("in place of a number", "because")
    said = [r for records in rows.values() for r in records if r.settings["quantity"] == "reason"]
    for shown, why in dict.fromkeys(
        (str(r.settings["shown"]), str(r.settings["reason"])) for r in said
    ):
        made.add_row(escape(f"“{shown}”"), escape(why))
    return [made] if made.row_count else []


def _private(rows: Rows) -> list[Table]:
    """Training members and others read rightly, with privacy and without; what was spent for it."""
    made = _table("task", "private", "ε spent", "δ", "members read", "others read")
    made.add_column("without privacy: members, others", overflow="fold")
    made.add_column("layers replaced", overflow="fold")
    for (task, method), records in rows.items():
        read = {
            (r.model, r.settings["asked"]): interval_text(r)
            for r in records
            if "asked" in r.settings
        }
        spent = next((r.settings for r in records if "spent" in r.settings), None)
        if spent is None or not read:
            continue
        numbers = [
            read.get((who, what), "–")
            for who in ("private", "without privacy")
            for what in ("members", "others")
        ]
        made.add_row(
            task, method, f"{spent['spent']:.3g}", f"{spent['delta']:g}", *numbers[:2],
            ", ".join(numbers[2:]), escape(str(spent.get("replaced") or "none")),
        )  # fmt: skip
    return [made] if made.row_count else []


def _best(records: Sequence[Record], *quantities: str) -> Record | None:
    held = [r for r in records if r.settings.get("quantity") in quantities]
    return max(held, key=lambda record: record.value) if held else None


def _shown(records: Sequence[Record], best: Record | None, quantity: str) -> str:
    if best is not None:
        return interval_text(best)
    # Who reads clean pictures, or none, gains nothing by an attack on this row.
    metrics = (quantity, "rival") if quantity == "attacked" else (quantity,)
    said = [r for r in records if r.settings.get("quantity") == "reason" and r.metric in metrics]
    return str(said[0].settings["shown"]) if said else "–"


def _cost(records: Sequence[Record], metric: str) -> str:
    held = [record for record in records if record.metric == metric]
    if held or metric != BYTES:
        return number(held[0].value) if held else "–"
    return "as clean" if _shown(records, None, "rival") == "as clean" else "–"


def _encryption(rows: Rows) -> list[Table]:
    made = _table("encrypted", "what", "measured", "n")
    for (task, method), records in rows.items():
        if not method.startswith("CKKS"):
            continue
        for record in records:
            if record.settings.get("quantity") in ("fact", "cost"):
                what = " ".join(
                    (record.metric, str(record.settings.get("how", "")), record.model if record.metric == "accuracy" else "")
                ).strip()  # fmt: skip
                made.add_row(f"{task}, {method}", what, interval_text(record), str(record.n))
    if made.row_count:
        paper = QUOTED[0]
        made.add_row("quoted, not measured here", paper.what, paper.figure, paper.source)
    return [made] if made.row_count else []


def _ratios(rows: Rows) -> list[Table]:
    """CPU seconds of an encrypted answer over those of making an NTE, in this one run."""
    made = _table("task", "encrypted", "NTE", "CKKS s", "NTE s", "ratio")
    seconds = {
        place: next((r.value for r in records if r.metric == SECONDS), None)
        for place, records in rows.items()
    }
    for (task, method), spent in seconds.items():
        if not method.startswith("CKKS") or spent is None:
            continue
        for nte in ("NTE, spectral", "NTE, deep"):
            other = seconds.get((task, nte))
            if other:
                made.add_row(
                    task, method, nte, number(spent), number(other), f"{spent / other:.3g}"
                )
    return [made] if made.row_count else []


def _depths(rows: Rows) -> list[Table]:
    """Error after the first, middle and last activation, and the pictures lost by the last."""
    made = _table("task", "polynomials", "first", "middle", "last", "pictures lost", "outside")
    for (task, method), records in rows.items():
        held = [r for r in records if r.metric == "error after activation"]
        if not held:
            continue
        places = (held[0], held[len(held) // 2], held[-1])
        errors = [number(r.value) if math.isfinite(r.value) else "no end" for r in places]
        lost, outside = (float(held[-1].settings[key]) for key in ("lost", "outside"))
        made.add_row(task, method, *errors, number(lost, share=True), f"{outside:.1e}")
    return [made] if made.row_count else []


def _quoted() -> Table:
    made = _table("quoted, not measured here", "figure", "source")
    for one in QUOTED:
        made.add_row(*map(escape, (one.what, one.figure, one.source)))
    return made


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
