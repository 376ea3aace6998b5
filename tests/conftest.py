"""Set-up shared by all tests: shape checks, threads, offline mode, the assets folder."""

import os
from pathlib import Path

import pytest

from benchmarks.assets import ASSETS, ROOT

# Set before torch or transformers is imported, and inherited by the commands tests start:
# test workers share the cores among themselves, and no test may reach for a model hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

# Every annotated tensor shape is checked at run time. The command line is left out: typer reads
# its signatures, and they hold no tensors.
SHAPE_CHECKED = tuple(
    sorted(
        room.name
        for room in (ROOT / "catch11").iterdir()
        if room.is_dir() and room.name not in ("cli", "__pycache__")
    )
)
if os.environ.get("CATCH11_SHAPES", "1") != "0":
    from jaxtyping import install_import_hook

    import tests.shapes  # noqa: F401 - the hook looks it up by name

    install_import_hook([f"catch11.{name}" for name in SHAPE_CHECKED], "tests.shapes.check")


pytest_plugins = ("tests.draws",)

# What takes minutes is begun first, so that no worker ends long after the others.
LONGEST = (
    "tests/test_pages.py", "tests/releases/test_stops.py", "tests/releases/test_cluster.py", "tests/studies/test_beside.py",
    "tests/studies/test_studies.py", "tests/cli/test_study_hub.py", "tests/studies/test_table4.py", "tests/studies/test_table3.py",
    "tests/studies/test_keep.py", "tests/real/", "tests/theory/test_written.py", "tests/serve/",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order by file; tests of a file stay as they stand."""

    def place(item: pytest.Item) -> int:
        return next(
            (i for i, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST)
        )

    items.sort(key=place)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real models and images; tests that ask for it skip where it is absent."""
    if not ASSETS.is_dir():
        pytest.skip(f"no assets at {ASSETS}; set CATCH11_ASSETS to the folder of real models")
    return ASSETS


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT
