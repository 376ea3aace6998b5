import json
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from catch11.errors import InvalidArgument
from catch11.evaluation import record
from catch11.evaluation.interval import Interval
from catch11.evaluation.record import Record, Verdict

ROW = Record(
    model="deit",
    role="authorized",
    condition="nte",
    metric="accuracy",
    value=0.8,
    low=0.7,
    high=0.9,
    n=50,
    psnr=10.01,
    settings={"margin": 3, "names": ("a", "b")},
    versions={"torch": "2"},
)
ROWS = [
    ROW,
    replace(ROW, condition="attack", attack="blur", knowledge=("released",), ssim=0.2, seed=7),
    replace(
        ROW, settings={}, command="catch11 verify X", model_fingerprint="ff", key_fingerprint="0"
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_round_trip(row: Record) -> None:
    line = row.to_line()
    assert "\n" not in line
    back = Record.from_line(line)
    assert back.to_line() == line
    assert replace(back, settings={}) == replace(row, settings={})


def test_infinite_is_null() -> None:
    line = replace(ROW, psnr=math.inf, value=math.nan).to_line()
    assert json.loads(line)["psnr"] is None
    back = Record.from_line(line)
    assert back.psnr is None
    assert math.isnan(back.value)


class Bad(NamedTuple):
    line: str
    match: str


GOOD = json.loads(ROW.to_line())


@pytest.mark.parametrize(
    "bad",
    [
        Bad("{", "record: expected one JSON line"),
        Bad("[]", "record: expected an object"),
        Bad(json.dumps(GOOD | {"grade": 1}), "grade: expected no such field"),
        Bad(json.dumps({"model": "x"}), "role: expected a value"),
        Bad(json.dumps(GOOD | {"role": "friend"}), "role: expected 'authorized', "),
        Bad(json.dumps(GOOD | {"condition": "odd"}), "condition: expected 'clean', "),
        Bad(json.dumps(GOOD | {"n": "1"}), "n: expected a valid integer, found '1'"),
        Bad(json.dumps(GOOD | {"knowledge": "front"}), "knowledge: expected a valid array"),
        Bad(json.dumps(GOOD | {"n": -1}), "n: expected 0 or more"),
        Bad(json.dumps(GOOD | {"value": True}), "value: expected a valid number"),
        Bad("[" * 100_000, "record: expected one JSON line"),
        Bad(json.dumps(GOOD | {"attack": "blur"}), "attack: expected a name exactly where"),
        Bad(json.dumps(GOOD | {"condition": "attack"}), "attack: expected a name exactly where"),
    ],
    ids=repr,
)
def test_hostile_lines(bad: Bad) -> None:
    with pytest.raises(InvalidArgument, match=bad.match):
        Record.from_line(bad.line)


def test_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    record.write_records(path, ROWS)
    path.write_text(path.read_text() + ROW.to_line()[:40])
    assert [row.to_line() for row in record.read_records(path)] == [row.to_line() for row in ROWS]


def test_versions_name_what_a_number_depends_on() -> None:
    assert {"python", "torch", "numpy"} <= set(record.versions())


def _interval(low: float, estimate: float, high: float) -> Interval:
    return Interval(low=low, estimate=estimate, high=high)


class Case(NamedTuple):
    verdict: Verdict
    failed: bool
    unsure: int


CASES = [
    Case(Verdict(), False, 0),
    Case(Verdict(drop=_interval(0.0, 0.02, 0.06), max_drop=0.02), False, 1),
    Case(Verdict(drop=_interval(0.0, 0.02, 0.06), max_drop=0.01), True, 0),
    Case(Verdict(drop=_interval(0.0, 0.02, 0.06), max_drop=0.06), False, 0),
    Case(Verdict(rival=_interval(0.1, 0.2, 0.3), rival_name="r", max_rival=0.15), True, 0),
    Case(Verdict(rival=_interval(0.1, 0.2, 0.3), rival_name="r", max_rival=0.25), False, 1),
    Case(Verdict(rival=_interval(0.0, math.nan, 1.0), rival_name="r", max_rival=0.25), True, 0),
    Case(Verdict(disagreements=1), True, 0),
    Case(Verdict(max_drop=0.1), True, 0),
    Case(Verdict(max_rival=0.1), True, 0),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_verdict(case: Case) -> None:
    assert case.verdict.failed == case.failed
    assert len(case.verdict.unsure) == case.unsure
    shown = json.loads(json.dumps(case.verdict.to_dict()))
    assert shown["failed"] == case.failed
