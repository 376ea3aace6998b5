"""catch11 doctor: can this machine run everything, and what to do where it cannot."""

from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from catch11.cli.frame import FINDING, Answer, command

SIGNS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[bold red]bad[/]"}


@command("Start")
def doctor() -> Answer:
    """Check versions, devices and optional packages, and say how to mend what is broken.

    Exit status 1 if something that catch11 needs is broken.

    Example: catch11 doctor
    """
    from catch11.cli.environment import examine

    findings = examine()
    table = Table(box=None, pad_edge=False)
    for title in ("", "what", "found", "remedy"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row(
            SIGNS[finding.state], *map(escape, (finding.name, finding.found, finding.remedy))
        )
    broken = [finding.name for finding in findings if finding.state == "bad"]
    facts = {"sound": not broken, "findings": [asdict(finding) for finding in findings]}
    return Answer(facts=facts, view=table, status=FINDING if broken else 0)
