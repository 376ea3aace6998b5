"""Documents from outside: a folder of .txt files, a file of lines, or columns of a CSV or TSV."""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catch11.data.folder import walk
from catch11.data.rows import csv_rows
from catch11.errors import InvalidArgument

MAX_BYTES = 1 << 28
_FIELD = 1 << 20  # characters of one cell
_ROWS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text, or two to be joined. name: its place in the source, row and column or path below
    the folder."""

    name: str
    text: str
    pair: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What a source holds. problems: (name, reason) of what is no document. targets: by row, the
    cell of the column that was asked for, where the source is a table."""

    items: tuple[Document, ...]
    problems: tuple[tuple[str, str], ...] = ()
    targets: dict[str, str] = field(default_factory=dict)


def read_documents(
    src: str | os.PathLike[str],
    *,
    columns: Sequence[str] = (),
    target: str | None = None,
    joined: bool = False,
) -> Documents:
    """The documents of a source, in its order.

    columns: of a CSV or TSV, by name, or by number from 1 where the file has no header; the first
    alone if none is named and the file has only one. joined: two columns are one document, for
    models that read pairs; else each column gives documents of its own. Empty ones are problems.
    Raises InvalidArgument.
    """
    path = Path(src)
    suffix = path.suffix.lower()
    if path.is_dir():
        _no_columns(columns, target, path)
        return _folder(path)
    if not path.is_file():
        raise InvalidArgument("SRC", expected="a file or folder of texts", found=f"{path}: nothing")
    if path.stat().st_size > MAX_BYTES:
        expected = f"a file of at most {MAX_BYTES >> 20} MiB"
        raise InvalidArgument("SRC", expected=expected, found=f"{path.stat().st_size >> 20} MiB")
    if suffix not in (".csv", ".tsv"):
        _no_columns(columns, target, path)
        lines = enumerate(_lines(_text(path)), 1)
        return _split((_row(number), line, None) for number, line in lines)
    return _table(path, columns=columns, target=target, joined=joined)


def read_table(path: str | os.PathLike[str]) -> list[tuple[str, ...]]:
    """The rows of a CSV or TSV in UTF-8; in a TSV, as GLUE's are, quotes are characters.

    Raises InvalidArgument for a file that is none.
    """
    tabs = Path(path).suffix.lower() == ".tsv"
    text = _text(Path(path))
    if tabs:
        return [tuple(line.split("\t")) for line in _lines(text) if line]
    try:
        return csv_rows(text, longest=_FIELD)
    except ValueError as error:
        raise InvalidArgument("SRC", expected="a CSV", found=f"{path}: {error}") from None


def _folder(path: Path) -> Documents:
    found = walk(path)
    rows: list[tuple[str, str, str | None]] = []
    problems = list(found.problems)
    for name in found.files:
        if not name.lower().endswith(".txt"):
            problems.append((name, "it is no .txt file"))
            continue
        try:
            rows.append((name, _text(found.root / name), None))
        except InvalidArgument as error:
            problems.append((name, str(error).rstrip(".")))
    made = _split(iter(rows))
    return Documents(items=made.items, problems=(*problems, *made.problems))


def _table(path: Path, *, columns: Sequence[str], target: str | None, joined: bool) -> Documents:
    rows = read_table(path)
    if not rows:
        raise InvalidArgument("SRC", expected="a table with rows", found=f"{path}: none")
    numbers = all(name.isdigit() for name in (*columns, *([target] if target else ())))
    headless = numbers and bool(columns)
    header = [str(i + 1) for i in range(len(rows[0]))] if headless else [c.strip() for c in rows[0]]
    wanted = list(columns) or header[:1]
    if not columns and len(header) != 1:
        raise InvalidArgument(
            "--column", expected=f"one of {', '.join(header[:8])}", found="none",
            remedy="without a header, give numbers from 1",
        )  # fmt: skip
    places = [_place(header, name) for name in wanted]
    answer = None if target is None else _place(header, target, option="--target")
    body = rows if headless else rows[1:]
    taken: list[tuple[str, str, str | None]] = []
    problems: list[tuple[str, str]] = []
    targets: dict[str, str] = {}
    for number, row in enumerate(body[:_ROWS], 1):
        name = _row(number)
        if len(row) != len(header):  # a comma that no quote holds would cut its text
            problems.append((name, f"it has {len(row)} cells"))
            continue
        cells = [row[place] for place in places]
        if answer is not None:
            targets[name] = row[answer].strip()
        if joined and len(cells) == 2:
            taken.append((name, cells[0], cells[1]))
        else:
            names = [name] if len(cells) == 1 else [f"{name}/{tag}" for tag in wanted]
            taken += [(one, cell, None) for one, cell in zip(names, cells, strict=True)]
    made = _split(iter(taken))
    return Documents(items=made.items, problems=(*problems, *made.problems), targets=targets)


def row_name(name: str) -> str:
    """The row that a document of a table came from."""
    return name.split("/", 1)[0]


def _row(number: int) -> str:
    return f"row{number:07d}"


def _split(rows: Iterator[tuple[str, str, str | None]]) -> Documents:
    items, problems = [], []
    for name, text, pair in rows:
        if not text.strip() or (pair is not None and not pair.strip()):
            problems.append((name, "it is empty"))
        elif "\0" in text or "\0" in (pair or ""):
            problems.append((name, "it is binary"))
        else:
            items.append(Document(name=name, text=text.strip(), pair=pair and pair.strip()))
    return Documents(items=tuple(items), problems=tuple(problems))


def _lines(text: str) -> list[str]:
    # Not splitlines: a form feed or U+2028 within a line ends none.
    return [line.rstrip("\n") for line in io.StringIO(text, newline=None)]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InvalidArgument("text", expected="at most 256 MiB", found=str(path))
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidArgument(
            "text", expected="a file", found=f"{path}: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise InvalidArgument("text", expected="UTF-8", found=f"{path}: another encoding") from None


def _place(header: Sequence[str], name: str, *, option: str = "--column") -> int:
    if header.count(name) != 1:
        known = ", ".join(header[:8])
        raise InvalidArgument(option, expected=f"one of {known}", found=name)
    return header.index(name)


def _no_columns(columns: Sequence[str], target: str | None, path: Path) -> None:
    if columns or target is not None:
        raise InvalidArgument("--column", expected="a .csv or .tsv beside it", found=str(path))
