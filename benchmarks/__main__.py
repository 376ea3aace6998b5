"""What is measured beside the package, by one command; `make bench` runs `suite`.

python benchmarks                 what there is, a line each
python benchmarks suite --full    one of it, with what it takes
python benchmarks deep_table -h   what it takes
"""

import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

HERE = Path(__file__).parent


def parts() -> dict[str, str]:
    """The first sentence of every script that can be run, by its name; `suite` first."""
    found = {}
    for path in sorted(HERE.glob("[!_]*.py"), key=lambda path: (path.stem != "suite", path.stem)):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text:
            about = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
            found[path.stem] = " ".join(about.split()).split(". ")[0].rstrip(".")
    return found


def main(given: Sequence[str]) -> int:
    known = parts()
    if not given or given[0] in ("-h", "--help"):
        print(__doc__)
        for name, about in known.items():
            print(fill(about, 80, initial_indent=f"{name:17}", subsequent_indent=" " * 17))
        return 0
    if given[0] not in known:
        print(f"benchmark: expected one of {', '.join(known)}; found {given[0]!r}", file=sys.stderr)
        return 2
    sys.argv = [str(HERE / f"{given[0]}.py"), *given[1:]]
    sys.path[0] = str(HERE)  # they import each other
    runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
