"""The page's charts: retention over strength, siblings over their drift, the spectrum of a front."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from markupsafe import Markup

from catch11.evaluation.groups import clean_of, largest, line_of, preferred
from catch11.evaluation.record import Record
from catch11.report.card.words import share
from catch11.report.charts import Axis, Point, Series, plot
from catch11.report.words import CONDITIONS, ROLES, SHARES, interval


def strength_chart(records: Sequence[Record]) -> Markup | None:
    """Share of its clean score that each model keeps over the PSNR: a chart for each key, method
    and authorized model that was released at two strengths or more; None where there is none. A
    score without a clean one of as many pictures of the same release is not drawn, and counted."""
    held: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for r in records:
        if r.condition != "attack" and r.metric in SHARES and not r.settings.get("control"):
            held[line_of(r)].append(r)
    made = {line: _strengths(largest(preferred(rows))) for line, rows in held.items()}
    drawn = {
        line: _title(line, held[line])
        for line, (series, _) in made.items()
        if len({round(p.x, 1) for one in series for p in one.points}) > 1
    }
    if not drawn:
        return None
    names, charts = Counter(drawn.values()), []
    for line, title in drawn.items():
        named = title if names[title] == 1 else f"{title}, {line[0][:8]}"
        charts.append(Markup("<h3>{}</h3>{}").format(named, _strength_plot(made[line][0], named)))
    if bare := sum(made[line][1] for line in drawn):
        says = "scores have no clean score of as many pictures beside them and are not drawn."
        charts.append(Markup('<p class="dim">{} {}</p>').format(bare, says))
    return Markup("").join(charts)


def _title(line: tuple[str, str, str], rows: Sequence[Record]) -> str:
    _, method, authorized = line
    whom = authorized or next((r.model for r in rows if r.role == "authorized"), "")
    return (method or "release") + (f" for {whom}" if whom else "")


def _strengths(rows: Sequence[Record]) -> tuple[list[Series], int]:
    """A series a model, and how many scores have no clean one to be held against."""
    held: dict[tuple[str, str], list[Point]] = defaultdict(list)
    bare = 0
    for r in rows:
        if r.condition != "nte" or r.psnr is None:
            continue
        own = clean_of(r, rows)
        if own is None or own.n != r.n or not own.value > 0:
            bare += 1
            continue
        held[r.model, r.role].append(
            Point(
                x=r.psnr, y=r.value / own.value, low=r.low / own.value, high=r.high / own.value,
                says=f"{r.psnr:.1f} dB: {interval(r)} of {share(own.value)}, n = {r.n}",
            )
        )  # fmt: skip
    series = [
        Series(name=f"{model} ({ROLES[role]})", points=sorted(points, key=lambda p: p.x))
        for (model, role), points in held.items()
    ]
    return series, bare


def _strength_plot(series: Sequence[Series], title: str) -> Markup:
    return plot(
        series,
        x=Axis(label="PSNR of the release, dB (stronger noise to the left)"),
        y=Axis(
            label="share of the clean score",
            range=(0.0, max(1.1, *(p.y for one in series for p in one.points))),
        ),
        title=f"Retention of the authorized model and of rivals over PSNR: {title}",
    )


def drift_chart(records: Sequence[Record]) -> Markup | None:
    """Siblings: how well descendants of the authorized weights read, over how far they drifted."""
    held: dict[tuple[str, int], list[Point]] = defaultdict(list)
    for r in records:
        drift = r.settings.get("first layer moved", r.settings.get("drift"))
        if isinstance(drift, int | float) and r.condition in ("clean", "nte"):
            whose = r.settings.get("release for") or r.settings.get("method", r.metric)
            held[f"{CONDITIONS[r.condition]}, {whose}", r.n].append(
                Point(
                    x=100 * float(drift), y=r.value, low=r.low, high=r.high,
                    says=f"drift {drift:.2%}: {interval(r)}, n = {r.n}",
                )
            )  # fmt: skip
    drifts, scores = ([getattr(p, at) for points in held.values() for p in points] for at in "xy")
    if len(set(drifts)) < 2:
        return None
    names = Counter(name for name, _ in held)
    return plot(
        [
            Series(
                name=name if names[name] == 1 else f"{name}, n = {n}",
                points=sorted(points, key=lambda p: p.x),
            )
            for (name, n), points in held.items()
        ],
        x=Axis(label="relative drift of the first layer, percent", range=(0.0, 1.05 * max(drifts))),
        y=Axis(label="score", range=(min(0.0, *scores), 1.0)),
        title="Scores of fine-tuned descendants over their drift",
    )


def spectrum_chart(spectrum: Sequence[float], *, unseen: int, front: str) -> Markup | None:
    """Singular values of a key's front, ascending: the first `unseen` are what noise hides behind."""
    values = [max(v, 1e-30) for v in spectrum]
    if not values:
        return None
    floor = max(values) * 1e-9
    step = max(1, len(values) // 400)
    spots = [
        Point(x=float(n), y=max(v, floor), low=max(v, floor), high=max(v, floor))
        for n, v in enumerate(values)
        if n % step == 0 or n == len(values) - 1
    ]
    hidden = [p for p in spots if p.x < unseen]
    seen = [p for p in spots if p.x >= unseen]
    series = [
        Series(name=f"unseen: {unseen} directions of {len(values)}", points=hidden, marks=False),
        Series(name="seen", points=seen, marks=False),
    ]
    return plot(
        [one for one in series if one.points],
        x=Axis(label="direction, least seen first", range=(0.0, len(values))),
        y=Axis(label="singular value, pixel units", log=True),
        title=f"Spectrum of the first layer {front}",
    )
