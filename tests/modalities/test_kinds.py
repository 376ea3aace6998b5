"""The examples of the pages on sounds and tables run as they stand there."""

import re
from pathlib import Path

import pytest

FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["audio.md", "tables.md"])
def test_the_example_runs(root: Path, page: str) -> None:
    examples = FENCE.findall((root / "docs" / page).read_text(encoding="utf-8"))
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), {})
