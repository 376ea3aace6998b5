"""MMBench: its TSV, hostile rows, letters out of answers, scores."""

import base64
import csv
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catch11.errors import InvalidArgument, LabelsRefused
from catch11.evaluation.interval import wilson
from catch11.studies.nets.tiny_vlm import write_bench
from catch11.studies.tasks.mmbench import (
    ABILITIES,
    Question,
    Reply,
    chance,
    file_name,
    find_letter,
    read_mmbench,
    run_mmbench,
    scores,
    write_pictures,
)

COLUMNS = (
    "index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "l2-category",
    "split",
)  # fmt: skip


def picture(seed: int = 0) -> str:
    values = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    data = BytesIO()
    Image.fromarray(values).save(data, format="PNG")
    return base64.b64encode(data.getvalue()).decode()


def row(index: object, /, **changed: object) -> dict[str, str]:
    held = {
        "index": index, "question": "Which?", "hint": "nan", "A": "red", "B": "green", "C": "blue",
        "D": "nan", "answer": "B", "category": "colour", "image": picture(),
        "l2-category": "attribute_reasoning", "split": "dev",
    }  # fmt: skip
    return {name: str(value) for name, value in (held | changed).items()}


def write(path: Path, rows: Sequence[dict[str, str]], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, delimiter="\t", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    return path


def test_a_row_is_read_as_it_stands(tmp_path: Path) -> None:
    hinted = row(7, hint="A table.\nTwo lines.", D="grey")
    bench = read_mmbench(write(tmp_path / "b.tsv", [row(3), hinted]))
    first, second = bench.questions
    assert first.options == {"A": "red", "B": "green", "C": "blue"}
    assert (first.answer, first.ability, first.hint) == ("B", "AR", "")
    assert first.prompt == (
        "Question: Which?\nOptions:\nA. red\nB. green\nC. blue\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert second.prompt.startswith("Hint: A table.\nTwo lines.\nQuestion: Which?\n")
    assert bench.picture(first).size == (7, 9)


def test_a_picture_may_stand_in_another_row(tmp_path: Path) -> None:
    bench = read_mmbench(write(tmp_path / "b.tsv", [row(1), row(2, image=1), row(3, image=9)]))
    assert [q.index for q in bench.questions] == ["1", "2"]
    assert (
        bench.picture(bench.questions[1]).tobytes() == bench.picture(bench.questions[0]).tobytes()
    )
    assert bench.problems == (("3", "it has no picture"),)


class Bad(NamedTuple):
    changed: dict[str, Any]
    reason: str


BAD = (
    Bad({"image": "not base64!" * 20}, "its picture is no base64"),
    Bad({"image": base64.b64encode(b"no picture at all " * 9).decode()}, "its picture cannot be read"),
    Bad({"image": base64.b64encode(base64.b64decode(picture())[:80]).decode()}, "its picture cannot be read"),
    Bad({"image": ""}, "it has no picture"),
    Bad({"A": "", "C": "nan"}, "it has 1 options"),
    Bad({"answer": "D"}, "its answer is 'D', which is none of its options"),
    Bad({"answer": ""}, "its answer is ''"),
    Bad({"answer": "green"}, "none of its options"),
    Bad({"question": "nan"}, "it asks nothing"),
    Bad({"index": ""}, "it has no index"),
    Bad({"index": "0"}, "its index stands there a second time"),
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.reason)
def test_a_row_that_cannot_be_used_is_left_out_with_its_reason(bad: Bad, tmp_path: Path) -> None:
    bench = read_mmbench(write(tmp_path / "b.tsv", [row(0), row(1, **bad.changed), row(2)]))
    assert [question.index for question in bench.questions] == ["0", "2"]
    ((_, reason),) = bench.problems
    assert bad.reason in reason


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no column index, question"),
        (b"\xff\xfe\x00", "no TSV in UTF-8"),
        (b"file,label\na,1\n", "no column index"),
        ("\t".join(COLUMNS).encode(), "no question in it can be used, first: it holds no rows"),
    ],
)
def test_a_file_that_is_no_bench_is_one_sentence(data: bytes, match: str, tmp_path: Path) -> None:
    path = tmp_path / "b.tsv"
    path.write_bytes(data)
    with pytest.raises(LabelsRefused, match=match):
        read_mmbench(path)
    with pytest.raises(LabelsRefused, match="cannot be read"):
        read_mmbench(tmp_path / "absent.tsv")


