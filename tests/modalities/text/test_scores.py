"""Scores of texts against slow and obvious ones."""

from pathlib import Path

import pytest
import torch

from catch11.errors import InvalidArgument
from catch11.evaluation.metrics import spearman
from catch11.evaluation.roles import role_of
from catch11.modalities.text.corpus import Corpus
from catch11.modalities.text.file import load_text
from catch11.modalities.text.scores import drop, fed_answers, read_back, scores
from tests.text_world import save_text_model


def corpus(truth: list[float] | None = None) -> Corpus:
    return Corpus(texts=[("a", None)] * 10, pairs=torch.arange(10).reshape(-1, 2), truth=truth)


def test_pairs_are_scored_by_their_cosines() -> None:
    answers = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    truth = [1.0, 3.0, 2.0, 5.0, 4.0]
    near = [float(torch.cosine_similarity(answers[i], answers[i + 1], 0)) for i in range(0, 10, 2)]
    (found,) = scores(corpus(truth), answers, None, classes=0)
    assert (found.metric, found.n) == ("spearman", 5)
    assert found.value.estimate == pytest.approx(spearman(near, truth).estimate)
    assert drop(corpus(truth), answers, answers, classes=0).estimate == 0.0


def test_without_truth_the_own_clean_answer_is_it() -> None:
    answers = torch.eye(10)
    (found,) = scores(Corpus(texts=[("a", None)] * 10), answers, answers, classes=0)
    assert (found.metric, found.value.estimate) == ("cosine", 1.0)
    (same,) = scores(Corpus(texts=[("a", None)] * 10), answers, answers, classes=10)
    assert (same.metric, same.value.estimate) == ("agreement", 1.0)
    assert scores(Corpus(texts=[]), answers, None, classes=10) == []


@pytest.mark.parametrize("classes", [0, 1, 3])
def test_a_drop_is_what_is_lost(classes: int) -> None:
    generator = torch.Generator().manual_seed(1)
    clean = torch.randn(10, max(classes, 4) if classes != 1 else 1, generator=generator)
    other = torch.randn(clean.shape, generator=generator)
    rows = Corpus(texts=[("a", None)] * 10)
    assert drop(rows, clean, clean, classes=classes).estimate == pytest.approx(0.0, abs=1e-6)
    assert drop(rows, clean, other, classes=classes).estimate > 0.1


def test_a_head_of_one_output_is_a_score() -> None:
    answers = torch.arange(10.0)[:, None]
    truth = list(map(float, range(10)))
    (found,) = scores(Corpus(texts=[("a", None)] * 10, truth=truth), answers, None, classes=1)
    assert (found.metric, found.value.estimate) == ("spearman", 1.0)
    (near,) = scores(Corpus(texts=[("a", None)] * 10), answers + 0.2, answers, classes=1)
    assert (near.metric, near.value.estimate) == ("agreement", 0.0)


def test_roles_and_widths(tmp_path: Path) -> None:
    first = load_text(str(save_text_model(tmp_path / "a")))
    other = load_text(str(save_text_model(tmp_path / "b", seed=1)))
    wide = load_text(str(save_text_model(tmp_path / "c", width=64)))
    assert role_of(first, first) == "sibling"
    assert role_of(first, other) == "ta"
    assert role_of(first, wide) == "ga"
    rows = [first.embed(first.encode("a man"))]
    assert torch.allclose(fed_answers(first, rows, [None]), first.answers(rows))
    with pytest.raises(InvalidArgument, match="embeddings: expected 64 features for c, found 32"):
        fed_answers(wide, rows, [None])
    encoded = [first.encode("a man plays the guitar")]
    found = read_back(first, encoded, [first.embed(encoded[0])])
    share, words = found.value, found.n
    assert (share.estimate, words) == (1.0, 5)
