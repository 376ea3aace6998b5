"""Measures of a picture, of a model's answers, and of how sure a number is: tensors and floats only."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from einops import reduce
from jaxtyping import Float, Shaped
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.grid import psnr as psnr  # one definition, shared with the recoders that search for it

Numbers = Sequence[float | int] | np.ndarray | Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """low ≤ estimate ≤ high, with the confidence and the assumptions it holds under."""

    low: float
    estimate: float
    high: float
    confidence: float = 0.95
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence <= 1.0:
            raise InvalidArgument(
                "confidence", expected="a number above 0 and at most 1", found=self.confidence
            )
        if not self.low <= self.estimate <= self.high and not math.isnan(self.estimate):
            found = (self.low, self.estimate, self.high)
            raise InvalidArgument("interval", expected="low <= estimate <= high", found=found)

    def __neg__(self) -> "Interval":
        return Interval(
            low=-self.high,
            estimate=-self.estimate,
            high=-self.low,
            confidence=self.confidence,
            assumptions=self.assumptions,
        )


def normal_quantile(confidence: float) -> float:
    """Two-sided standard normal quantile: 1.96 for a confidence of .95."""
    if not 0.0 < confidence < 1.0:
        raise InvalidArgument("confidence", expected="a number between 0 and 1", found=confidence)
    return NormalDist().inv_cdf(0.5 + confidence / 2)


# --- pictures ---------------------------------------------------------------------------------


def ssim(
    reference: Float[Tensor, "batch channel height width"],
    image: Float[Tensor, "_ _ _ _"],
    *,
    window: int = 11,
    sigma: float = 1.5,
) -> Float[Tensor, " batch"]:
    """Structural similarity of each picture, peak 1, at most 1; mean over channels and places.

    Wang et al. 2004, eq. 13: Gaussian window, K1 = .01, K2 = .03, borders left out.
    Raises InvalidArgument where the shapes differ or the picture is smaller than the window.
    """
    _same_shape(reference, image)
    if min(reference.shape[-2:]) < window:
        raise InvalidArgument(
            "image", expected=f"at least {window}x{window} pixels", found=tuple(image.shape[-2:])
        )
    first, second = reference.double(), image.double()

    def local(values: Tensor) -> Tensor:
        return _gaussian_mean(values, window=window, sigma=sigma)

    mean_1, mean_2 = local(first), local(second)
    variance_1 = local(first.square()) - mean_1.square()
    variance_2 = local(second.square()) - mean_2.square()
    covariance = local(first * second) - mean_1 * mean_2
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    structure = (2 * covariance + c2) / (variance_1 + variance_2 + c2)
    return reduce(luminance * structure, "batch channel height width -> batch", "mean")


def _gaussian_mean(values: Tensor, *, window: int, sigma: float) -> Tensor:
    place = torch.arange(window, dtype=values.dtype, device=values.device) - (window - 1) / 2
    weight = torch.exp(-place.square() / (2 * sigma**2))
    weight = weight / weight.sum()
    channels = values.shape[1]
    row = weight.expand(channels, 1, 1, window)
    column = row.transpose(2, 3)
    across = torch.nn.functional.conv2d(values, row, groups=channels)
    return torch.nn.functional.conv2d(across, column, groups=channels)


def _same_shape(reference: Tensor, image: Tensor) -> None:
    if reference.shape != image.shape:
        expected = f"the reference's shape {tuple(reference.shape)}"
        raise InvalidArgument("image", expected=expected, found=tuple(image.shape))


# --- answers ----------------------------------------------------------------------------------


def matches(answers: Shaped[Tensor, " batch"], truth: Shaped[Tensor, " _"]) -> tuple[bool, ...]:
    """Whether each answer is the wanted one: against labels it counts accuracy, against the
    authorized model's own clean answers it counts agreement."""
    if answers.shape != truth.shape or answers.ndim != 1:
        raise InvalidArgument(
            "answers", expected=f"shape {tuple(truth.shape)}", found=tuple(answers.shape)
        )
    return tuple(bool(hit) for hit in (answers == truth).tolist())


