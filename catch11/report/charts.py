"""Line charts as inline SVG: they take their colours from the page, light or dark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

WIDTH, HEIGHT = 680, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 16, 14, 46
COLOURS = 6  # classes c0 … c5 of the page's style


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value with its interval, and what a pointer on it says."""

    x: float
    y: float
    low: float
    high: float
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one name, joined where `line` says so."""

    name: str
    points: Sequence[Point]
    line: bool = True
    marks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Its label and range; a logarithmic one shows powers of ten."""

    label: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[float] = field(default_factory=tuple)


def plot(series: Sequence[Series], *, x: Axis, y: Axis, title: str) -> Markup:
    """The chart, with a title for those who cannot see it and a legend below."""
    across = _scale(x, _LEFT, WIDTH - _RIGHT)
    up = _scale(y, HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(x, y, across, up)]
    parts += [_series(one, number % COLOURS, across, up) for number, one in enumerate(series)]
    legend = Markup("").join(
        Markup(
            '<li class="c{}"><svg viewBox="-7 -7 14 14" aria-hidden="true">{}</svg>{}</li>'
        ).format(number % COLOURS, mark(number, 0, 0), one.name)
        for number, one in enumerate(series)
    )
    body = Markup("").join(parts)
    return Markup(
        '<div class="scroll"><svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        '</div><ul class="legend">{}</ul>'
    ).format(WIDTH, HEIGHT, title, body, legend)


def axis_over(values: Sequence[float], label: str, *, log: bool = False) -> Axis:
    """An axis with room around these values."""
    low, high = min(values), max(values)
    if log:
        low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high) + 1e-9)
        return Axis(label=label, low=low, high=max(high, low * 10), log=True)
    step = _step(max(high - low, 1e-9))
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return Axis(label=label, low=low, high=high if high > low else low + step)


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, about a sixth of the span."""
    rough = span / 6
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough)


def _scale(axis: Axis, start: float, end: float) -> Callable[[float], float]:
    low, high = (math.log10(v) if axis.log else v for v in (axis.low, axis.high))

    def place(value: float) -> float:
        at = math.log10(max(value, axis.low)) if axis.log else value
        share = (at - low) / (high - low)
        return round(start + min(max(share, 0.0), 1.0) * (end - start), 1)

    return place


def _ticks(axis: Axis) -> list[float]:
    if axis.ticks:
        return list(axis.ticks)
    if axis.log:
        first, last = round(math.log10(axis.low)), round(math.log10(axis.high))
        return [10.0**power for power in range(first, last + 1, max(1, (last - first) // 6))]
    step = _step(axis.high - axis.low)
    return [axis.low + k * step for k in range(round((axis.high - axis.low) / step) + 1)]


def _grid(
    x: Axis, y: Axis, across: Callable[[float], float], up: Callable[[float], float]
) -> Markup:
    lines = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _LEFT, WIDTH - _RIGHT, up(v), up(v)
        )
        + Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            _LEFT - 7, up(v) + 4, _number(v)
        )
        for v in _ticks(y)
    ]
    lines += [
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            across(v), HEIGHT - _BOTTOM + 18, _number(v)
        )
        for v in _ticks(x)
    ]
    lines.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            (_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 8, x.label
        )
    )
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    lines.append(
        Markup(
            '<text x="14" y="{}" text-anchor="middle" transform="rotate(-90 14 {})">{}</text>'
        ).format(middle, middle, y.label)
    )
    return Markup("").join(lines)


def _series(
    one: Series, number: int, across: Callable[[float], float], up: Callable[[float], float]
) -> Markup:
    parts = []
    spots = [(across(p.x), up(p.y)) for p in one.points]
    if one.line and len(spots) > 1:
        path = " ".join(f"{x},{y}" for x, y in spots)
        parts.append(Markup('<polyline points="{}"/>').format(path))
    for (x, y), point in zip(spots, one.points, strict=True):
        if not one.marks:
            continue
        whisker = Markup('<line x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            x, x, up(point.low), up(point.high)
        )
        parts.append(
            Markup("<g><title>{}</title>{}{}</g>").format(
                f"{one.name}: {point.says}", whisker, mark(number, x, y)
            )
        )
    return Markup('<g class="c{}">{}</g>').format(number, Markup("").join(parts))


def mark(number: int, x: float, y: float) -> Markup:
    """A mark of its own for each series, so that colour is not all that parts them."""
    shapes = (
        '<circle cx="{x}" cy="{y}" r="4.5"/>',
        '<rect x="{a}" y="{b}" width="8" height="8"/>',
        '<path d="M{x} {t}l5.5 9.5h-11z"/>',
        '<path d="M{x} {t}l5.5 5.5-5.5 5.5-5.5-5.5z"/>',
        '<circle class="open" cx="{x}" cy="{y}" r="4"/>',
        '<rect class="open" x="{a}" y="{b}" width="8" height="8"/>',
    )
    text = shapes[number % COLOURS].format(x=x, y=y, a=x - 4, b=y - 4, t=y - 5.5)
    return Markup(text)  # numbers only


def _number(value: float) -> str:
    return str(escape(f"{value:.3g}"))
