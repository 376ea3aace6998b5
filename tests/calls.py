"""Commands called from tests, as a user calls them."""

from typer.testing import CliRunner

from catch11.cli import app


def run(*words: object) -> tuple[int, str]:
    """Exit status and everything printed."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def said(*words: object) -> str:
    """The sentence of a command that is refused."""
    status, text = run(*words)
    assert status == 2, text
    assert "unexpected" not in text, text
    return " ".join(text.split())
