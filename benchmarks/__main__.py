"""What is measured beside the package, by one command; `make bench` runs `speed`.

python benchmarks                what there is, a line each
python benchmarks speed --full   one of it
python benchmarks deep_table -h  what it measures, prints and takes
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill


def main(given: Sequence[str]) -> int:
    from benchmarks.frame import app_of, parts

    known = parts()
    if not given or given[0] in ("-h", "--help"):
        print(__doc__)
        for name, about in known.items():
            print(fill(about, 79, initial_indent=f"{name:17}", subsequent_indent=" " * 17))
        return 0
    name, *words = given
    if name not in known:
        print(f"benchmarks: expected one of {', '.join(known)}; found {name!r}", file=sys.stderr)
        return 2
    app_of(name)(words, prog_name=f"python benchmarks {name}")
    return 0


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # others install a `benchmarks` too
    raise SystemExit(main(sys.argv[1:]))
