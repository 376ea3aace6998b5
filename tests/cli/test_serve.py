"""The commands of a gateway; how they go well is on the page docs/howto/gateway.md, which runs."""

import sqlite3
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra serve")

from catch11.cli import app, serve_options

MASTER = {"CATCH11_MASTER": "a master secret for tests", "COLUMNS": "200"}


def run(*words: str, home: Path, **env: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["serve", *words, "--home", str(home)], env={**MASTER, **env})
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def test_a_token_is_shown_once_and_a_changed_log_is_a_finding(tmp_path: Path) -> None:
    status, shown, _ = run("token", "create", "acme", "--scope", "admin", home=tmp_path)
    token = shown.splitlines()[0]
    assert (status, token.startswith("c11_")) == (0, True)
    status, listed, _ = run("token", "list", home=tmp_path)
    assert (status, "acme" in listed, token in listed) == (0, True, False)
    assert run("audit", "verify", home=tmp_path)[:2] == (0, "1 lines hold\n")
    with sqlite3.connect(tmp_path / "gateway.db") as held:
        held.execute("update audit set tenant = 'other'")
    held.close()
    status, found, _ = run("audit", "verify", home=tmp_path)
    assert (status, "line 1 was changed" in found) == (1, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("key", "revoke", "none"), "there is no key 'none' here"),
        (("key", "grant", "none", "acme", "--keep", "nonsense"), "expected answer, scores"),
        (("token", "revoke", "none"), "there is no token 'none' here"),
        (("token", "create", "a b"), "tenant: expected 1 to 64 letters"),
        (("token", "create", "a", "--scope", "root"), "--scope: expected some of recode, verify, admin"),
        (("token", "list", "--db", "nodb://user:hidden@x"), "--db: expected sqlite:"),
    ],
    ids=lambda value: " ".join(value)[:30],
)  # fmt: skip
def test_bad_orders_are_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    status, _, said = run(*words, home=tmp_path)
    assert (status, sentence in said) == (2, True), said
    assert "hidden" not in said


def test_another_master_secret_does_not_open_it(tmp_path: Path) -> None:
    assert run("token", "list", home=tmp_path)[0] == 0
    status, _, said = run("token", "list", home=tmp_path, CATCH11_MASTER="another master secret")
    assert (status, "the vault does not open" in said) == (2, True)


def test_without_the_extra_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_options, "find_spec", lambda name: None)
    for words in (("token", "list"), ("--demo",)):
        status, _, said = run(*words, home=tmp_path)
        assert (status, "pip install 'catch11[serve]'" in said) == (2, True)


def test_help_imports_no_web_framework(tmp_path: Path) -> None:
    import subprocess

    code = "import sys; from catch11.cli import app; print([m for m in ('fastapi', 'sqlalchemy', 'httpx', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
