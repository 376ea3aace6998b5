"""MMBench: questions with options about pictures, from its own TSV; letters out of answers; scores.

Options keep their order (no circular evaluation). Columns: index, question, hint, A to D, answer,
category, l2-category, image (base64, or the index of the row that holds it), split. The layout, the
question's form and the six abilities are those of the OpenCompass release (arXiv:2307.06281).
"""

import base64
import binascii
import csv
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from PIL import Image

from catch11.data.pictures import decode_picture, quiet
from catch11.errors import InvalidArgument, LabelsRefused, UnreadablePicture
from catch11.evaluation.interval import Interval, wilson

LETTERS = ("A", "B", "C", "D")
NEEDED = ("index", "question", "A", "B", "answer", "l2-category", "image")
# The short names of the paper's tables, by the TSV's l2-category.
ABILITIES: Mapping[str, str] = {
    "attribute_reasoning": "AR",
    "coarse_perception": "CP",
    "finegrained_perception (cross-instance)": "FP-C",
    "finegrained_perception (instance-level)": "FP-S",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
}
OVERALL = "Overall"
_LARGEST = 1 << 26  # characters of one cell: 48 MiB of picture
_SHARED = 64  # an image cell this short is the index of another row, not a picture
_EMPTY = ("", "nan", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One row. options: text by letter, in their order; answer: one of their letters; ability: a
    short name of `ABILITIES`, or the row's own word where that is another; image: the row that
    holds the picture."""

    index: str
    question: str
    hint: str
    options: Mapping[str, str]
    answer: str
    ability: str
    image: str

    @property
    def prompt(self) -> str:
        """The question as a model is asked it."""
        hint = f"Hint: {self.hint}\n" if self.hint else ""
        options = "".join(f"{letter}. {text}\n" for letter, text in self.options.items())
        return (
            f"{hint}Question: {self.question}\nOptions:\n{options}"
            "Answer with the option's letter from the given choices directly."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The usable questions of a file, their pictures' bytes by row, and (row, reason) of the rest."""

    questions: tuple[Question, ...]
    pictures: Mapping[str, bytes]
    problems: tuple[tuple[str, str], ...] = ()

    def picture(self, question: Question) -> Image.Image:
        """The picture a question is about. It was decoded once, when the file was read."""
        return decode_picture(self.pictures[question.image])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was said to a question: the text, the letter found in it ("" where none), whether right."""

    question: Question
    text: str
    letter: str

    @property
    def right(self) -> bool:
        return self.letter == self.question.answer


def read_mmbench(path: str | os.PathLike[str]) -> Bench:
    """The questions of a TSV; a row that cannot be used is left out, with its reason.

    Raises LabelsRefused where the file is no such TSV or holds no usable row.
    """
    path = Path(path)
    rows = list(_rows(path))
    cells = {row["index"]: row["image"] for row in rows}
    questions: list[Question] = []
    pictures: dict[str, bytes] = {}
    problems: list[tuple[str, str]] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        name = row["index"] or f"row {number}"
        try:
            question = _question(row, seen)
            if question.image not in pictures:
                pictures[question.image] = _picture(cells.get(question.image, ""))
        except ValueError as error:
            problems.append((name, str(error)))
            continue
        seen.add(question.index)
        questions.append(question)
    if not questions:
        reason = problems[0][1] if problems else "it holds no rows"
        raise LabelsRefused(path, f"no question in it can be used, first: {reason}")
    return Bench(questions=tuple(questions), pictures=pictures, problems=tuple(problems))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LabelsRefused(path, f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise LabelsRefused(path, "it is no TSV in UTF-8") from None
    before = csv.field_size_limit(min(_LARGEST, sys.maxsize))
    try:
        table = csv.DictReader(StringIO(text, newline=""), delimiter="\t")
        missing = [name for name in NEEDED if name not in (table.fieldnames or ())]
        if missing:
            raise LabelsRefused(path, f"it has no column {', '.join(missing)}")
        for row in table:
            yield {name: (value or "").strip() for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise LabelsRefused(path, f"it is no TSV ({error})") from None
    finally:
        csv.field_size_limit(before)


def _question(row: Mapping[str, str], seen: set[str]) -> Question:
    """Raises ValueError with the reason why a row cannot be used."""
    if not row["index"]:
        raise ValueError("it has no index")
    if row["index"] in seen:
        raise ValueError("its index stands there a second time")
    if _blank(row["question"]):
        raise ValueError("it asks nothing")
    options = {x: row[x] for x in LETTERS if not _blank(row.get(x, ""))}
    if len(options) < 2:
        raise ValueError(f"it has {len(options)} options, and two are needed")
    answer = row["answer"].upper()
    if answer not in options:
        raise ValueError(f"its answer is {row['answer'][:20]!r}, which is none of its options")
    ability = row["l2-category"]
    return Question(
        index=row["index"],
        question=row["question"],
        hint="" if _blank(row.get("hint", "")) else row["hint"],
        options=options,
        answer=answer,
        ability=ABILITIES.get(ability.casefold(), ability or "none"),
        image=row["image"] if 0 < len(row["image"]) <= _SHARED else row["index"],
    )


def _blank(cell: str) -> bool:
    return cell.strip().casefold() in _EMPTY


def _picture(cell: str) -> bytes:
    if not cell:
        raise ValueError("it has no picture")
    if len(cell) <= _SHARED:
        raise ValueError("its picture is that of a row which has none")
    try:
        data = base64.b64decode(cell, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its picture is no base64") from None
    try:
        with quiet():
            decode_picture(data)
    except UnreadablePicture as error:
        raise ValueError(f"its picture cannot be read: {error.reason}") from None
    return data


def write_pictures(bench: Bench, folder: str | os.PathLike[str]) -> Path:
    """Each question's picture as FOLDER/INDEX.png, as an owner has pictures; returns the folder.

    One file a question, though questions may share a picture: the same picture is written alike.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for question in bench.questions:
        bench.picture(question).save(folder / f"{file_name(question)}.png")
    return folder


def file_name(question: Question) -> str:
    """A file name of a question's index."""
    return re.sub(r"[^\w.-]", "_", question.index).lstrip(".") or "_"


def find_letter(text: str, options: Mapping[str, str]) -> str:
    """The option a model chose, "" where that cannot be told.

    First a letter: alone, in brackets, before a stop or after "answer is"; one only. Then an option's
    own text, if it alone occurs.
    """
    plain = text.strip()
    if plain.upper().rstrip(".):") in options:
        return plain.upper().rstrip(".):")
    known = "".join(options)
    named = re.search(
        rf"\b(?:answer|option|choice)\b[^A-Za-z]*(?:is\b)?\W*([{known}])\b", plain, re.I
    )
    if named:
        return named.group(1).upper()
    # A bare A or I may be a word; with a bracket, a stop or at the very start it is a choice.
    marked = {
        *re.findall(rf"\(([{known}])\)", plain),
        *re.findall(rf"\b([{known}])[.):](?!\w)", plain),
    }
    start = re.match(rf"([{known}])(?=[\s.,):])(?![ \t]+[a-z])", plain)
    marked |= {start.group(1)} if start else set()
    if len(marked) == 1:
        return marked.pop()
    if marked:
        return ""
    held = [x for x, words in options.items() if words.casefold() in plain.casefold()]
    return held[0] if len(held) == 1 else ""


def run_mmbench(questions: Sequence[Question], say: Callable[[Question], str]) -> tuple[Reply, ...]:
    """Ask every question once, its options in their order. say: a question to a model's text."""
    replies = []
    for question in questions:
        text = say(question)
        letter = find_letter(text, question.options)
        replies.append(Reply(question=question, text=text, letter=letter))
    return tuple(replies)


def scores(replies: Sequence[Reply]) -> dict[str, tuple[Interval, int]]:
    """Accuracy with Wilson's interval and n, Overall and by ability; no letter counts as wrong.

    Raises InvalidArgument where there is no reply.
    """
    if not replies:
        raise InvalidArgument("replies", expected="at least one", found="none")
    groups: dict[str, list[bool]] = {OVERALL: []}
    known = list(ABILITIES.values())
    for ability in [*known, *sorted({r.question.ability for r in replies} - set(known))]:
        groups[ability] = [r.right for r in replies if r.question.ability == ability]
    groups[OVERALL] = [reply.right for reply in replies]
    return {
        name: (wilson(sum(hits), len(hits)), len(hits)) for name, hits in groups.items() if hits
    }


def chance(questions: Sequence[Question]) -> float:
    """Expected accuracy of guessing evenly among each question's options."""
    if not questions:
        return math.nan
    return sum(1 / len(question.options) for question in questions) / len(questions)
