"""catch11 attack: what attackers get out of a release."""

import shlex
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from catch11.cli.bar import progress
from catch11.cli.frame import Answer, call, command
from catch11.cli.help import MORE
from catch11.cli.options import SPEC, AllowCode, Device, Ledger, open_key, open_secret, path_of
from catch11.cli.pace import Sayings
from catch11.cli.recoding_options import Address, Engine, Processes
from catch11.cli.scores import score_tables
from catch11.cli.views import next_view

if TYPE_CHECKING:
    from catch11.attacks.session import Assault
    from catch11.evaluation.record import Record


@command("Check")
def attack(
    dst: Annotated[str, typer.Argument(metavar="DST", help="The release, in whatever form.")],
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help=f"An attacker's model; repeatable: {SPEC}"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The authorized model, judged beside the rivals."),
    ] = None,
    secret: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The secret of the copy that the release is sealed for, with --model the model that was "
            "sealed: the licensee's attacks read what the copy opens, all others the files as they are.",
            rich_help_panel=MORE,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(metavar="SRC", help="The originals: judge restorations, and attack by pairs."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY", help="The key file: attackers who know the front, and queries."
        ),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An attack; repeatable. All that can run unless given."),
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures that attackers compare with and learn from."),
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DST",
            help="Another release of the same sources; repeatable.",
            rich_help_panel=MORE,
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Columns file,label, as in verify.")
    ] = None,
    learn: Annotated[
        Path | None,
        typer.Option(
            metavar="DST",
            help="A labelled release for the same model to learn from.",
            rich_help_panel=MORE,
        ),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Append each attack's records as it ends, and go on where a stopped run stood; "
            "with --model, the scores without an attack too.",
            rich_help_panel=MORE,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only attacks that train nothing: the everyday check.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="N", help="Begin no further attack after so many minutes."),
    ] = None,
    ledger: Ledger = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default="60", help="Files to attack.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Tables: the source's column with the class; texts: with the score of each pair.",
            rich_help_panel=MORE,
        ),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Ask no or yes instead of classes: animal, dog, vehicle (of ImageNet or CIFAR "
            "labels); warm, bright, busy (what the source looks like; of the licensee alone).",
            rich_help_panel=MORE,
        ),
    ] = None,
    training: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            show_default="200",
            help="Further files that attackers learn from.",
            rich_help_panel=MORE,
        ),
    ] = None,
    control: Annotated[
        bool,
        typer.Option(
            "--control",
            help="Attack Gaussian noise of the same PSNR instead.",
            rich_help_panel=MORE,
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            show_default="0",
            help="Of the attackers' randomness.",
            rich_help_panel=MORE,
        ),
    ] = None,
    engine: Engine = "local",
    workers: Processes = None,
    address: Address = None,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Attack a release and show what each rival gets: the best try of every attack.

    The cheap ones run first, and a line on standard error says what each got and how long the rest
    will take. An attack runs if what it needs is given here: --public, --key, --source, --labels, --other. Of
    texts, words are read back: give --model, whose table is public, and --source; with --target
    their similarity is read too. Of sounds and tables, give --rival and --source; --public and
    --key add filters that know more.

    Example: catch11 attack released --rival onnx:models/squeezenet1_1.onnx --source photos
    --public pictures --key deit.key --labels labels.csv
    """
    from catch11.modalities import commands
    from catch11.modalities.options import AttackOptions

    options = AttackOptions(
        rivals=tuple(rival or ()), model=model, attacks=tuple(attack or ()), copy=None if secret is None else open_secret(secret), source=source,
        key=None if key is None else open_key(key), public=public, others=tuple(other or ()),
        labels=labels, learn=learn, records=records, ledger=ledger, target=target, limit=limit,
        question=question, training=training, control=control, seed=seed, minutes=minutes, quick=quick,
        engine=engine, workers=workers, address=address, device=device, allow_code=allow_code,
    )  # fmt: skip
    sayings = Sayings()
    with progress("attacking") as tick:
        found = commands.attack(
            path_of(dst), options, command=call(),
            progress=lambda step: tick(step.done, step.total, step.attack, sayings.line(step)),
        )  # fmt: skip
    view = _view(found)
    if quick:
        words = [word for word in shlex.split(call())[1:] if word != "--quick"]
        view = Group(
            view,
            next_view("next, those that train, in an hour at most:", *words, "--minutes", 60),
        )
    return Answer(facts=found.to_dict(), view=view)


def _view(found: "Assault") -> RenderableType:
    """A table a model and measure: what each attack knows and gets."""
    parts: list[RenderableType] = []
    attacked = [record for record in found.records if record.attack is not None]
    plain = [record for record in found.records if record.attack is None]
    for table in score_tables(plain):
        parts += [table, ""]
    for place in dict.fromkeys((record.model, record.metric) for record in attacked):
        parts += [_table([r for r in attacked if (r.model, r.metric) == place]), ""]
    parts.append("[dim]Best of the settings tried, on the same items: it favours the attacker.[/]")
    parts += [escape(line) for line in strongest(attacked)]
    parts += [f"[yellow]note[/] {escape(warning)}" for warning in found.warnings]
    reasons: dict[str, list[str]] = {}
    for name, why in found.skipped:
        reasons.setdefault(why, []).append(name)
    parts += [
        f"[dim]not run, {escape(why)}: {escape(', '.join(names))}[/]"
        for why, names in reasons.items()
    ]
    return Group(*parts)


def strongest(attacked: Sequence["Record"]) -> list[str]:
    """Who reads most of the files after an attack, a line a measure; the authorized model aside."""
    lines = []
    strangers = [record for record in attacked if record.role != "authorized"]
    for metric in dict.fromkeys(record.metric for record in strangers):
        rows = [record for record in strangers if record.metric == metric]
        best = max(rows, key=lambda record: -1.0 if isnan(record.value) else record.value)
        lines.append(
            f"strongest of {len(rows)}, {metric}: {best.model} by {best.attack} at {best.value:.2f} "
            f"[{best.low:.2f}, {best.high:.2f}]"
        )
    return lines


def _table(records: "list[Record]") -> Table:
    first = records[0]
    title = f"{escape(first.model)}: {first.metric}, n = {first.n}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("attack", "knows", "best setting"):
        table.add_column(column, overflow="fold")
    for column in ("PSNR", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    for record in records:
        known = ", ".join(kind for kind in record.knowledge if kind != "released")
        decibels = "" if record.psnr is None else f"{record.psnr:.1f}"
        score = f"{record.value:.2f} [dim]{record.low:.2f}–{record.high:.2f}[/]"
        facts = [
            str(record.settings[name]) for name in ("of", "setting") if name in record.settings
        ]
        table.add_row(str(record.attack), known, escape(", ".join(facts)), decibels, score)
    return table
