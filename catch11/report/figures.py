"""The page's charts: retention over strength, siblings over their drift, the spectrum of a front."""

from collections import defaultdict
from collections.abc import Sequence

from markupsafe import Markup

from catch11.card import preferred
from catch11.record import Record
from catch11.report.charts import Axis, Point, Series, axis_over, plot
from catch11.report.words import CONDITIONS, ROLES, SHARES, interval


def strength_chart(records: Sequence[Record]) -> Markup | None:
    """Share of its clean score that each model keeps over the PSNR; None for fewer than two."""
    rows = preferred([r for r in records if r.condition != "attack" and r.metric in SHARES])
    clean = {(r.model, r.metric): r for r in rows if r.condition == "clean"}
    held: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for r in rows:
        own = clean.get((r.model, r.metric))
        scale = own.value if own is not None and own.value > 0 else 1.0
        if r.condition == "nte" and r.psnr is not None:
            held[r.model, r.role].append(
                Point(
                    x=r.psnr, y=r.value / scale, low=r.low / scale, high=r.high / scale,
                    says=f"{r.psnr:.1f} dB: {interval(r)}, n = {r.n}",
                )
            )  # fmt: skip
    strengths = [p.x for points in held.values() for p in points]
    if len({round(x, 1) for x in strengths}) < 2:
        return None
    series = [
        Series(name=f"{model} ({ROLES[role]})", points=sorted(points, key=lambda p: p.x))
        for (model, role), points in held.items()
    ]
    return plot(
        series,
        x=axis_over(strengths, "PSNR of the release, dB (stronger noise to the left)"),
        y=Axis(label="share of the clean score", low=0.0, high=1.1, ticks=(0, 0.25, 0.5, 0.75, 1)),
        title="Retention of the authorized model and of rivals over PSNR",
    )


def drift_chart(records: Sequence[Record]) -> Markup | None:
    """Siblings: how well descendants of the authorized weights read, over how far they drifted."""
    held: dict[str, list[Point]] = defaultdict(list)
    for r in records:
        drift = r.settings.get("first layer moved", r.settings.get("drift"))
        if isinstance(drift, int | float) and r.condition in ("clean", "nte"):
            whose = r.settings.get("release for") or r.settings.get("method", r.metric)
            held[f"{CONDITIONS[r.condition]}, {whose}"].append(
                Point(
                    x=100 * float(drift), y=r.value, low=r.low, high=r.high,
                    says=f"drift {drift:.2%}: {interval(r)}, n = {r.n}",
                )
            )  # fmt: skip
    drifts = [p.x for points in held.values() for p in points]
    if len(set(drifts)) < 2:
        return None
    return plot(
        [Series(name=name, points=sorted(p, key=lambda q: q.x)) for name, p in held.items()],
        x=axis_over([0.0, *drifts], "relative drift of the first layer, percent"),
        y=Axis(label="score", low=0.0, high=1.0, ticks=(0, 0.25, 0.5, 0.75, 1)),
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
        x=axis_over([0.0, float(len(values))], "direction, least seen first"),
        y=axis_over([p.y for p in spots], "singular value, pixel units", log=True),
        title=f"Spectrum of the first layer {front}",
    )
