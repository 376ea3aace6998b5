"""Similarity read without a model: slow forms, invariances, and rows that give it away."""

import pytest
import torch

from catch11.modalities.text.similarity import READINGS, moments, nearest, read_similarity, sums


def _rows(*counts: int) -> list[torch.Tensor]:
    return [torch.randn(n, 6) for n in counts]


def test_second_moments_and_nearest_rows_are_their_slow_forms() -> None:
    a, b = _rows(4, 7)
    squares, best = [], []
    for x in a:
        for y in b:
            squares.append(float(torch.cosine_similarity(x, y, dim=0)) ** 2)
    for mine, other in ((a, b), (b, a)):
        near = [max(float(torch.cosine_similarity(x, y, dim=0)) for y in other) for x in mine]
        best.append(sum(near) / len(near))
    assert float(moments(a, b)) == pytest.approx(sum(squares) / len(squares), rel=1e-5)
    assert float(nearest(a, b)) == pytest.approx(sum(best) / 2, rel=1e-5)


def test_sums_do_not_see_order_and_moments_do_not_see_signs() -> None:
    a, b = _rows(5, 5)
    turned = torch.randperm(5)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])[:, None]
    assert float(sums(a[turned], b)) == pytest.approx(float(sums(a, b)), abs=1e-6)
    assert float(moments(a * signs, b)) == pytest.approx(float(moments(a, b)), rel=1e-5)


@pytest.mark.parametrize("name", READINGS)
def test_what_shares_a_direction_is_found_alike(name: str) -> None:
    first, second, other = _rows(8, 9, 10)
    shared = 3.0 * torch.eye(6)[0]
    rows = [first + shared, second + shared, other]
    near = read_similarity(rows, torch.tensor([[0, 1], [0, 2]]))[name]
    assert near[0] > near[1]
    same = read_similarity([first, first, second], torch.tensor([[0, 1], [0, 2]]))[name]
    assert same[0] > same[1]
