"""What `catch11 attack` says as it runs."""

from pathlib import Path

from typer.testing import CliRunner

from catch11.attacks.pace import Step
from catch11.cli import app
from catch11.cli.pace import Sayings
from catch11.evaluation.record import Record
from tests.world import build_world


def _record(model: str, value: float, *, authorized: bool = False) -> Record:
    return Record(
        model=model, role="authorized" if authorized else "ga", condition="attack", attack="blur",
        metric="accuracy", value=value, low=value - 0.125, high=value + 0.125, n=12,
    )  # fmt: skip


RECORDS = (_record("ours", 0.75, authorized=True), _record("weak", 0.25), _record("strong", 0.5))
ENDED = Step(done=2, total=12, records=RECORDS, seconds=9.6, untrained=7, left=1500.0, quick=90.0)


def test_a_line_as_an_attack_ends_names_the_best_rival() -> None:
    said = Sayings()
    line = "blur                  strong         0.50 0.38–0.62   10 s"
    assert said.line(Step(attack="blur", done=1, total=12)) == ""
    total = "about 25 min on this machine for 10 attacks;\n--quick runs the 7 untrained ones in about 90 s"
    assert said.line(ENDED) == f"{line}\n{total}"
    assert said.line(ENDED) == f"{line}, about 25 min left"
    assert len(said.line(ENDED)) <= 80
    last = Step(done=12, total=12, records=RECORDS, left=0.0, quick=0.0)
    assert said.line(last) == line.replace("  10 s", "  kept")


def test_nothing_is_said_of_quick_where_it_changes_nothing() -> None:
    step = Step(done=1, total=2, records=RECORDS, seconds=1.0, untrained=1, left=8.0, quick=8.0)
    assert Sayings().line(step).endswith("about 8 s on this machine for 1 attack")


def test_lines_go_to_standard_error_and_options_reach_the_library(tmp_path: Path) -> None:
    world = build_world(tmp_path, count=12)
    words = ["attack", world.released, "--rival", world.theirs, "--labels", world.labels]
    words += ["--limit", 4, "--training", 0, "--attack", "none", "--attack", "bit-depth"]

    def run(*more: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [*(str(word) for word in words), *more])
        return done.exit_code, done.stdout, " ".join(done.stderr.split())

    code, out, err = run("--quick")
    assert code == 0
    assert "bit-depth theirs 0." in err
    assert "on this machine for 1 attack" in err
    assert "on this machine" not in out
    code, out, _ = run("--minutes", "1e-9")
    assert code == 0
    assert "not run, not begun in the 1e-09 minutes there were: none, bit-depth" in " ".join(
        out.split()
    )
    code, _, err = run("--quick", "--attack", "fine-tune")
    assert code == 2
    assert "--quick: expected no names" in err
    code, _, err = run("--minutes", "0")
    assert code == 2
    assert "--minutes: expected above 0" in err
