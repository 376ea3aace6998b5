import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from catch11.canvas.grid import psnr
from catch11.errors import InvalidArgument
from catch11.evaluation import metrics
from catch11.evaluation.interval import Interval, normal_quantile, paired_difference, wilson

torch.set_num_threads(1)


class Share(NamedTuple):
    hits: int
    n: int
    confidence: float


SHARES = [
    Share(hits, n, confidence)
    for n in (1, 7, 30, 1000)
    for hits in sorted({0, 1, n // 2, n})
    for confidence in (0.5, 0.95, 0.999)
]


@pytest.mark.parametrize("row", SHARES, ids=repr)
def test_wilson_is_scipys(row: Share) -> None:
    ours = wilson(row.hits, row.n, confidence=row.confidence)
    theirs = stats.binomtest(row.hits, row.n).proportion_ci(row.confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.estimate == row.hits / row.n


@pytest.mark.parametrize("row", SHARES, ids=repr)
def test_wilsons_ends_are_that_many_deviations_away(row: Share) -> None:
    ours, share = wilson(row.hits, row.n, confidence=row.confidence), row.hits / row.n
    for end in {ours.low, ours.high} - {0.0, 1.0}:
        away = normal_quantile(row.confidence) * math.sqrt(end * (1 - end) / row.n)
        assert abs(share - end) == pytest.approx(away, abs=1e-12)


def test_wilson_of_nothing_knows_nothing() -> None:
    empty = wilson(0, 0)
    assert (empty.low, empty.high) == (0.0, 1.0)
    assert math.isnan(empty.estimate)


@pytest.mark.parametrize("hits", [-1, 4])
def test_wilson_refuses(hits: int) -> None:
    with pytest.raises(InvalidArgument, match="hits: expected a number from 0 to n = 3"):
        wilson(hits, 3)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_paired_difference_is_antisymmetric(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there.low == pytest.approx(-back.high)
    assert -1.0 <= there.low <= there.estimate <= there.high <= 1.0


class Cells(NamedTuple):
    both: float
    first: float
    second: float


@pytest.mark.parametrize(
    "p", [Cells(0.8, 0.05, 0.05), Cells(0.6, 0.2, 0.05), Cells(0.0, 0.9, 0.0)], ids=repr
)
def test_paired_difference_covers(p: Cells) -> None:
    """Exact coverage by summing over every fourfold table of 14 pairs (Newcombe: near nominal)."""
    n, truth, covered = 14, p.first - p.second, 0.0
    rest = 1 - sum(p)
    for a in range(n + 1):
        for b in range(n + 1 - a):
            for c in range(n + 1 - a - b):
                d = n - a - b - c
                mass = stats.multinomial.pmf([a, b, c, d], n, [*p, rest])
                if mass < 1e-6:
                    continue
                first = [True] * (a + b) + [False] * (c + d)
                second = [True] * a + [False] * b + [True] * c + [False] * d
                interval = paired_difference(first, second)
                covered += mass * (interval.low <= truth <= interval.high)
    assert covered >= 0.93, covered


def test_paired_beats_unpaired_when_answers_agree() -> None:
    first = [True] * 80 + [False] * 20
    second = [True] * 78 + [False] * 22
    paired = paired_difference(first, second)
    one, two = wilson(80, 100), wilson(78, 100)
    assert paired.high - paired.low < 0.5 * (one.high - two.low)


def test_paired_difference_refuses_uneven() -> None:
    with pytest.raises(InvalidArgument, match="second: expected 2 hits"):
        paired_difference([True, False], [True])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_mcc_is_sklearns(pairs: list[tuple[int, int]]) -> None:
    answers, truth = zip(*pairs, strict=True)
    if len(set(answers)) == 1 or len(set(truth)) == 1:
        assert metrics.mcc(answers, truth) == 0.0
    else:
        assert metrics.mcc(answers, truth) == pytest.approx(matthews_corrcoef(truth, answers))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=4, max_size=40))
def test_correlations_are_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = (list(map(float, row)) for row in zip(*pairs, strict=True))
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(metrics.pearson(first, second).estimate)
        return
    linear = stats.pearsonr(first, second)
    ours = metrics.pearson(first, second)
    assert ours.estimate == pytest.approx(linear.statistic, abs=1e-12)
    if abs(ours.estimate) < 0.999:
        theirs = linear.confidence_interval(0.95)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    ranked = metrics.spearman(first, second)
    assert ranked.estimate == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)
    assert ranked.low <= ranked.estimate <= ranked.high


def test_a_constant_row_has_no_correlation() -> None:
    """0.1 is no binary fraction: the mean of seven of them is not quite 0.1."""
    for measure in (metrics.pearson, metrics.spearman):
        found = measure([0.1] * 7, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
        assert math.isnan(found.estimate)
        assert (found.low, found.high) == (-1.0, 1.0)


def test_psnr_closed_form() -> None:
    clean = torch.full((2, 3, 8, 8), 0.5)
    noisy = clean.clone()
    noisy[0] += 0.1
    assert psnr(clean, noisy).tolist() == pytest.approx([20.0, math.inf], abs=1e-5)


def _slow_ssim(first: np.ndarray, second: np.ndarray) -> float:
    place = np.arange(11) - 5.0
    row = np.exp(-(place**2) / 4.5)
    weight = np.outer(row, row) / row.sum() ** 2
    values = []
    for i in range(first.shape[0] - 10):
        for j in range(first.shape[1] - 10):
            a, b = first[i : i + 11, j : j + 11], second[i : i + 11, j : j + 11]
            ma, mb = (weight * a).sum(), (weight * b).sum()
            va, vb = (weight * (a - ma) ** 2).sum(), (weight * (b - mb) ** 2).sum()
            cov = (weight * (a - ma) * (b - mb)).sum()
            top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
            values.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return float(np.mean(values))


def test_ssim_is_the_slow_one() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(2, 1, 16, 15, generator=generator)
    second = (first + 0.2 * torch.randn(2, 1, 16, 15, generator=generator)).clamp(0, 1)
    slow = [
        _slow_ssim(a[0].double().numpy(), b[0].double().numpy())
        for a, b in zip(first, second, strict=True)
    ]
    assert metrics.ssim(first, second).tolist() == pytest.approx(slow, abs=1e-9)
    assert metrics.ssim(first, first).tolist() == pytest.approx([1.0, 1.0])


def test_pictures_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="image: expected the reference's shape"):
        metrics.ssim(torch.zeros(1, 3, 12, 12), torch.zeros(1, 3, 12, 13))
    with pytest.raises(InvalidArgument, match="image: expected at least 11x11"):
        metrics.ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_matches_refuses_other_lengths() -> None:
    with pytest.raises(InvalidArgument, match="answers: expected shape"):
        metrics.matches(torch.zeros(2), torch.zeros(3))
    assert metrics.matches(torch.tensor([1, 2]), torch.tensor([1, 3])) == (True, False)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, math.nan])
