"""Records of several releases on one page: nothing is joined, overwritten or compared across them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from catch11.evaluation.groups import clean_of, largest, line_of, preferred, release_of
from catch11.evaluation.record import Record
from catch11.report import report_page
from catch11.report.card.threats import card_of
from catch11.report.card.words import markdown, tried
from catch11.report.figures import drift_chart, strength_chart
from catch11.report.page import bars, heats
from tests.report.rows import make, rows

FIRST = [r for r in rows() if r.settings.get("release") == "0a1b2c3d"]


def of(method: str, whom: str, psnr: float, *, key: str = "a") -> dict[str, Any]:
    """Fields of a release: its key's first letter, its method and whom it is for."""
    settings = {"method": method, "authorized": whom, "release": f"{key}{method}{whom}{psnr:.0f}"}
    return {"psnr": psnr, "settings": settings, "key_fingerprint": key * 64}


def scores(clean: int, *points: tuple[float, int], n: int = 100, **which: Any) -> list[Record]:
    """One rival over strengths, with its clean score on each release."""
    found = []
    for psnr, hits in points:
        facts = of(which["method"], which["whom"], psnr, key=which.get("key", "a"))
        released = replace(make("mob", "ga", hits, n=n, condition="nte"), **facts)
        found += [released, replace(released, condition="clean", value=clean / n, psnr=None)]
    return found


def polylines(chart: object) -> list[int]:
    """How many points each line joins."""
    lines = re.findall(r'<path d="([^"]*)"[^>]*stroke-width: 2;', str(chart))
    return [line.count("L") + 1 for line in lines]


MIXED = [
    *scores(80, (8.0, 8), (12.0, 40), method="spectral", whom="deit"),
    *scores(50, (9.0, 0), (11.0, 5), (13.0, 10), method="deep", whom="deit"),
    *scores(80, (10.0, 60), (14.0, 72), method="spectral", whom="squeeze", key="b"),
]


def test_a_line_joins_one_key_method_and_authorized_model() -> None:
    chart = str(strength_chart(MIXED))
    assert polylines(chart) == [2, 3, 2]
    assert re.findall("<h3>(.*?)</h3>", chart) == [
        "spectral for deit", "deep for deit", "spectral for squeeze"
    ]  # fmt: skip
    assert "9.0 dB: .00 [.00, .04] of .50, n = 100" in chart
    assert "8.0 dB: .08 [.04, .15] of .80, n = 100" in chart
    heights = re.findall(r'<use [^>]*y="([^"]*)" style="fill: var\(--c0\)', chart)
    shares = [(314 - float(y)) / 300 * 1.1 for y in heights]
    assert [round(s, 2) for s in shares][:2] == [0.1, 0.5]  # of .80, not of another's .50


def test_releases_of_one_strength_make_no_line() -> None:
    alone = [r for r in MIXED if r.psnr in (None, 8.0, 9.0, 10.0)]
    assert strength_chart(alone) is None


def test_two_keys_of_one_method_are_two_charts_with_two_names() -> None:
    both = [
        *scores(80, (8.0, 8), (12.0, 40), method="spectral", whom="deit"),
        *scores(80, (8.0, 9), (12.0, 41), method="spectral", whom="deit", key="c"),
    ]
    chart = str(strength_chart(both))
    assert polylines(chart) == [2, 2]
    assert "spectral for deit, aaaaaaaa" in chart
    assert "spectral for deit, cccccccc" in chart


def test_a_score_without_its_own_clean_score_is_counted_and_not_drawn() -> None:
    other = scores(40, (20.0, 30), method="spectral", whom="elsewhere", key="d")
    few = scores(30, (16.0, 20), n=40, method="spectral", whom="deit")
    bare = [r for r in few if r.condition == "nte"]
    chart = str(strength_chart([*MIXED[:4], *other, *bare]))
    assert polylines(chart) == [2]
    assert '<p class="dim">1 scores have no clean score' in chart
    assert "16.0 dB" not in chart


def test_a_release_measured_twice_is_one_point() -> None:
    again = scores(30, (8.0, 20), n=40, method="spectral", whom="deit")
    assert str(strength_chart([*MIXED[:4], *again])) == str(strength_chart(MIXED[:4]))


def test_metrics_are_chosen_for_each_release() -> None:
    """One release without labels must not lose its scores to another that has them."""
    told = replace(MIXED[0], metric="agreement", settings={"release": "x"})
    assert told in preferred([told, *MIXED])


CLEAN = replace(MIXED[1], n=100)


@pytest.mark.parametrize(
    ("clean", "found"),
    [
        (CLEAN, True),
        (replace(CLEAN, n=500), True),  # of the same release: another number is better than none
        (replace(CLEAN, settings={**CLEAN.settings, "release": "other"}), True),
        (replace(CLEAN, n=500, settings={**CLEAN.settings, "release": "other"}), False),
        (replace(CLEAN, seed=7, settings={**CLEAN.settings, "release": "other"}), False),
        (replace(CLEAN, key_fingerprint="e" * 64, settings={"release": "other"}), False),
        (replace(CLEAN, settings={**CLEAN.settings, "release": "o", "method": "deep"}), False),
        (replace(CLEAN, model="other"), False),
        (replace(CLEAN, metric="agreement"), False),
        (replace(CLEAN, condition="control"), False),
    ],
)
def test_the_clean_score_beside_a_score(clean: Record, found: bool) -> None:
    assert (clean_of(MIXED[0], [clean]) is clean) == found


