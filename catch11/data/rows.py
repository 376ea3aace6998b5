"""Rows of a CSV from outside."""

import csv
import io


def csv_rows(text: str, *, separator: str = ",", longest: int = 1 << 17) -> list[tuple[str, ...]]:
    """All rows but blank ones; longest: characters of a cell. Raises ValueError, one clause."""
    # Python's own reader, and strict: past a quote that is never closed pyarrow's takes all further
    # rows for a part of that cell, without a word, and what it writes it quotes.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[str, ...]] = []
    old = csv.field_size_limit(longest)
    try:
        rows.extend(tuple(row) for row in reader if row)
    except csv.Error as error:
        raise ValueError(f"row {len(rows) + 1} is no row of a CSV ({error})") from None
    finally:
        csv.field_size_limit(old)
    return rows
