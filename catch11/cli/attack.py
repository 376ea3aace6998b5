"""catch11 attack: what attackers get out of a release."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from catch11.cli.frame import Answer, command, given, progress
from catch11.cli.options import SPEC, AllowCode, Device, Ledger, open_key, open_model
from catch11.cli.scores import score_tables
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.attacks import Assault
    from catch11.evaluation.record import Record


@command("Check")
def attack(
    ctx: typer.Context,
    dst: Annotated[Path, typer.Argument(metavar="DST", help="The release folder.")],
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help=f"An attacker's model; repeatable: {SPEC}"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The authorized model, judged beside the rivals."),
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
        typer.Option(metavar="DST", help="Another release of the same sources; repeatable."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Columns file,label, as in verify.")
    ] = None,
    learn: Annotated[
        Path | None,
        typer.Option(metavar="DST", help="A labelled release for the same model to learn from."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Append each attack's records as it ends, and go on where a stopped run stood; "
            "with --model, the scores without an attack too.",
        ),
    ] = None,
    ledger: Ledger = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Files to attack.")] = 60,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Tables: the source's column with the class; texts: with the score of each pair.",
        ),
    ] = None,
    training: Annotated[
        int, typer.Option(metavar="N", min=0, help="Further files that attackers learn from.")
    ] = 200,
    control: Annotated[
        bool, typer.Option("--control", help="Attack Gaussian noise of the same PSNR instead.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the attackers' randomness.")] = 0,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Attack a release and show what each rival gets: the best try of every attack.

    An attack runs if what it needs is given here: --public, --key, --source, --labels, --other. Of
    texts, words are read back: give --model, whose table is public, and --source; with --target
    their similarity is read too. Of sounds and tables, give --rival and --source; --public and
    --key add filters that know more.

    Example: catch11 attack released --rival onnx:models/squeezenet1_1.onnx --source photos
    --public pictures --key deit.key --labels labels.csv
    """
    from catch11.attacks import Effort, attack_release
    from catch11.modalities.frame import IMAGE, plug, release_modality

    kind = release_modality(dst)
    if kind != IMAGE and (own := plug(kind).attack) is not None:
        asked = given(ctx) | {"device": device, "allow_code": allow_code}
        if key is not None:
            asked["key"] = open_key(key)
        with progress("attacking") as tick:
            result = own(dst, asked, tick)
        return Answer(facts=result.facts, view=result.view)
    if target is not None:
        raise InvalidArgument("--target", expected="no such option for images", found="it")
    if not rival:
        raise InvalidArgument("--rival", expected="at least one model", found="none")
    held = None if key is None else open_key(key)
    rivals = [open_model(spec, device=device, allow_code=allow_code) for spec in rival]
    authorized = None
    if model is not None:
        authorized = open_model(model, device=device, allow_code=allow_code)
    with progress("attacking") as tick:
        found = attack_release(
            dst,
            rivals,
            attacks=attack or None,
            source=source,
            ledger=ledger,
            key=held,
            model=authorized,
            labels=labels,
            public=public,
            others=other or (),
            learn=learn,
            records=records,
            effort=Effort(judged=limit, training=training, control=control, seed=seed),
            command=shlex.join(["catch11", *sys.argv[1:]]),
            progress=lambda name, done, total: tick(done, total, name),
        )
    return Answer(facts=found.to_dict(), view=_view(found))


def _view(found: "Assault") -> RenderableType:
    """A table a model: what each attack knows and gets."""
    parts: list[RenderableType] = []
    attacked = [record for record in found.records if record.attack is not None]
    plain = [record for record in found.records if record.attack is None]
    for table in score_tables(plain):
        parts += [table, ""]
    for name in dict.fromkeys(record.model for record in attacked):
        parts += [_table(name, [r for r in attacked if r.model == name]), ""]
    parts.append("[dim]Best of the settings tried, on the same images: it favours the attacker.[/]")
    parts += [f"[yellow]note[/] {escape(warning)}" for warning in found.warnings]
    parts += [f"[dim]not run: {escape(name)}, {escape(why)}[/]" for name, why in found.skipped]
    return Group(*parts)


def _table(name: str, records: "list[Record]") -> Table:
    title = f"{escape(name)}: {records[0].metric}, n = {records[0].n}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("attack", "knows", "best setting"):
        table.add_column(column, overflow="fold")
    for column in ("PSNR", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    for record in records:
        known = ", ".join(kind for kind in record.knowledge if kind != "released")
        decibels = "" if record.psnr is None else f"{record.psnr:.1f}"
        score = f"{record.value:.2f} [dim]{record.low:.2f}–{record.high:.2f}[/]"
        setting = escape(str(record.settings["setting"]))
        table.add_row(str(record.attack), known, setting, decibels, score)
    return table
