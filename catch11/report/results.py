"""What the documentation says of records: `python -m catch11.report.results .` writes docs/results/
from docs/records/, and the marked numbers of README.md and of every page of docs/."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from catch11.evaluation.groups import largest, preferred
from catch11.evaluation.record import Record
from catch11.report import load_records
from catch11.report.card.threats import Card, cards, knows
from catch11.report.card.words import markdown, share
from catch11.report.numbers import Files, filled
from catch11.report.studies import of_study
from catch11.report.words import CONDITIONS, GENERATED, ROLES, WIDE, interval, table
from catch11.studies.frame import study_of


def pages(root: Path) -> dict[Path, str]:
    """Every page below the project's root that shows records, as it should read."""
    docs = root / "docs"
    files = {path.stem: load_records([path]) for path in sorted((docs / "records").glob("*.jsonl"))}
    made = {docs / "results" / f"{name}.md": of_release(name, held) for name, held in files.items()}
    studied = {
        path.stem: load_records([path])
        for path in sorted((docs / "records" / "studies").glob("*.jsonl"))
    }
    made |= {
        docs / "results" / f"{name}.md": of_study(name, held) for name, held in studied.items()
    }
    made[docs / "results" / "index.md"] = index(files, studied)
    written = (root / "README.md", *sorted(docs.rglob("*.md")))
    prose = {path: path.read_text(encoding="utf-8") for path in written if path not in made}
    return made | {path: filled(text, files, studied) for path, text in prose.items()}


def index(files: Files, studied: Files) -> str:
    """One line a release: the licensee, the strongest model as it is, and the strongest attacker; and
    the pages of studies."""
    head = ("release", "licensee", "strongest other model, as it is", "strongest attacker", "knows")
    rows = [(f"[{name}]({name}.md)", *_line(card)) for name, card in _cards(files)]
    return WIDE + "\n".join(
        (
            "# Results",
            "",
            GENERATED.format("`docs/records/`"),
            "",
            "Accuracy, with its 95 % interval; in brackets what the same model scores on clean pictures.",
            "The attacker's line is the best of all attacks, settings and models, which favours it.",
            "",
            *table(head, rows),
            *(f"Of a study: [{study_of(name).title}]({name}.md).\n" for name in studied),
        )
    )


def of_release(name: str, records: Sequence[Record]) -> str:
    """A release's card, its scores without an attack, every attack, and the commands."""
    ((_, card),) = _cards({name: records})
    text, *_ = markdown(card).split("\n\n    ")  # the commands stand at the end, once
    source = f"[docs/records/{name}.jsonl](../records/{name}.jsonl)"
    model = card.authorized.record.model if card.authorized else "a model"
    parts = (
        f"# {card.method.capitalize()} files for {model}",
        GENERATED.format(source),
        "## Who knows what, and gets what",
        text.strip(),
        "## Scores without an attack",
        "\n".join(_plain(records)).strip(),
        "## Attacks",
        "Best setting of each attack and model; the setting named is that of the best score.",
        "\n".join(_attacks(records)).strip(),
        "## Commands",
        "```sh\n" + "\n".join(card.commands) + "\n```",
    )
    return WIDE + "\n\n".join(parts) + "\n"


def _cards(files: Files) -> Iterator[tuple[str, Card]]:
    for name, records in files.items():
        for card in cards(records):
            yield name, card


def _line(card: Card) -> Iterator[str]:
    rival = next((row for row in card.rows if row.who == "any other model"), None)
    for row in (card.authorized, rival, card.worst):
        clean = f" ({share(row.clean.value)})" if row and row.clean else ""
        yield f"{row.record.model} {interval(row.record)}{clean}" if row else ""
    yield card.worst.knows if card.worst else ""


def _plain(records: Sequence[Record]) -> Iterator[str]:
    """Each model under each condition, the authorized one first."""
    held: dict[tuple[str, str], Record] = {
        (r.model, r.condition): r for r in preferred(records) if r.condition in CONDITIONS
    }
    roles = {r.model: r.role for r in records}
    models = sorted(roles, key=lambda model: list(ROLES).index(roles[model]))
    rows = [
        (model, ROLES[roles[model]], *(_cell(held.get((model, one))) for one in CONDITIONS))
        for model in models
    ]
    return table(("model", "role", *CONDITIONS.values()), rows)


def _attacks(records: Sequence[Record]) -> Iterator[str]:
    """Each attack on each model that is not authorized, what gave most first."""
    tried = [
        r for r in largest(preferred(records))
        if r.condition == "attack" and r.attack != "none" and r.role != "authorized"
    ]  # fmt: skip
    held = {(str(r.attack), r.model): r for r in tried}
    models = sorted({r.model for r in tried})
    best = {str(r.attack): r for r in sorted(tried, key=lambda r: (r.role != "sibling", r.value))}
    rows = [
        (
            f"`{name}`", knows(record), *(_cell(held.get((name, model))) for model in models),
            str(record.settings.get("setting", "")), str(record.n),
        )
        for name, record in sorted(best.items(), key=lambda item: -item[1].value)
    ]  # fmt: skip
    return table(("attack", "knows", *models, "best setting", "n"), rows)


def _cell(record: Record | None) -> str:
    return "" if record is None else interval(record)


if __name__ == "__main__":
    for path, text in pages(Path(sys.argv[1])).items():
        path.write_text(text, encoding="utf-8")
