"""Pages of results that a study measured: its table as Markdown, a part a family of pictures."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from catch11.evaluation.record import Record
from catch11.report.words import GENERATED, WIDE, table
from catch11.studies.frame import study_of
from catch11.studies.tables import Pivot, interval_text


def of_study(name: str, records: Sequence[Record]) -> str:
    """The study's own table, and the commands that made its records."""
    study = study_of(name)
    shown = study.view(records)
    assert isinstance(shown, Pivot), f"the study {name} shows no table of records"
    commands = dict.fromkeys(str(record.command) for record in records)
    parts = (
        f"# {study.title}",
        GENERATED.format(f"[docs/records/studies/{name}.jsonl](../records/studies/{name}.jsonl)"),
        f"{shown.caption[:1].upper()}{shown.caption[1:]}.",
        "\n".join(_parts(shown)).strip(),
        "## Commands",
        "```sh\n" + "\n".join(commands) + "\n```",
    )
    return WIDE + "\n\n".join(parts) + "\n"


def _parts(shown: Pivot) -> Iterator[str]:
    """A table a first label, of the columns that have something of it."""
    for first, rows in groupby(shown.rows.items(), key=lambda row: row[0][0]):
        held = list(rows)
        columns = [title for title in shown.columns if any(title in cells for _, cells in held)]
        yield from (f"## {first[:1].upper()}{first[1:]}", "")
        yield from table(
            (*shown.heads[1:], *columns),
            [(*labels[1:], *(cells.get(title, "") for title in columns)) for labels, cells in held],
        )


def found(records: Sequence[Record], words: Sequence[str]) -> str | None:
    """One number of a study's table: FAMILY KEEP, and the label of its row; None where there is none."""
    family, keep, *label = words
    for record in records:
        facts = record.settings
        if (facts.get("family"), facts.get("keep"), facts.get("shown")) == (family, keep, " ".join(label)):  # fmt: skip
            return interval_text(record)
    return None
