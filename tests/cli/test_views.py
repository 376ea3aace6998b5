"""What people read of a release: every fact has its line."""

import shlex
from dataclasses import replace
from pathlib import Path

from catch11.cli.views import next_view, preview_view, summary_view
from catch11.releases.commit import Refusal
from catch11.releases.engine import Summary
from catch11.releases.preview import Preview


def summary(**changes: object) -> Summary:
    done = Summary(
        written=7, reused=0, withheld=0, skipped=0, manifest=Path("out/manifest.jsonl"),
        ledger=Path("out.ledger.jsonl"),
    )  # fmt: skip
    return replace(done, **changes)  # type: ignore[arg-type]


def test_a_first_layer_that_moved_far_is_told() -> None:
    far = " ".join(summary_view(summary(distance=(0.157, 0.19)), Path("out")).split())
    assert "moved what the first layer answers, by 16%, so answers may change: --check" in far
    near = summary_view(summary(distance=(0.02, 0.04)), Path("out"))
    assert "moved" not in near


def test_a_summary_says_what_became_of_everything() -> None:
    counts = {"rows": 9, "rows_withheld": 5, "tokens": 1000, "unknown": 3, "cut": 2}
    done = summary(reused=2, withheld=3, skipped=4, counts=counts)
    assert summary_view(done, Path("out")).splitlines() == [
        "out: 7 written (9 rows), 2 already there, 3 withheld, 4 skipped as unreadable, 5 rows withheld",
        "tokens    1,000, of them 3 unknown; 2 documents cut short",
        "kept      all; less needs --model and another --keep",
        "manifest  out/manifest.jsonl",
        "ledger    out.ledger.jsonl (private)",
    ]


def refusal(**changes: object) -> Refusal:
    one = Refusal(outcome="skipped", reason="it is a HEIF picture", first="a.heic")
    return replace(one, **changes)  # type: ignore[arg-type]


def test_a_summary_gives_the_reasons() -> None:
    changed = refusal(
        outcome="withheld", reason="the answer changes", first="x/[b]\x1b.png", count=9
    )
    lines = summary_view(summary(refused=(changed, refusal())), Path("out")).splitlines()
    assert lines[1:3] == [
        "withheld  x/\\[b]?.png and 8 more: the answer changes",
        "skipped   a.heic: it is a HEIF picture",
    ]


def test_many_reasons_take_few_lines() -> None:
    many = tuple(refusal(reason=f"reason {n} " + "of many words " * 9) for n in range(9))
    lines = summary_view(summary(refused=many), Path("out")).splitlines()
    assert len(lines) == 1 + 5 + 3
    assert max(map(len, lines)) <= 80
    assert lines[5].strip() == "more in the ledger"


def test_a_summary_is_silent_about_nothing() -> None:
    assert summary_view(summary(), Path("out")).splitlines()[0] == "out: 7 written"


def test_a_preview_says_about_how_much_is_to_do() -> None:
    found = Preview(
        files=1200, standing=200, tried=32, kept=30, lost=1, psnr=7.46, seconds=1500.0,
        megabytes=12.34, reasons=("it is a HEIF picture",),
    )  # fmt: skip
    assert preview_view(found, Path("out")).splitlines() == [
        "out: nothing written; 1,200 files, 200 of them already there",
        "kept      30 of 32 that were tried; 1 cannot be read",
        "          it is a HEIF picture",
        "strength  about 7.5 dB",
        "time      about 25 minutes for 1,000",
        "size      about 12.3 MB",
    ]


def test_the_next_command_fits_the_terminal_and_can_be_pasted() -> None:
    words = ("catch11", "verify", "my [files]", "--model", "hf:" + "models/" * 9, "--source", "b's")
    why, *lines = next_view("ask others:", *words[1:]).strip().splitlines()
    assert why == "ask others:"
    assert max(map(len, lines)) <= 80
    pasted = "\n".join(lines).replace("\\[", "[")
    assert tuple(shlex.split(pasted.replace("\\\n", ""))) == words
