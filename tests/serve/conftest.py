"""A gateway's store in a folder of its own, opened with little work; a small world, made once."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from catch11.serve.store import Store, open_store
from tests.world import World, build_world

# Minutes: make test-gateway.
LONG = pytest.mark.skipif(not os.environ.get("CATCH11_LONG"), reason="long: make test-gateway")
MASTER = "a master secret for tests"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'gateway.db'}", MASTER, cost=10)
    yield made
    made.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=16)