def accuracy(hits: Sequence[bool], *, confidence: float = 0.95) -> Interval:
    """Share of hits with Wilson's interval; the whole of [0, 1] and NaN where there are none."""
    return wilson(sum(map(bool, hits)), len(hits), confidence=confidence)


def mcc(answers: Numbers, truth: Numbers) -> float:
    """Matthews' correlation of any number of classes (Gorodkin 2004); 0 where it is undefined."""
    first, second = _pair(answers, truth, least=1)
    classes = np.unique(np.concatenate([first, second]))
    hits = float(np.sum(first == second)) * len(first)
    answered = np.array([np.sum(first == name) for name in classes], dtype=float)
    true = np.array([np.sum(second == name) for name in classes], dtype=float)
    spread = math.sqrt(len(first) ** 2 - answered @ answered) * math.sqrt(
        len(first) ** 2 - true @ true
    )
    return float((hits - answered @ true) / spread) if spread > 0 else 0.0


def f1(answers: Numbers, truth: Numbers, *, positive: float = 1.0) -> float:
    """F1 of one class; 0 where it is neither answered nor true."""
    first, second = _pair(answers, truth, least=1)
    hits = float(np.sum((first == positive) & (second == positive)))
    claimed = float(np.sum(first == positive) + np.sum(second == positive))
    return 2 * hits / claimed if claimed > 0 else 0.0


def pearson(first: Numbers, second: Numbers, *, confidence: float = 0.95) -> Interval:
    """Pearson's correlation with Fisher's interval (variance 1/(n−3)); NaN where one is constant."""
    a, b = _pair(first, second, least=4)
    return _fisher(_correlation(a, b), len(a), spread=1.0, confidence=confidence)


def spearman(first: Numbers, second: Numbers, *, confidence: float = 0.95) -> Interval:
    """Spearman's rank correlation, ties averaged; Fisher's interval with the variance
    (1 + r²/2)/(n−3) of Bonett & Wright 2000."""
    a, b = (_ranks(values) for values in _pair(first, second, least=4))
    value = _correlation(a, b)
    return _fisher(value, len(a), spread=1.0 + value**2 / 2, confidence=confidence)


