"""catch11 report: one page of everything measured, or the threat-model card of a release."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from catch11.cli.frame import Answer, command
from catch11.cli.options import open_key
from catch11.cli.views import rows_view
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.evaluation.record import Record
    from catch11.report.samples import Sample


@command("Check")
def report(
    records: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDS...",
            help="JSON lines, the --json of verify or attack, or a release whose "
            "FOLDER.records.jsonl stands beside it.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="The threat-model card instead, as Markdown.")
    ] = False,
    release: Annotated[
        Path | None, typer.Option(metavar="DST", help="Show pictures of this release.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(metavar="SRC", help="Its originals; some are shown, so mind who reads it."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="KEY", help="Show the first layer's spectrum and what it gives away."),
    ] = None,
    public: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures to fill in what a layer misses.")
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Of the page.")] = "catch11 report",
) -> Answer:
    """Write one self-contained page: threat model, attacks, matrix, curves, pictures, commands.

    It loads nothing from a network and holds no secret of a key. Numbers keep their intervals and
    the command that made them. Beside each release stand the reasons not to rely on what was measured
    of it: few pictures, weak or missing rivals, no clean scores.

    Example: catch11 report released.records.jsonl -o report.html --release released --source photos
    """
    from catch11.report import load_records, load_warnings

    held, told = load_records(records), load_warnings(records)
    if card:
        return _card(held, told, output)
    if output is None:
        raise InvalidArgument("--output", expected="a file for the page", found="none")
    from catch11.report import Extras, report_page
    from catch11.report.samples import samples, spectrum_of

    opened = None if key is None else open_key(key)
    shown: "tuple[Sample, ...]" = ()
    if release is not None:
        shown = samples(release, source=source, key=opened, public=public)
    layer = {} if opened is None else spectrum_of(opened)
    extras = Extras(title=title, samples=shown, warnings=told, **layer)
    page = report_page(held, extras)
    output.write_text(page, encoding="utf-8")
    facts = {"page": str(output), "records": len(held), "bytes": len(page.encode())}
    return Answer(facts=facts, view=rows_view(facts))


def _card(held: "tuple[Record, ...]", told: tuple[str, ...], output: Path | None) -> Answer:
    from catch11.report.card.threats import cards
    from catch11.report.card.words import markdown

    text = "\n".join(markdown(one) for one in cards(held))
    if not text:
        raise InvalidArgument("records", expected="released or attacked files", found="none")
    if told:
        text += "\n".join(("", "Warnings of the runs:", "", *(f"- {one}" for one in told), ""))
    if output is not None:
        output.write_text(text, encoding="utf-8")
    return Answer(
        facts={"card": text, "records": len(held)}, view=Text(text, no_wrap=True, overflow="ignore")
    )
