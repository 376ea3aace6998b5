"""Classes of two models, matched by their names."""

from typing import NamedTuple

import pytest

from catch11.evaluation.classes import same_classes


class Case(NamedTuple):
    own: tuple[str, ...]
    theirs: tuple[str, ...]
    found: tuple[int, ...] | None


@pytest.mark.parametrize(
    "case",
    [
        Case(("cat", "dog"), ("cat", "dog"), (0, 1)),
        Case(("cat", "dog", "owl"), ("owl", "cat", "dog"), (1, 2, 0)),
        Case(("Cat", "barn_owl"), ("BARN OWL", "cat"), (1, 0)),
        Case(("caf\u00e9", "bar"), ("bar", "CAFE\u0301"), (1, 0)),
        Case(("tench, Tinca tinca", "cock"), ("cock", "tench"), (1, 0)),
        Case(("crane", "crane"), ("crane", "crane"), (0, 1)),
        Case(("crane", "crane", "owl"), ("owl", "crane", "crane"), None),
        Case((*"abc", "crane", "crane"), (*"abc", "crane bird", "crane"), (0, 1, 2, 3, 4)),
        Case((*"abc", "crane bird", "crane"), (*"abc", "crane", "crane"), (0, 1, 2, 3, 4)),
        Case((*"abc", "crane", "crane"), (*"acb", "crane bird", "crane"), None),
        Case((*"ab", *["crane"] * 3), (*"ab", "dog", "cat", "crane"), None),
        Case(("cat", "dog"), ("0", "1"), (0, 1)),
        Case(("LABEL_0", "LABEL_1"), ("cat", "dog"), (0, 1)),
        Case(("1", "0"), ("0", "1"), (1, 0)),
        Case(("cat", "dog"), ("cat", "wolf"), None),
        Case(("cat", "dog"), ("cat", "dog", "owl"), None),
        Case(("rating",), ("score",), (0,)),
        Case((), (), ()),
    ],
    ids=repr,
)
def test_names_decide(case: Case) -> None:
    assert same_classes(case.own, case.theirs) == case.found
