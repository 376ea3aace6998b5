"""What people read of a verification and of an attack: every fact has its place."""

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from catch11.attacks.session import Assault
from catch11.cli.attack import _view
from catch11.cli.scores import LEGEND, remarks, verification_view
from catch11.evaluation.interval import Interval
from catch11.evaluation.record import Record, Verdict
from catch11.evaluation.verify import Verification

RECORD = Record(
    model="net", role="authorized", condition="nte", metric="accuracy", value=0.5, low=0.25, high=0.75, n=8,
    psnr=12.34,
)  # fmt: skip
DROP = Interval(low=0.01, estimate=0.1, high=0.2)
VERDICT = Verdict(
    drop=DROP, retention=0.9, rival=Interval(low=0.3, estimate=0.4, high=0.5), rival_name="twin",
    max_drop=0.05, max_rival=0.2,
)  # fmt: skip


def printed(view: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(view)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def test_a_verification_says_scores_doubts_problems_and_the_verdict() -> None:
    found = Verification(
        records=(RECORD, replace(RECORD, model="twin", role="ta", psnr=None)), verdict=VERDICT,
        warnings=("few files",), problems=(("a.wav", "its bytes differ"),), files=8,
    )  # fmt: skip
    lines = printed(verification_view(found, peak="of a sample")).splitlines()
    assert lines[0] == "accuracy, n = 8"
    assert lines[1].split() == ["model", "released"]
    assert lines[2].split() == ["net", "(authorized)", ".50", ".25–.75"]
    assert lines[3].split() == ["twin", "(twin)", ".50", ".25–.75"]
    assert "released at 12.3 dB (peak of a sample), 8 files" in lines
    told = lines[lines.index("note few files") :]
    assert told[1] == "file a.wav: its bytes differ"
    verdict = [f"unsure {one}" for one in VERDICT.unsure]
    assert told[2 : 2 + len(verdict)] == verdict
    assert any("(drop 0.100 [0.010, 0.200], paired)" in line for line in told)
    assert VERDICT.failures
    assert told[-len(VERDICT.failures) :] == [f"failed: {one}" for one in VERDICT.failures]


def test_doubts_about_a_limit_are_said() -> None:
    verdict = replace(VERDICT, max_drop=0.15)
    assert verdict.unsure
    lines = remarks(Verification(records=(), verdict=verdict))
    assert all(f"[yellow]unsure[/] {one}" in lines for one in verdict.unsure)
    bare = printed(verification_view(Verification(records=(), verdict=Verdict()), peak=""))
    assert bare.strip() == printed(LEGEND).strip()


def test_what_was_read_back_stands_beside_the_conditions() -> None:
    blind = replace(RECORD, condition="attack", attack="nearest tokens", value=0.25)
    text = printed(
        verification_view(Verification(records=(RECORD, blind), verdict=VERDICT), peak="")
    )
    assert text.splitlines()[1].split() == ["model", "released", "attacked"]


def test_an_attack_says_who_answers_what_and_who_knows_what() -> None:
    blind = replace(RECORD, condition="attack", attack="Wiener", knowledge=("public", "front"))
    found = Assault(records=(RECORD, blind))
    lines = [line.split() for line in printed(_view(found)).splitlines()]
    assert ["net", "(authorized)", ".50", ".25–.75"] in lines
    assert ["Wiener", "public,", "front", "12.3", "0.50", "0.25–0.75"] in lines
    assert [row["attack"] for row in found.to_dict()["records"]] == [None, "Wiener"]
