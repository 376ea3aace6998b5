"""Options as people write them."""

import pytest
import typer

from catch11.cli.options import share


@pytest.mark.parametrize(
    ("text", "value"), [("0.06", 0.06), ("6%", 0.06), ("6", 0.06), ("0", 0.0), ("1", 1.0), ("100%", 1.0), ("0.5%", 0.005)]
)  # fmt: skip
def test_share(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "-0.1", "200", "101%", "a", "nan", "%"])
def test_no_share(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="a share such as"):
        share(text)
