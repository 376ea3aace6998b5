"""Threads of one process get the same numbers from torch, at its first calls too."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import catch11
from tests.test_layout import FILES, MODULES, PACKAGE, name_of

# In every child, eight threads make the first calls of a process at once.
STORM = """
import os, sys, threading
import torch
{first}

x = torch.tensor([3.7316, 1.77, 5.123], dtype=torch.float64)
asked = [torch.sqrt, torch.log, torch.exp, torch.cos] * 2
print(torch.backends.mkl.is_available())
for _ in range({times}):
    if not (child := os.fork()):
        made, start = [None] * len(asked), threading.Barrier(len(asked))

        def call(place):
            start.wait()
            made[place] = asked[place](x)

        threads = [threading.Thread(target=call, args=(place,)) for place in range(len(asked))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(not all(torch.equal(one, again(x)) for one, again in zip(made, asked)))
    if os.waitpid(child, 0)[1]:
        print("other")
"""


def storm(first: str, times: int, root: Path) -> list[str]:
    """What a process says whose children race: a word on MKL, and a line for each that saw two values."""
    code = STORM.format(first=first, times=times)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False, cwd=root
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_first_calls_of_threads_agree(root: Path) -> None:
    """Without `settle`, one child in forty sees two values with the MKL that torch 2.13 brings."""
    assert storm("import catch11.canvas", 400, root)[1:] == []


@pytest.mark.skipif(
    not os.environ.get("CATCH11_LONG"), reason="shows torch's fault: CATCH11_LONG=1"
)
def test_first_calls_disagree_without_it(root: Path) -> None:
    """Where this fails, torch has mended it, and `catch11.steady` can go."""
    has, *others = storm("", 2000, root)
    if has == "True":
        assert others


def test_whoever_begins_is_steady() -> None:
    """The homes of public names and the files that start threads, as soon as they bring torch."""
    homes = {MODULES[home] for home in catch11._HOMES.values()}
    starts = {path for path in FILES if "Thread" in path.read_text(encoding="utf-8")}
    assert len(homes) > 10
    assert len(starts) > 2
    bring = [path for path in sorted(homes | starts) if any(map(_imports_torch, _above(path)))]
    assert len(bring) > 10
    for path in bring:
        assert PACKAGE / "steady.py" in _above(path), name_of(path)


@cache
def _heads(path: Path) -> tuple[str, ...]:
    """Full names of what a file imports outside of functions."""
    found: list[str] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [f"{node.module}.{alias.name}" for alias in node.names] + [
                    str(node.module)
                ]
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                waiting.append(node)
    return tuple(found)


def _imports_torch(path: Path) -> bool:
    return any(name.split(".")[0] == "torch" for name in _heads(path))


def _above(path: Path) -> set[Path]:
    """The files that are run before a file is: those it imports, their rooms, and so on."""
    found, waiting = {path}, [path]
    while waiting:
        new = {other for other in _run_before(waiting.pop()) if other not in found}
        found |= new
        waiting += new
    return found


@cache
def _run_before(path: Path) -> frozenset[Path]:
    names = [*_heads(path), *(name for name, own in MODULES.items() if own == path)]
    parts = [name.split(".") for name in names]
    tried = {".".join(one[:end]) for one in parts for end in range(2, len(one) + 1)}
    return frozenset(MODULES[name] for name in tried if name in MODULES)