def _pair(first: Numbers, second: Numbers, *, least: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < least:
        expected = f"two rows of one length, {least} or more numbers each"
        raise InvalidArgument("numbers", expected=expected, found=f"shapes {a.shape} and {b.shape}")
    return a, b


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return min(1.0, max(-1.0, float(a @ b) / size)) if size > 0 else math.nan


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def _fisher(value: float, n: int, *, spread: float, confidence: float) -> Interval:
    if math.isnan(value):
        return Interval(low=-1.0, estimate=value, high=1.0, confidence=confidence)
    if abs(value) == 1.0:
        return Interval(low=value, estimate=value, high=value, confidence=confidence)
    half = normal_quantile(confidence) * math.sqrt(spread / (n - 3))
    centre = math.atanh(value)
    low, high = math.tanh(centre - half), math.tanh(centre + half)
    return Interval(low=low, estimate=value, high=high, confidence=confidence)


# --- how sure ---------------------------------------------------------------------------------


def wilson(hits: int, n: int, *, confidence: float = 0.95) -> Interval:
    """A share hits/n with its score interval (Wilson 1927); [0, 1] and NaN where n is 0."""
    if not 0 <= hits <= n:
        raise InvalidArgument("hits", expected=f"a number from 0 to n = {n}", found=hits)
    if n == 0:
        return Interval(low=0.0, estimate=math.nan, high=1.0, confidence=confidence)
    z2 = normal_quantile(confidence) ** 2
    share = hits / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return Interval(low=low, estimate=share, high=high, confidence=confidence)


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], *, confidence: float = 0.95
) -> Interval:
    """Share of first minus share of second on the same inputs, with Newcombe's interval
    (1998, paired method 10: Wilson limits squared and added, with the continuity-corrected φ)."""
    a, b, c, d = _fourfold(first, second)
    n = a + b + c + d
    if n == 0:
        return Interval(low=-1.0, estimate=math.nan, high=1.0, confidence=confidence)
    one, two = wilson(a + b, n, confidence=confidence), wilson(a + c, n, confidence=confidence)
    phi = _newcombe_phi(a, b, c, d)
    gap = one.estimate - two.estimate

    def reach(d1: float, d2: float) -> float:
        return math.sqrt(max(0.0, d1 * d1 - 2 * phi * d1 * d2 + d2 * d2))

    low = gap - reach(one.estimate - one.low, two.high - two.estimate)
    high = gap + reach(one.high - one.estimate, two.estimate - two.low)
    return Interval(low=max(-1.0, low), estimate=gap, high=min(1.0, high), confidence=confidence)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided p-value that both shares are equal, from the discordant pairs alone."""
    _, b, c, _ = _fourfold(first, second)
    n = b + c
    tail = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    return min(1.0, 2 * tail)


def _fourfold(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int, int, int]:
    if len(first) != len(second):
        raise InvalidArgument(
            "second", expected=f"{len(first)} hits, one for each of first", found=len(second)
        )
    pairs = [(bool(x), bool(y)) for x, y in zip(first, second, strict=True)]
    cells = ((True, True), (True, False), (False, True), (False, False))
    a, b, c, d = (pairs.count(cell) for cell in cells)
    return a, b, c, d


def _newcombe_phi(a: int, b: int, c: int, d: int) -> float:
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product == 0:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        cross = max(0, cross - (a + b + c + d) / 2)  # type: ignore[assignment]
    return cross / math.sqrt(product)


def auc(positive: Numbers, negative: Numbers, *, confidence: float = 0.95) -> Interval:
    """Probability that a positive scores above a negative, ties counted half; the interval of
    Hanley & McNeil 1982, and Wilson's of the rarer kind where no pair is out of order."""
    above, below = (np.asarray(v, dtype=np.float64) for v in (positive, negative))
    if not (above.ndim == below.ndim == 1 and len(above) and len(below)):
        found = f"shapes {above.shape} and {below.shape}"
        raise InvalidArgument("scores", expected="two rows of numbers", found=found)
    ordered = np.sort(below)
    wins = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    value = float(wins.mean() / (2 * len(below)))
    least = min(len(above), len(below))
    if value in (0.0, 1.0):
        sure = wilson(round(value) * least, least, confidence=confidence)
        return Interval(low=sure.low, estimate=value, high=sure.high, confidence=confidence)
    one, other = value / (2 - value) - value**2, 2 * value**2 / (1 + value) - value**2
    spread = value * (1 - value) + (len(above) - 1) * one + (len(below) - 1) * other
    half = normal_quantile(confidence) * math.sqrt(spread / (len(above) * len(below)))
    low, high = max(0.0, value - half), min(1.0, value + half)
    return Interval(low=low, estimate=value, high=high, confidence=confidence)


def bootstrap(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    first: Numbers,
    second: Numbers,
    *,
    generator: torch.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of any statistic of pairs (for Matthews' correlation, which has no
    closed form worth trusting on small samples)."""
    a, b = _pair(first, second, least=1)
    draws = torch.randint(len(a), (resamples, len(a)), generator=generator).numpy()
    values = np.array([statistic(a[draw], b[draw]) for draw in draws])
    estimate = statistic(a, b)
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(
        low=min(float(low), estimate),
        estimate=estimate,
        high=max(float(high), estimate),
        confidence=confidence,
        assumptions=(f"percentile bootstrap, {resamples} resamples",),
    )