def test_the_clean_score_of_as_many_pictures_comes_first() -> None:
    some, many = CLEAN, replace(CLEAN, n=500, value=0.7)
    assert clean_of(MIXED[0], [many, some]) is some
    assert clean_of(replace(MIXED[0], n=500), [some, many]) is many
    assert clean_of(replace(MIXED[0], n=300), [some, many]) is many


def test_releases_and_lines_have_names() -> None:
    record = make("m", "ga", 3, condition="nte", settings={"method": "deep", "authorized": "deit"})
    assert release_of(record) == "ffffffff deep for deit"
    assert release_of(replace(record, key_fingerprint=None, settings={})) == ""
    assert line_of(record) == ("f" * 64, "deep", "deit")
    assert line_of(replace(record, key_fingerprint=None))[0] == record.command


def test_a_cell_of_the_matrix_keeps_the_most_pictures_and_shows_the_rest() -> None:
    attack = next(r for r in FIRST if r.attack == "blur" and r.model == "mobile")
    fewer = make(
        "mobile", "ga", 20, n=40, condition="attack", attack="blur", knowledge=attack.knowledge,
        settings=attack.settings,
    )  # fmt: skip
    elsewhere = replace(fewer, settings={**attack.settings, "release": "ffff0000"})
    heat, other = heats([*FIRST, fewer, elsewhere])
    assert (heat.release, other.release) == ("0a1b2c3d", "ffff0000")
    assert heat.repeated
    assert not other.repeated
    place = [name for name, _ in heat.models].index("mobile")
    (line,) = (cells for name, _, cells in heat.rows if name == "blur")
    cell = line[place]
    assert cell is not None
    assert cell.record == attack
    assert cell.others == (fewer,)
    page = report_page([*FIRST, fewer])
    assert "also .50 [.35, .65], n\u00a0=\u00a040" in page
    assert "What was measured more than once" in page
    assert "What was measured more than once" not in report_page(FIRST)


def test_of_two_measurements_alike_the_matrix_shows_the_owners_worst_case() -> None:
    rival, own = (next(r for r in FIRST if r.condition == "nte" and r.model == m) for m in ("mobile", "deit"))  # fmt: skip
    more = [replace(rival, value=0.3), replace(own, value=0.7)]
    (heat,) = heats([*FIRST, *more])
    (line,) = (cells for name, _, cells in heat.rows if name == "as released")
    shown = {c.record.model: c.record.value for c in line if c is not None}
    assert (shown["mobile"], shown["deit"]) == (0.3, 0.7)


def test_one_name_in_two_roles_has_two_columns() -> None:
    twin = replace(next(r for r in FIRST if r.model == "twin"), role="sibling", value=0.99)
    (heat,) = heats([*FIRST, twin])
    names = [(name, role) for name, role in heat.models if name == "twin"]
    assert names == [("twin", "same architecture"), ("twin", "sibling")]
    (line,) = (cells for name, _, cells in heat.rows if name == CONDITION[twin.condition])
    assert sum(cell is not None and cell.record.model == "twin" for cell in line) == 2


CONDITION = {"clean": "clean", "nte": "as released"}


def test_a_card_takes_the_most_pictures_and_says_where_numbers_differ() -> None:
    few = make(
        "mobile", "ga", 39, n=40, condition="attack", attack="bm3d", knowledge=("released",),
        settings=FIRST[0].settings,
    )  # fmt: skip
    again = replace(few, attack="blind-wiener", knowledge=("public", "released"))
    card = card_of([*FIRST, few, again])
    assert [(n, "bm3d" in names, "blind-wiener" in names) for n, names in card.counts] == [
        (100, False, True), (40, True, False)
    ]  # fmt: skip
    best = {row.knows: row for row in card.rows}
    assert best["public pictures"].record.n == 100
    assert card.doubts == ("only 40 images were scored for bm3d: below 100 the intervals are wide",)
    text = markdown(card)
    assert "| `bm3d` | mobile | .97 [.87, 1.00] | .82 (n 100) | 40 |" in text
    assert "on 40 files `bm3d`. A line of fewer files than others is less sure" in text
    assert "same files" not in text
    assert "on 40 files bm3d" in report_page([*FIRST, few])
    (bar,) = [bar for bar in bars([*FIRST, few]) if bar.record.attack == "bm3d"]
    assert bar.clean is not None
    assert bar.clean.n == 100
    assert "of\u00a0clean (n\u00a0=\u00a0100)" in report_page([*FIRST, few])
    assert "fewer files" not in tried(card_of(FIRST))


def test_clean_scores_of_every_number_stay() -> None:
    clean = [r for r in FIRST if r.condition == "clean"]
    fewer = [replace(r, n=40) for r in clean]
    assert largest([*clean, *fewer]) == [*clean, *fewer]


def test_siblings_of_different_numbers_are_two_lines() -> None:
    made = [r for r in rows() if r.settings.get("drift")]
    both = [*made, *(replace(r, n=40) for r in made)]
    assert sorted(polylines(drift_chart(both))) == [3, 3, 3, 3]
    assert "n = 40" in str(drift_chart(both))