def test_nothing_usable_says_why(tmp_path: Path) -> None:
    with pytest.raises(LabelsRefused, match="first: it has no picture"):
        read_mmbench(write(tmp_path / "b.tsv", [row(1, image="")]))
    with pytest.raises(LabelsRefused, match="it holds no rows"):
        read_mmbench(write(tmp_path / "b.tsv", []))


OPTIONS = {"A": "red", "B": "green", "C": "blue", "D": "dark green"}


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"), (" b ", "B"), ("B.", "B"), ("(C)", "C"), ("C)", "C"), ("D. dark green", "D"),
        ("The answer is A", "A"), ("the correct answer: (B)", "B"), ("Answer is C.", "C"),
        ("Option D fits", "D"), ("It is blue", "C"), ("RED it is", "A"), ("A\nbecause", "A"),
        ("B: green", "B"),
        ("green or blue", ""), ("A) or B)", ""), ("", ""), ("E", ""), ("I do not know", ""),
        ("A picture of a dog", ""), ("�\x18", ""),
    ],
)  # fmt: skip
def test_a_letter_is_found_or_nothing_is(text: str, letter: str) -> None:
    assert find_letter(text, OPTIONS) == letter


def test_a_letter_that_is_no_option_is_none() -> None:
    assert find_letter("C", {"A": "red", "B": "green"}) == ""


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_an_option_or_nothing(text: str) -> None:
    assert find_letter(text, OPTIONS) in ("", *OPTIONS)


def question(index: int, ability: str, options: int = 4) -> Question:
    held = dict(list(OPTIONS.items())[:options])
    return Question(
        index=str(index), question="Which?", hint="", options=held, answer="A",
        ability=ability, image=str(index),
    )  # fmt: skip


def test_scores_are_shares_by_ability_with_wilsons_interval() -> None:
    asked = [question(i, ("AR", "CP", "LR")[i % 3]) for i in range(9)]
    replies = run_mmbench(asked, lambda one: "A" if one.ability != "CP" else "B")
    found = scores(replies)
    assert list(found) == ["Overall", "AR", "CP", "LR"]
    assert {name: value.estimate for name, (value, _) in found.items()} == {
        "Overall": pytest.approx(6 / 9), "AR": 1.0, "CP": 0.0, "LR": 1.0,
    }  # fmt: skip
    assert found["Overall"] == (wilson(6, 9), 9)
    assert scores([Reply(question=asked[0], text="hm", letter="")])["Overall"][0].estimate == 0.0
    with pytest.raises(InvalidArgument, match="at least one"):
        scores([])


def test_chance_counts_each_questions_options() -> None:
    assert chance([question(0, "AR", 4), question(1, "AR", 2)]) == pytest.approx(0.375)
    assert np.isnan(chance([]))


def test_every_question_is_asked_once_in_order() -> None:
    asked = [question(i, "AR") for i in range(5)]
    seen: list[str] = []

    def say(one: Question) -> str:
        seen.append(one.index)
        return "A"

    run_mmbench(asked, say)
    assert seen == list("01234")


def test_generated_questions_cover_the_abilities(tmp_path: Path) -> None:
    bench = read_mmbench(write_bench(tmp_path / "tiny.tsv", count=12))
    assert {q.ability for q in bench.questions} == set(ABILITIES.values())
    folder = write_pictures(bench, tmp_path / "pictures")
    assert len(list(folder.iterdir())) == 12
    first = bench.questions[0]
    with Image.open(folder / f"{file_name(first)}.png") as image:
        assert image.tobytes() == bench.picture(first).tobytes()


def test_names_of_files_hold_no_paths() -> None:
    assert file_name(question(0, "AR")) == "0"
    held = Question(
        index="../../x y", question="", hint="", options={}, answer="", ability="",
        image="",
    )  # fmt: skip
    assert file_name(held) == "_.._x_y"