def test_quantile_refuses(confidence: float) -> None:
    with pytest.raises(InvalidArgument, match="confidence"):
        normal_quantile(confidence)


def test_interval_is_ordered() -> None:
    with pytest.raises(InvalidArgument, match="low <= estimate <= high"):
        Interval(low=1.0, estimate=0.0, high=2.0)
    assert -Interval(low=1.0, estimate=2.0, high=4.0) == Interval(
        low=-4.0, estimate=-2.0, high=-1.0
    )


def test_bootstrap_covers_its_estimate_and_repeats() -> None:
    first, second = [0, 1, 1, 0, 1, 0], [0, 1, 0, 0, 1, 1]
    runs = [
        metrics.bootstrap(
            metrics.mcc, first, second, generator=torch.Generator().manual_seed(3), resamples=200
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0].low <= metrics.mcc(first, second) <= runs[0].high


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
)
def test_auc_is_sklearns(positive: list[int], negative: list[int]) -> None:
    truth = [1] * len(positive) + [0] * len(negative)
    found = metrics.auc(positive, negative)
    assert found.estimate == pytest.approx(roc_auc_score(truth, positive + negative))
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_auc_covers() -> None:
    """Two normals a deviation apart: the probability is Φ(1/√2)."""
    truth, covered = stats.norm.cdf(2**-0.5), 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = metrics.auc(rng.normal(1, 1, 40), rng.normal(0, 1, 50))
        covered += found.low <= truth <= found.high
    assert covered >= 275
    with pytest.raises(InvalidArgument, match="scores: expected two rows"):
        metrics.auc([], [1.0])
