"""Spectra against numpy's SVD, rules against counting by hand, angles against closed forms."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from catch11.errors import EmptySubspace, InvalidArgument
from catch11.subspaces.rule import Rule, RuleKind, principal_angles, spectrum


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5), (1, 4), (200, 12)])
def test_spectrum_is_the_svd(shape: tuple[int, int]) -> None:
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    values, vectors = spectrum(matrix)
    rank, pixels = min(shape), shape[1]
    expected = np.zeros(pixels)
    expected[pixels - rank :] = np.linalg.svd(matrix.numpy(), compute_uv=False)[::-1]
    np.testing.assert_allclose(values.numpy(), expected, atol=1e-12)
    assert vectors.dtype == torch.float64
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(rank, dtype=torch.float64))
    torch.testing.assert_close((matrix @ vectors).norm(dim=0), values[pixels - rank :])


class Case(NamedTuple):
    kind: RuleKind
    value: float
    inside: int


VALUES = torch.tensor([0.0, 0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
CASES = [
    Case("tau", 0.0, 2),
    Case("tau", 1.0, 3),
    Case("tau", 2.9, 4),
    Case("cumulative", 1.0, 3),
    Case("cumulative", 2.9, 3),
    Case("cumulative", 3.0, 4),
    Case("energy", 0.0, 2),
    Case("energy", 1.0 / 14.0, 3),
    Case("energy", 0.36, 4),
    Case("rank", 1, 1),
    Case("rank", 5, 5),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_rule_counts(case: Case) -> None:
    assert Rule(kind=case.kind, value=case.value).count(VALUES) == case.inside


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.floats(0, 0.99))
def test_energy_is_the_longest_prefix(values: list[float], share: float) -> None:
    ordered = torch.tensor(sorted(values), dtype=torch.float64)
    try:
        count = Rule(kind="energy", value=share).count(ordered)
    except EmptySubspace:
        count = 0
    ordered = torch.where(ordered < 1e-6 * ordered[-1], 0.0, ordered)
    energy = ordered.square().cumsum(0)
    inside = (energy <= share * energy[-1]).sum()
    assert count == int(inside)


def test_weights_count_pairs() -> None:
    values = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    pairs = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
    assert Rule(kind="rank", value=3).count(values, weights=pairs) == 2
    assert Rule(kind="cumulative", value=1.5).count(values, weights=pairs) == 1


def test_empty_says_the_spectrum() -> None:
    with pytest.raises(EmptySubspace, match=r"smallest singular values are 1, 2.*largest is 2"):
        Rule(kind="tau", value=0.5).count(torch.tensor([1.0, 2.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("energy", 1.0), ("energy", -0.1), ("tau", -1.0), ("rank", 0), ("rank", 1.5), ("tau", float("nan"))],
)  # fmt: skip
def test_bad_rules(kind: RuleKind, value: float) -> None:
    with pytest.raises(InvalidArgument, match=kind):
        Rule(kind=kind, value=value)


def test_rank_beyond_the_window() -> None:
    with pytest.raises(InvalidArgument, match="at most 5 directions"):
        Rule(kind="rank", value=6).count(VALUES)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.3, 1.2, np.pi / 2])
def test_angle_of_a_rotation(angle: float) -> None:
    first = torch.eye(4, dtype=torch.float64)[:, :2]
    second = torch.zeros(4, 2, dtype=torch.float64)
    second[0, 0] = 1.0
    second[1, 1], second[2, 1] = np.cos(angle), np.sin(angle)
    angles = principal_angles(first, second)
    np.testing.assert_allclose(angles.numpy(), [0.0, angle], atol=1e-15, rtol=1e-9)
