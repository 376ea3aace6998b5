"""The shape of the package: imports point one way, the public list is true, files stay small."""

import ast
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import catch11

PACKAGE = Path(catch11.__file__).parent

# From low to high. A module imports from its own row or from the rows above it in this list.
LAYERS = (
    ("errors",),
    ("stream", "seal", "spectrum", "circulant", "chebyshev", "grid", "fingerprint", "environment"),
    ("fit",),
    ("canvas",),
    ("strip",),
    ("front",),
    ("reading",),
    ("layer",),
    ("find", "subspace", "joint", "subspace_conv", "box", "box_conv", "scramble"),
    ("site",),
    ("key",),
    ("probe",),
    ("personalize",),
    ("privatefile", "keyfile", "secretfile", "recode"),
    ("models", "data", "interval", "metrics", "survival"),
    ("release",),
    (
        "record",
        "card",
        "baselines",
        "score",
        "conditions",
        "attacks",
        "quadratic",
        "misalignment",
        "prediction",
        "cells",
        "bounds",
        "written",
        "comparison",
        "norms",
        "gains",
        "lipschitz",
        "matrix",
        "trust",
        "suitability",
        "panel",
        "tune",
        "features",
        "kinds",
    ),
    ("studies",),
    ("report",),
    ("scale", "service"),
    ("cli", "__main__"),
)
# What touches the secret, and all it may import besides the standard library.
TRUSTED = {
    "errors", "stream", "spectrum", "circulant", "chebyshev", "grid", "fingerprint", "fit", "canvas", "strip", "front", "reading", "layer", "find",
    "subspace", "subspace_conv", "joint", "box", "box_conv", "key", "seal", "privatefile", "keyfile", "recode", "personalize",
    "scramble", "site", "secretfile",
}  # fmt: skip
TRUSTED_IMPORTS = {"torch", "numpy", "safetensors", "cryptography", "einops", "jaxtyping"}
LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """The module or folder directly below the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules a file imports, those under TYPE_CHECKING included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrow"
            name = node.module or ""
            yield from (
                f"{name}.{alias.name}" if name == "catch11" else name for alias in node.names
            )


def layer(name: str) -> int:
    return next(i for i, row in enumerate(LAYERS) if name in row)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    if (own := unit(path)) == "__init__":
        return
    assert any(own in row for row in LAYERS), f"{own} has no place in LAYERS"
    for target in imports(path):
        if not target.startswith("catch11."):
            continue
        other = target.split(".")[1]
        if other.startswith("__"):
            continue
        assert layer(other) <= layer(own), f"{own} imports {other}, which stands above it"


def test_siblings_have_no_cycle() -> None:
    arrows: dict[str, set[str]] = {}
    for path in FILES:
        targets = {t.split(".")[1] for t in imports(path) if t.startswith("catch11.")}
        arrows.setdefault(unit(path), set()).update(targets - {unit(path)})

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"import cycle: {' > '.join((*above, name))}"
        for other in arrows.get(name, ()):
            visit(other, (*above, name))

    for name in set(arrows) - {"__init__"}:
        visit(name, ())


@pytest.mark.parametrize("path", [p for p in FILES if unit(p) in TRUSTED], ids=name_of)
def test_trusted_set_imports_little(path: Path) -> None:
    for target in imports(path):
        top = target.split(".")[0]
        if top == "catch11":
            assert target.split(".")[1] in TRUSTED
        else:
            assert top in TRUSTED_IMPORTS or top in sys.stdlib_module_names, target


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = "\n".join(text.splitlines()[:12])
    long = len(text.splitlines()) > LINES
    assert not long or "one file because" in head, f"more than {LINES} lines and no reason given"


def test_public_names_are_what_can_be_imported() -> None:
    assert sorted(catch11.__all__) == list(catch11.__all__)
    assert {*catch11._HOMES, "Catch11Error"} == set(catch11.__all__)
    for name in catch11.__all__:
        assert not isinstance(getattr(catch11, name), types.ModuleType), name
    assert set(catch11.__all__) <= set(dir(catch11))


def test_importing_submodules_keeps_public_functions() -> None:
    for home in set(catch11._HOMES.values()):
        importlib.import_module(home)
    assert callable(catch11.release)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(catch11, "nonsense")  # noqa: B009 - a plain access would not pass the type check
