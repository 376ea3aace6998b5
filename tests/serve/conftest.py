"""A gateway's store in a folder of its own, opened with little work."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from catch11.serve.store import Store, open_store

# Minutes: make test-gateway.
LONG = pytest.mark.skipif(not os.environ.get("CATCH11_LONG"), reason="long: make test-gateway")
MASTER = "a master secret for tests"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'gateway.db'}", MASTER, cost=10)
    yield made
    made.close()
