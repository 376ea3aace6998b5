"""What people read of a release: every fact has its line."""

from dataclasses import replace
from pathlib import Path

from catch11.cli.views import summary_view
from catch11.releases.engine import Summary


def summary(**changes: object) -> Summary:
    done = Summary(
        written=7, reused=0, withheld=0, skipped=0, manifest=Path("out/manifest.jsonl"),
        ledger=Path("out.ledger.jsonl"),
    )  # fmt: skip
    return replace(done, **changes)  # type: ignore[arg-type]


def test_a_summary_says_what_became_of_everything() -> None:
    counts = {"rows": 9, "rows_withheld": 5, "tokens": 1000, "unknown": 3, "cut": 2}
    done = summary(reused=2, withheld=3, skipped=4, counts=counts)
    assert summary_view(done, Path("out")).splitlines() == [
        "out: 7 written (9 rows), 2 already there, 3 withheld, 4 skipped as unreadable, 5 rows withheld",
        "tokens    1,000, of them 3 unknown; 2 documents cut short",
        "manifest  out/manifest.jsonl",
        "ledger    out.ledger.jsonl (private)",
    ]


def test_a_summary_is_silent_about_nothing() -> None:
    assert summary_view(summary(), Path("out")).splitlines()[0] == "out: 7 written"
