"""The frame of every command: exit status, one-sentence errors, --json, --debug."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from catch11.cli import app as whole
from catch11.cli import bar, frame, help
from catch11.cli.frame import program
from catch11.cli.views import next_view, summary_view
from catch11.errors import InvalidArgument
from catch11.recoding.keep import Keep
from catch11.releases.engine import Summary

SECRET = "the secret that no message may show"


def boom(kind: str) -> frame.Answer:
    """Fail or answer as asked. Example: catch11 boom ok"""
    secret = SECRET
    assert secret
    errors: dict[str, BaseException] = {
        "library": InvalidArgument(
            "psnr", expected="dB above 0", found="[bold]-3", remedy="give 10"
        ),
        "missing": FileNotFoundError(2, "No such file or directory", "gone/x.key"),
        "full": OSError(28, "No space left on device"),
        "bug": ZeroDivisionError("division by zero"),
        "interrupt": KeyboardInterrupt(),
    }
    if kind in errors:
        raise errors[kind]
    return frame.Answer(facts={"kind": kind}, view="seen", status=kind == "finding")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(frame, "app", typer.Typer(pretty_exceptions_enable=False))
    frame.app.callback()(lambda: None)
    frame.command("Check")(boom)
    return frame.app


class Case(NamedTuple):
    kind: str
    status: int
    stderr: str


CASES = (
    Case("ok", 0, ""),
    Case("finding", 1, ""),
    Case("library", 2, "psnr: expected dB above 0, found [bold]-3; give 10."),
    Case("missing", 2, "gone/x.key: No such file or directory"),
    Case("full", 2, "No space left on device"),
    Case("bug", 2, "unexpected ZeroDivisionError: division by zero"),
    Case("interrupt", 130, "interrupted"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_status_and_one_sentence(app: typer.Typer, case: Case) -> None:
    done = CliRunner().invoke(app, ["boom", case.kind])
    assert done.exit_code == case.status
    assert case.stderr in done.stderr
    assert done.stderr.count("\n") <= 1
    assert "Traceback" not in done.stderr
    assert ("seen" in done.stdout) == (case.status in (0, 1))


def test_an_argument_that_is_an_option_is_called_so() -> None:
    for name, said in (
        ("psnr", "--psnr"),
        ("max_drop", "--max-drop"),
        ("rivals", "--rival"),
        ("x", "x"),
    ):
        error = InvalidArgument(name, expected="more", found=name)
        stream = io.StringIO()
        with contextlib.redirect_stderr(stream), pytest.raises(typer.Exit):
            frame.fail(error, debug=False, options=["psnr", "max_drop", "rival"])
        assert stream.getvalue() == f"catch11: {said}: expected more, found {name}.\n"


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_debug_shows_a_traceback_without_values(
    app: typer.Typer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "environment":
        monkeypatch.setenv("CATCH11_DEBUG", "1")
    done = CliRunner().invoke(app, ["boom", "bug", *(["--debug"] if how == "flag" else [])])
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert SECRET not in done.output


def test_json_alone_goes_to_standard_output(app: typer.Typer) -> None:
    for words in (["--json", "ok"], ["ok", "--json"]):
        done = CliRunner().invoke(app, ["boom", *words])
        assert json.loads(done.stdout) == {"kind": "ok"}


def test_json_with_a_file_also_shows_the_view(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["boom", "ok", "--json", str(path)])
    assert "seen" in done.stdout
    assert json.loads(path.read_text()) == {"kind": "ok"}


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_encoding_takes_the_view_and_whole_json(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "猫 ≤ \udcff"  # a file name may hold what is no UTF-8
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    for place, stream in zip(("stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(f"sys.{place}", stream)
    frame.lenient_streams()
    answer = frame.Answer(facts={"file": name}, view="0 ≤ 1")
    frame.deliver(answer, None)
    streams[0].flush()
    assert streams[0].buffer.getvalue() in ("0 ≤ 1\n".encode(), b"0 ? 1\n")
    streams[0].buffer.truncate(0)
    streams[0].buffer.seek(0)
    frame.deliver(answer, "-")
    assert json.loads(streams[0].buffer.getvalue().decode(encoding)) == {"file": name}


def test_json_to_an_impossible_file_is_an_input_error(app: typer.Typer, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["boom", "ok", "--json", str(tmp_path / "no" / "out.json")])
    assert done.exit_code == 2
    assert "No such file" in done.stderr


class Words(NamedTuple):
    given: list[str]
    spelled: list[str]


@pytest.mark.parametrize(
    "words",
    [
        Words([], []),
        Words(["--json"], ["--json=-"]),
        Words(["--json", "my.key"], ["--json=-", "my.key"]),
        Words(["--json", "-"], ["--json", "-"]),
        Words(["--json", "o.json", "x"], ["--json", "o.json", "x"]),
        Words(["x", "--json", "--debug"], ["x", "--json=-", "--debug"]),
        Words(["--json=o.txt"], ["--json=o.txt"]),
    ],
    ids=repr,
)
def test_bare_json(words: Words) -> None:
    assert frame.bare_json(words.given) == words.spelled


def test_progress_draws_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with bar.progress("recoding") as tick:
        tick(1, 2)
    assert stream.getvalue() == ""

    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with bar.progress("recoding") as tick:
        tick(1, 2)
    assert "recoding" in stream.getvalue()
    assert "1/2" in stream.getvalue()


def commands() -> list[str]:
    return [str(info.name) for info in whole.registered_commands]


@pytest.mark.parametrize("name", commands())
def test_every_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(whole, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert f"catch11 {name}" in done.stdout, "the help shows an example"
    assert "--json" in done.stdout


@pytest.mark.parametrize(
    "words", [["nonsense"], ["doctor", "--nonsense"], ["doctor", "stray"]], ids=" ".join
)
def test_bad_usage(words: list[str]) -> None:
    assert CliRunner().invoke(whole, words).exit_code == 2


def test_version() -> None:
    assert CliRunner().invoke(whole, ["--version"]).stdout.strip() == "0.1.0"


@pytest.mark.parametrize("name", commands())
def test_help_is_short_and_help_all_whole(name: str) -> None:
    short, whole_ = (
        CliRunner().invoke(whole, [*name.split(), flag], env={"COLUMNS": "80"}).stdout
        for flag in ("--help", "--help-all")
    )
    assert all(len(line) < 80 for line in whole_.splitlines())
    listed = [line.split()[0] for line in short.splitlines() if line.startswith("  --")]
    assert len(listed) <= 12
    entries = help.entries(get_command(whole).commands[name])  # type: ignore[attr-defined]
    assert all(f"  {entry.names}" in whole_ for entry in entries)
    more = sum(entry.section not in ("Arguments", help.EVERYDAY) for entry in entries)
    assert f"--help-all shows {more} more option" in short
    assert "--debug" not in short


@pytest.mark.parametrize(
    ("called", "on_path", "shown"),
    [
        (".venv/bin/catch11", None, ".venv/bin/catch11"),
        (".venv/bin/catch11", "/usr/bin/catch11", "catch11"),
        ("/usr/bin/pytest", None, "catch11"),
    ],
)
def test_the_next_command_is_one_that_the_shell_finds(
    called: str, on_path: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make demo` calls it by its path, where no environment is active."""
    monkeypatch.setattr("sys.argv", [called])
    monkeypatch.setattr("catch11.cli.frame.which", lambda name: on_path)
    assert program() == shown
    assert next_view("next:", "inspect", "a").splitlines()[-1] == f"{shown} inspect a"


def test_nothing_released_is_nothing_kept(tmp_path: Path) -> None:
    made = Summary(written=0, reused=0, withheld=3, skipped=0, manifest=tmp_path, ledger=tmp_path,
                   keep=Keep(what="features", tolerance=0.1))  # fmt: skip
    assert "kept      nothing, as no file was released; features within 0.1" in summary_view(
        made, "out"
    )
    one = replace(made, written=1, distance=(0.09, 0.1))
    assert "kept      features within 0.1 (median 0.09, worst 0.1)" in summary_view(one, "out")


def test_a_kept_call_holds_no_credentials_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["verify", "s3://KEY:hid/den@bucket/x", "--source=https://host/x.zip?sig=hidden", "a b"]
    monkeypatch.setattr("sys.argv", ["catch11", *words])
    assert frame.call() == "catch11 verify s3://bucket/x --source=https://host/x.zip 'a b'"
