"""Records as sections of a page: what is shown where. The template only lays it out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from catch11.attacks import attack_names
from catch11.evaluation.groups import clean_of, preferred, release_of
from catch11.evaluation.record import Record
from catch11.report.card.threats import cards, knows
from catch11.report.card.words import clean_cell, kept, share, tried
from catch11.report.figures import drift_chart, spectrum_chart, strength_chart
from catch11.report.samples import Sample
from catch11.report.words import CONDITIONS, ROLES, SHARES, interval, percent, setting

STUDY = "catch11 study"
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is shown beside the records. spectrum: singular values of the front, ascending, of
    which `unseen` are in the key's subspace; samples: pictures of a release; warnings: sentences, beside the doubts that the
    records themselves raise and that stand with each release."""

    title: str = "catch11 report"
    spectrum: Sequence[float] = ()
    unseen: int = 0
    front: str = ""
    samples: Sequence[Sample] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number of the heat map. good: the authorized model's, where high is what the owner wants;
    bad: others' of released files; plain: anybody's of what was not recoded. others: further
    measurements of the same, on as many pictures or on fewer."""

    record: Record
    others: tuple[Record, ...] = ()

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Cell":
        """The one of most pictures, the owner's worst case first, and the others."""
        first, *others = sorted(records, key=lambda r: (-r.n, _sign(r) * r.value))
        return cls(record=first, others=tuple(others))

    @property
    def kind(self) -> str:
        """good, bad or plain."""
        if self.record.condition in ("clean", "control", "gaussian"):
            return "plain"
        return "good" if self.record.role == "authorized" else "bad"

    @property
    def depth(self) -> int:
        """Percent of the colour."""
        return round(min(max(self.record.value, 0.0), 1.0) * 70)


def _sign(record: Record) -> int:
    """1 where a low score is the owner's worst case, -1 where a high one is."""
    return 1 if record.role == "authorized" else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """One release's matrix: a row a condition or attack, a column a model."""

    release: str
    metric: str
    models: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]

    @property
    def repeated(self) -> bool:
        """Whether something was measured more than once."""
        return any(cell.others for *_, cells in self.rows for cell in cells if cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One attack on one rival. Ends in percent of the scale."""

    record: Record
    clean: Record | None
    recovered: float | None
    knows: str


def report_page(records: Sequence[Record], extras: Extras | None = None) -> str:
    """The page: HTML without a script, a font, a picture or a style from anywhere else."""
    extras = extras or Extras()
    commands = {
        c: n + 1 for n, c in enumerate(dict.fromkeys(r.command for r in records if r.command))
    }
    direct = [r for r in records if not (r.command or "").startswith(STUDY)]
    ran = {record.attack for record in records if record.attack}
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=extras.title,
            css=Markup(_HERE.joinpath("page.css").read_text(encoding="utf-8")),
            records=records,
            cards=cards(direct),
            heats=heats(direct),
            bars={name: made for name, rows in _by_release(direct).items() if (made := bars(rows))},
            untried=[name for name in attack_names() if name not in ran],
            strength=strength_chart(records),
            drift=drift_chart(records),
            spectrum=spectrum_chart(extras.spectrum, unseen=extras.unseen, front=extras.front),
            extras=extras,
            commands=commands,
            studies=_studies(records),
            versions=_versions(records),
        )
    )


def _by_release(records: Sequence[Record]) -> Mapping[str, list[Record]]:
    held: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        held[release_of(record)].append(record)
    return held


def heats(records: Sequence[Record]) -> list[Heat]:
    """A matrix for each release and metric that is a share."""
    found = []
    held: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.metric in SHARES and not record.settings.get("control"):
            held[release_of(record), record.metric].append(record)
    for (release, metric), rows in held.items():
        models = tuple(dict.fromkeys((r.model, ROLES[r.role]) for r in rows))
        parts: dict[tuple[str, str], dict[tuple[str, str], list[Record]]] = {}
        for r in rows:
            place = CONDITIONS.get(r.condition) or str(r.attack), knows(r) if r.attack else ""
            row = parts.setdefault(place, defaultdict(list))
            row[r.model, ROLES[r.role]].append(r)
        cells = {
            place: {model: Cell.of(held) for model, held in row.items()}
            for place, row in parts.items()
        }
        order = list(CONDITIONS.values())

        def rank(
            item: tuple[tuple[str, str], Mapping[tuple[str, str], Cell]], order: list[str] = order
        ) -> tuple[int, float]:
            (name, _), row = item
            worst = max((c.record.value for c in row.values() if c.kind == "bad"), default=0.0)
            return (order.index(name), 0.0) if name in order else (len(order), -worst)

        lines = tuple(
            (name, known, tuple(row.get(model) for model in models))
            for (name, known), row in sorted(cells.items(), key=rank)
        )
        found.append(Heat(release=release, metric=metric, models=models, rows=lines))
    return found


def bars(records: Sequence[Record]) -> list[Bar]:
    """What an attacker gets, the worst case first; one bar an attack and rival."""
    rows = preferred([r for r in records if not r.settings.get("control")])
    plain = {r.model for r in rows if r.condition == "nte"}
    made = []
    for r in rows:
        if r.attack == "none" and r.model in plain:
            continue  # the same files twice
        if r.condition not in ("nte", "attack") or r.role == "authorized" or r.metric == "auc":
            continue
        own = clean_of(r, rows)
        recovered = r.value / own.value if own is not None and own.value > 0 else None
        made.append(Bar(record=r, clean=own, recovered=recovered, knows=knows(r)))
    return sorted(made, key=_worst)


def _worst(bar: Bar) -> float:
    return -(bar.record.value if bar.recovered is None else bar.recovered)


def _studies(records: Iterable[Record]) -> Mapping[str, list[Record]]:
    held: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if (record.command or "").startswith(STUDY):
            held[str(record.command)].append(record)
    return held


def _versions(records: Iterable[Record]) -> Mapping[str, str]:
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for name, text in record.versions.items():
            found[name].add(str(text))
    return {name: ", ".join(sorted(texts)) for name, texts in sorted(found.items())}


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "interval": interval, "share": share, "percent": percent, "setting": setting,
        "knows": knows, "clean_cell": clean_cell, "kept": kept, "tried": tried,
    }  # fmt: skip
    return found
