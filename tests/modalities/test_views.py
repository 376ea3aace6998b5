"""What people read of a release, a verification and an attack: every fact has its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from catch11.evaluation.metrics import Interval
from catch11.evaluation.record import Record, Verdict
from catch11.evaluation.verify import Verification
from catch11.modalities.views import attack_result, summary_view, verification_view
from catch11.releases.engine import Summary

RECORD = Record(
    model="net", role="authorized", condition="nte", metric="accuracy", value=0.5, low=0.25, high=0.75, n=8,
    psnr=12.34,
)  # fmt: skip
DROP = Interval(low=0.01, estimate=0.1, high=0.2)
VERDICT = Verdict(
    drop=DROP, retention=0.9, rival=Interval(low=0.3, estimate=0.4, high=0.5), rival_name="twin",
    max_drop=0.05, max_rival=0.2,
)  # fmt: skip


def summary(**changes: int) -> Summary:
    done = Summary(
        written=7, reused=0, withheld=0, skipped=0, manifest=Path("out/manifest.jsonl"),
        ledger=Path("out.ledger.jsonl"),
    )  # fmt: skip
    return replace(done, **changes)  # type: ignore[arg-type]


def test_a_summary_says_what_became_of_everything() -> None:
    done = summary(reused=2, withheld=3, skipped=4)
    text = summary_view(
        done, Path("out"), held=" (9 rows)", rest=["5 rows withheld"], lines=["more"]
    )
    assert text.splitlines() == [
        "out: 7 written (9 rows), 2 already there, 3 withheld, 4 skipped as unreadable, 5 rows withheld",
        "more",
        "manifest  out/manifest.jsonl",
        "ledger    out.ledger.jsonl (private)",
    ]


def test_a_summary_is_silent_about_nothing() -> None:
    assert summary_view(summary(), Path("out")).splitlines()[0] == "out: 7 written"


def test_a_verification_says_scores_doubts_problems_and_the_verdict() -> None:
    found = Verification(
        records=(RECORD, replace(RECORD, model="twin", psnr=None)), verdict=VERDICT,
        warnings=("few files",), problems=(("a.wav", "its bytes differ"),), files=8,
    )  # fmt: skip
    lines = verification_view(found, "the foot").splitlines()
    assert lines[0].split() == ["net", "authorized", "nte", "accuracy", "0.500", "[0.250,", "0.750]", "n", "=", "8,", "12.3", "dB"]  # fmt: skip
    assert lines[1].endswith("n = 8")
    assert lines[2:5] == [
        "warning: few files", "problem: a.wav: its bytes differ",
        "authorized drop 0.1000 [0.0100, 0.2000], paired",
    ]  # fmt: skip
    verdict = [f"unsure: {one}" for one in VERDICT.unsure] + [f"failed: {one}" for one in VERDICT.failures]  # fmt: skip
    assert VERDICT.failures
    assert lines[5:] == [*verdict, "the foot"]


def test_doubts_about_a_limit_are_said() -> None:
    verdict = replace(VERDICT, max_drop=0.15)
    assert verdict.unsure
    text = verification_view(Verification(records=(), verdict=verdict), "foot")
    assert all(f"unsure: {one}" in text.splitlines() for one in verdict.unsure)
    bare = verification_view(Verification(records=(), verdict=Verdict()), "foot")
    assert bare == "foot"


def test_an_attack_says_who_answers_what_and_who_knows_what() -> None:
    blind = replace(RECORD, condition="attack", attack="Wiener", knowledge=("public", "front"))
    result = attack_result([RECORD, blind])
    first, second = result.view.splitlines()
    assert first.split() == [
        "net",
        "authorized",
        "as",
        "it",
        "is",
        "accuracy",
        "0.500",
        "[0.250,",
        "0.750]",
        "n",
        "=",
        "8",
    ]
    assert second.split() == ["net", "authorized", "Wiener", "public,", "front", "accuracy", "0.500", "[0.250,", "0.750]", "n", "=", "8"]  # fmt: skip
    assert [row["attack"] for row in result.facts["records"]] == [None, "Wiener"]
    assert not result.failed


@pytest.mark.parametrize("count", [0, 1, 3])
def test_facts_hold_every_record(count: int) -> None:
    assert len(attack_result([RECORD] * count).facts["records"]) == count
