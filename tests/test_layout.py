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

# The rooms, ground floor first. A file imports from its own room or from the rooms above it here.
ROOMS = (
    "errors", "steady", "kinds", "lab", "canvas", "crypto", "data", "fronts", "subspaces", "models", "keys", "copies",
    "recoding", "releases", "evaluation", "training", "theory", "attacks", "modalities", "plugs", "baselines",
    "studies", "report", "serve", "client", "cli", "__main__",
)  # fmt: skip
# What touches the secret, and all it may import besides the standard library.
TRUSTED = (
    "errors", "steady", "kinds", "canvas", "crypto", "fronts", "subspaces", "keys", "copies", "recoding",
    "modalities/table/recoder", "modalities/table/deep", "modalities/text/recoder",
    "modalities/text/deep",
)  # fmt: skip
# Of a trusted room, what handles no secret and may import more.
OPEN = ("copies/public", "keys/features_file", "recoding/codecs")
TRUSTED_IMPORTS = {"torch", "numpy", "safetensors", "cryptography", "einops", "jaxtyping"}
LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The room that a file of the package lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    """The full name of a file's module."""
    parts = ("catch11", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def trusted(path: Path) -> bool:
    """Whether a file may touch the secret."""
    where = path.relative_to(PACKAGE).with_suffix("").as_posix()
    within = any(where == one or where.startswith(f"{one}/") for one in TRUSTED)
    return within and where not in OPEN


def files_of(path: Path) -> Iterator[Path]:
    """The files of the package that a file imports."""
    for name in imports(path):
        while name.startswith("catch11.") and name not in MODULES:
            name = name.rpartition(".")[0]
        if name in MODULES and name != "catch11" and MODULES[name] != path:
            yield MODULES[name]


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules a file imports, those under TYPE_CHECKING included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrow"
            name = node.module or ""
            yield from (
                f"{name}.{alias.name}" if name.startswith("catch11") else name
                for alias in node.names
            )


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    if (own := room(path)) == "__init__":
        return
    assert own in ROOMS, f"{own} has no place in ROOMS"
    for other in files_of(path):
        assert ROOMS.index(room(other)) <= ROOMS.index(own), (
            f"{name_of(path)} imports {name_of(other)}, whose room stands above it"
        )


def test_no_circle_of_files() -> None:
    """Followed file by file, imports inside functions and for types included."""
    arrows = {path: sorted(set(files_of(path))) for path in FILES if path.name != "__init__.py"}
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        if path in above:
            circle = [*above[above.index(path) :], path]
            raise AssertionError("imports run in a circle: " + " > ".join(map(name_of, circle)))
        if path in done:
            return
        for other in arrows.get(path, ()):
            visit(other, (*above, path))
        done.add(path)

    for path in arrows:
        visit(path, ())


@pytest.mark.parametrize("path", [p for p in FILES if trusted(p)], ids=name_of)
def test_trusted_set_imports_little(path: Path) -> None:
    for other in files_of(path):
        assert trusted(other) or other.name == "__init__.py", name_of(other)
    for target in imports(path):
        top = target.split(".")[0]
        allowed = top in TRUSTED_IMPORTS or top in sys.stdlib_module_names
        assert allowed or top == "catch11", target


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
