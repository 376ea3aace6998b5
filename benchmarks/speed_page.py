"""docs/lab/speed.md and its plots, from the records of `speed`: every number on the page but those in its plan's prose."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
PAGE, PLOTS = ROOT / "docs" / "lab" / "speed.md", ROOT / "docs" / "pictures" / "speed.png"
Rows = Sequence[dict[str, Any]]
IMAGES, HOURS, CORES = 10**9, 24 * 30, 64  # of the plan: images, hours until done, cores of a node


def write(records: Path) -> None:
    """Write page and plots."""
    rows = [json.loads(line) for line in records.read_text().splitlines()]
    PAGE.write_text(page(rows), encoding="utf-8")
    draw(rows, PLOTS)


def page(rows: Rows) -> str:
    """The page, of all records."""
    first = rows[0]
    name = "benchmarks/records/speed.jsonl"
    return "\n".join((
        "# Speed", "",
        f"What a release costs, as ratios within one run. Generated from `{name}` by `python benchmarks speed --page`;",
        "do not edit. `make bench` measures it again in some minutes, `make bench FULL=--full` on more pictures, `make bench ONLY=recode` one part.", "",
        f"Measured on {first['date']}: {first['cores']} cores shared with other work, {first['cpu']}, torch {first['torch']}, one thread.",
        "Times are processor time, since others' work disturbs the clock more. The two sides of a ratio take turns; n is the number of",
        "pairs, of so many pictures each, and the brackets hold the smallest and the largest ratio. The other work slows both sides, by how much differs between",
        "a product of matrices and a decoder: look at the brackets.", "",
        "## Beside what", "", *_ratios(rows), "",
        "**Read these weakly**: other processes shared the two cores, which slows large products of matrices, most of",
        "spectral recoding, more than a decoder. Checking asks the model twice a picture. The floor of `recode` reads each photograph, resizes it bicubically to 256 x 256 and saves it as PNG with Pillow's own settings; two",
        "thirds or more of it is deflate, which `recode` does not use that way. The published arithmetic draws with torch's generator and",
        "measures nothing; a recoding is measured when PSNR or shift is asked for, which `recode` does for its ledger.", "",
        "## Counted and weighed", "", *_others(rows), "",
        "## How it grows", "",
        "![Processor milliseconds a picture: by part, by side of the window, by directions that the front sees](../pictures/speed.png)", "",
        *_growth(rows), "",
        "## A billion pictures, on paper", "", *_plan(rows), "",
    ))  # fmt: skip


def _ratios(rows: Rows) -> Iterator[str]:
    yield "| part | what | beside | ratio | n | ms an item | ms beside |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        if "ratio" in row:
            times = [f"{row[one]:.2f}" if one in row else "" for one in ("ms", "ms against")]
            ratio = f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            cells = (row["part"], row["what"], row["against"], ratio, f"{row['n']} of {row['items']}", *times)  # fmt: skip
            yield "| " + " | ".join(cells) + " |"


def _others(rows: Rows) -> Iterator[str]:
    yield "| part | what | value | n |"
    yield "|---|---|---|---|"
    for row in rows:
        value = f"{row['value']:,.2f}" if "value" in row else f"{row['MiB']} MiB" if "MiB" in row else ""  # fmt: skip
        if not value and row["part"] == "key":
            value = f"{row['ms'] / 1000:.2f} s [{row['low'] / 1000:.2f}, {row['high'] / 1000:.2f}]"
        if value:
            what = row["what"] + (f", {row['x']:,} of them" if "MiB" in row and "x" in row else "")
            held = f", {row['withheld']} withheld" if "withheld" in row else ""
            yield f"| {row['part']} | {what} | {value}{held} | {row['n']} |"


def _growth(rows: Rows) -> Iterator[str]:
    yield "| part | at | ms a picture | n |"
    yield "|---|---|---|---|"
    for row in rows:
        if "x" in row and "ms" in row:
            yield f"| {row['part']} | {row['x']} | {row['ms']:.1f} [{row['low']:.1f}, {row['high']:.1f}] | {row['n']} of {row['items']} |"


def _plan(rows: Rows) -> Iterator[str]:
    """What 10⁹ pictures of 256 x 256 take, from what one took here."""
    ways = {"png8, 10 dB": "spectral, png8", "deep, answer kept": "deep, answer, on processors"}
    held = {row["what"]: row for row in rows if row["what"] in ways}
    size = next(r for r in rows if r["what"] == "bytes of a file")["value"]
    yield "One core's processor time for one picture, times a billion. Nothing here was run: a plan, from the records above."
    yield ""
    yield "| | core hours | nodes of 64 cores for 30 days | bytes written |"
    yield "|---|---|---|---|"
    for what, row in held.items():
        hours = row["ms"] / 1000 * IMAGES / 3600
        yield f"| {ways[what]} | {hours:,.0f} | {hours / HOURS / CORES:.1f} | {size * IMAGES / 1e12:,.0f} TB |"
    busy = 1000 / held["png8, 10 dB"]["ms"] * CORES
    yield ""
    yield f"- **What limits spectral**: processors. A node of {CORES} cores makes {busy:,.0f} pictures a second and writes {busy * size / 1e6:,.0f} MB of them, which one disk or bucket takes."
    yield "- **What limits deep**: forward and backward passes. On a GPU `python benchmarks gpu` says how many pictures a second; it was not at hand."
    yield "- **Files**: a billion small files weigh on any file system. Release from and into shards of some 10,000 pictures; each has its own list and ledger, and a stopped shard resumes."
    yield "- **Lists**: one process signs and writes the list of a shard; shards are independent, so nothing is shared between nodes but the key."
    yield "- **Not counted**: reading from a network, starting processes, nodes that fail. Cores were taken to be as fast all at once as one is here, beside other work."


def draw(rows: Rows, path: Path) -> None:
    """Three plots beside each other."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    bars, sides, ranks = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    pairs = [r for r in rows if "ms against" in r and r["part"] in ("recode", "tensor", "beside", "deep")]  # fmt: skip
    for place, row in enumerate(pairs):
        bars.barh(place - 0.2, row["ms"], 0.38, color="#c2553a")
        bars.barh(place + 0.2, row["ms against"], 0.38, color="#8a99a8")
    bars.set_yticks(range(len(pairs)), [f"{r['what']}\nbeside {r['against']}" for r in pairs], fontsize=7)  # fmt: skip
    bars.set_xscale("log")
    bars.invert_yaxis()
    bars.set_xlabel("ms an item; grey: what it stands beside")
    for axes, part, label in (
        (sides, "size", "side of the window, pixels"),
        (ranks, "rank", "directions seen, of 768"),
    ):
        held = [r for r in rows if r["part"] == part]
        values = [r["ms"] for r in held]
        spread = [
            [r["ms"] - r["low"] for r in held], [r["high"] - r["ms"] for r in held],
        ]  # fmt: skip
        axes.errorbar([r["x"] for r in held], values, spread, marker="o", color="#c2553a", capsize=3)  # fmt: skip
        axes.set_xlabel(label)
        axes.set_ylabel("ms a picture")
        axes.set_ylim(bottom=0)
    for axes in (bars, sides, ranks):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
