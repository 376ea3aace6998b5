"""Line charts as inline SVG, drawn by matplotlib; they take their colours from the page, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from catch11.lab import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 680, 360
_BOX = (78 / WIDTH, 46 / HEIGHT, 586 / WIDTH, 300 / HEIGHT)  # of the axes: left, bottom, size
# A mark of its own for each series, so that colour is not all that parts them, and its sign below.
_MARKS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("o", "○"), ("s", "□"))
# Colours that matplotlib writes and that become those of the page.
_NAMES = ("dim", "line", "paper", *(f"c{n}" for n in range(len(_MARKS))))
_PAGE = {f"#00000{n}": name for n, name in enumerate(_NAMES, 1)}
_DIM, _LINE, _PAPER, *_COLOURS = _PAGE
_SVG = "{http://www.w3.org/2000/svg}"
ElementTree.register_namespace("", _SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


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
    """Points of one name, joined; marks: each with its mark and its interval."""

    name: str
    points: Sequence[Point]
    marks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Its label, and its range where the points do not say it."""

    label: str
    range: tuple[float, float] | None = None
    log: bool = False


def plot(series: Sequence[Series], *, x: Axis, y: Axis, title: str) -> Markup:
    """The chart, with a title for those who cannot see it and a legend below."""
    rc_context = needed("matplotlib").rc_context
    Figure = needed("matplotlib.figure").Figure

    # The title salts the ids, which a page of several charts must not hold twice.
    settings: dict[Any, Any] = {
        "svg.hashsalt": title, "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"],
        "font.size": 13,
    }  # fmt: skip
    with rc_context(settings):
        figure, stream = Figure(figsize=(WIDTH / 72, HEIGHT / 72)), io.StringIO()
        axes = figure.add_axes(_BOX)
        for number, one in enumerate(series):
            _draw(axes, one, number)
        _frame(axes, x, y)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    says = {f"marks-{n}": [f"{s.name}: {p.says}" for p in s.points] for n, s in enumerate(series)}
    signs = ((n % len(_MARKS), one.name) for n, one in enumerate(series))
    legend = Markup("").join(
        Markup('<li><span class="c{}">{}</span> {}</li>').format(n, _MARKS[n][1], name)
        for n, name in signs
    )
    chart = Markup(_inline(stream.getvalue(), says, title))  # parts of ours were escaped as XML
    return Markup('<div class="scroll">{}</div><ul class="legend">{}</ul>').format(chart, legend)


def _draw(axes: "Axes", one: Series, number: int) -> None:
    place = number % len(_MARKS)
    colour, (mark, sign) = _COLOURS[place], _MARKS[place]
    x, y = [p.x for p in one.points], [p.y for p in one.points]
    if len(x) > 1:
        axes.plot(x, y, color=colour, linewidth=2)
    if one.marks:
        ends = [p.low for p in one.points], [p.high for p in one.points]
        axes.vlines(x, *ends, color=colour, alpha=0.7)
        filled = _PAPER if sign in "○□" else colour
        marks = axes.plot(x, y, mark, color=colour, markersize=8, markerfacecolor=filled)
        marks[0].set(clip_on=False, gid=f"marks-{number}")


def _frame(axes: "Axes", x: Axis, y: Axis) -> None:
    axes.set_xlabel(x.label, color=_DIM)
    axes.set_ylabel(y.label, color=_DIM)
    if x.range:
        axes.set_xlim(*x.range)
    if y.range:
        axes.set_ylim(*y.range)
    if y.log:
        axes.set_yscale("log")
    axes.tick_params(which="both", length=0, pad=7, labelcolor=_DIM)
    axes.grid(axis="y", color=_LINE)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _inline(svg: str, says: Mapping[str, Sequence[str]], title: str) -> str:
    """What a page takes of a drawing: colours of its own, ids only where they are pointed to."""
    root = ElementTree.fromstring(svg)
    box = f"0 0 {WIDTH} {HEIGHT}"
    root.attrib = {"viewBox": box, "class": "chart", "role": "img", "aria-label": title}
    root.remove(root[0])  # a style, which would be that of the whole page
    for node in root.iter():
        name = node.get("id", "")
        if f"#{name}" not in svg:
            node.attrib.pop("id", None)
        for mark, text in zip(node.iter(f"{_SVG}use"), says.get(name, ()), strict=False):
            ElementTree.SubElement(mark, f"{_SVG}title").text = text
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub("#00000[1-9]", lambda m: f"var(--{_PAGE[m[0]]})", text)
