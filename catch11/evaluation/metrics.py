"""Measures of a picture and of a model's answers, with their intervals: tensors and floats only."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from einops import reduce
from jaxtyping import Float, Shaped
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval, normal_quantile, wilson

Numbers = Sequence[float | int] | np.ndarray | Tensor
_SURE = 0.95  # the confidence of every interval here


def ssim(
    reference: Float[Tensor, "batch channel height width"], image: Float[Tensor, "_ _ _ _"]
) -> Float[Tensor, " batch"]:
    """Structural similarity of each picture, peak 1, at most 1; mean over channels and places.

    Wang et al. 2004, eq. 13: Gaussian window of 11 pixels and deviation 1.5, K1 = .01, K2 = .03,
    borders left out. Raises InvalidArgument where the shapes differ or the picture is smaller than
    the window.
    """
    from scipy.ndimage import gaussian_filter

    _same_shape(reference, image)
    if min(reference.shape[-2:]) < 11:
        raise InvalidArgument(
            "image", expected="at least 11x11 pixels", found=tuple(image.shape[-2:])
        )
    first, second = reference.detach().double().cpu(), image.detach().double().cpu()

    def local(values: Tensor) -> Tensor:
        # kornia's ssim takes 3 to 5 times as long in float64 and is 2e-5 off in float32.
        mean = gaussian_filter(values.numpy(), 1.5, radius=5, axes=(2, 3))
        return torch.from_numpy(mean[:, :, 5:-5, 5:-5])

    mean_1, mean_2 = local(first), local(second)
    variance_1 = local(first.square()) - mean_1.square()
    variance_2 = local(second.square()) - mean_2.square()
    covariance = local(first * second) - mean_1 * mean_2
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    structure = (2 * covariance + c2) / (variance_1 + variance_2 + c2)
    return reduce(luminance * structure, "batch channel height width -> batch", "mean")


def _same_shape(reference: Tensor, image: Tensor) -> None:
    if reference.shape != image.shape:
        expected = f"the reference's shape {tuple(reference.shape)}"
        raise InvalidArgument("image", expected=expected, found=tuple(image.shape))


def matches(answers: Shaped[Tensor, " batch"], truth: Shaped[Tensor, " _"]) -> tuple[bool, ...]:
    """Whether each answer is the wanted one: against labels it counts accuracy, against the
    authorized model's own clean answers it counts agreement."""
    if answers.shape != truth.shape or answers.ndim != 1:
        raise InvalidArgument(
            "answers", expected=f"shape {tuple(truth.shape)}", found=tuple(answers.shape)
        )
    return tuple(bool(hit) for hit in (answers == truth).tolist())


def accuracy(hits: Sequence[bool]) -> Interval:
    """Share of hits with Wilson's interval; the whole of [0, 1] and NaN where there are none."""
    return wilson(sum(map(bool, hits)), len(hits))


# scikit-learn's `matthews_corrcoef` and `f1_score` give the same numbers in 60 and 120 times as long,
# and a bootstrap asks a thousand times.
def mcc(answers: Numbers, truth: Numbers) -> float:
    """Matthews' correlation of any number of classes (Gorodkin 2004); 0 where it is undefined."""
    first, second = _rows(answers, truth, least=1)
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
    first, second = _rows(answers, truth, least=1)
    hits = float(np.sum((first == positive) & (second == positive)))
    claimed = float(np.sum(first == positive) + np.sum(second == positive))
    return 2 * hits / claimed if claimed > 0 else 0.0


def pearson(first: Numbers, second: Numbers) -> Interval:
    """Pearson's correlation with Fisher's interval (variance 1/(n−3)); NaN where one is constant."""
    a, b = _rows(first, second, least=4)
    return _fisher(_correlation("pearsonr", a, b), len(a), spread=1.0)


def spearman(first: Numbers, second: Numbers) -> Interval:
    """Spearman's rank correlation, ties averaged; Fisher's interval with the variance
    (1 + r²/2)/(n−3) of Bonett & Wright 2000."""
    a, b = _rows(first, second, least=4)
    value = _correlation("spearmanr", a, b)
    return _fisher(value, len(a), spread=1.0 + value**2 / 2)


def _rows(*rows: Numbers, least: int) -> list[np.ndarray]:
    held = [np.asarray(row, dtype=np.float64) for row in rows]
    if held[0].ndim != 1 or len({row.shape for row in held}) > 1 or len(held[0]) < least:
        expected = f"rows of one length, {least} or more numbers each"
        found = f"shapes {' and '.join(str(row.shape) for row in held)}"
        raise InvalidArgument("numbers", expected=expected, found=found)
    return held


def _correlation(kind: str, a: np.ndarray, b: np.ndarray) -> float:
    """scipy's pearsonr or spearmanr; NaN where one row is constant."""
    from scipy import stats

    if not min(np.ptp(a), np.ptp(b)) > 0:
        return math.nan
    return round(
        float(getattr(stats, kind)(a, b).statistic), 14
    )  # of the same order 1, no bit less


def _fisher(value: float, n: int, *, spread: float) -> Interval:
    if math.isnan(value):
        return Interval(low=-1.0, estimate=value, high=1.0)
    if abs(value) == 1.0:
        return Interval(low=value, estimate=value, high=value)
    half = normal_quantile(_SURE) * math.sqrt(spread / (n - 3))
    centre = math.atanh(value)
    low, high = math.tanh(centre - half), math.tanh(centre + half)
    return Interval(low=low, estimate=value, high=high)


def auc(positive: Numbers, negative: Numbers) -> Interval:
    """Probability that a positive scores above a negative, ties counted half; the interval of
    Hanley & McNeil 1982, and Wilson's of the rarer kind where no pair is out of order."""
    from scipy.stats import mannwhitneyu

    above, below = (np.asarray(v, dtype=np.float64) for v in (positive, negative))
    if not (above.ndim == below.ndim == 1 and len(above) and len(below)):
        found = f"shapes {above.shape} and {below.shape}"
        raise InvalidArgument("scores", expected="two rows of numbers", found=found)
    wins = float(mannwhitneyu(above, below, method="asymptotic").statistic)
    value = wins / (len(above) * len(below))
    least = min(len(above), len(below))
    if value in (0.0, 1.0):
        sure = wilson(round(value) * least, least)
        return Interval(low=sure.low, estimate=value, high=sure.high)
    one, other = value / (2 - value) - value**2, 2 * value**2 / (1 + value) - value**2
    spread = value * (1 - value) + (len(above) - 1) * one + (len(below) - 1) * other
    half = normal_quantile(_SURE) * math.sqrt(spread / (len(above) * len(below)))
    low, high = max(0.0, value - half), min(1.0, value + half)
    return Interval(low=low, estimate=value, high=high)


def balanced(scores: Numbers, truth: Sequence[bool]) -> Interval:
    """Balanced accuracy of calling as many items yes as are: the mean of the shares of yes and of no
    that are found, .5 by chance however rare one is. Wilson's ends of both, squared and added."""
    rows, yes = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    if rows.shape != yes.shape or rows.ndim != 1 or not 0 < yes.sum() < len(yes):
        found = f"shapes {rows.shape} and {yes.shape}, {int(yes.sum())} of them yes"
        raise InvalidArgument("scores", expected="a score an item, and both answers", found=found)
    called = np.zeros(len(yes), dtype=bool)
    called[np.argsort(-rows, kind="stable")[: int(yes.sum())]] = True
    return balanced_accuracy([called[yes].tolist(), (~called[~yes]).tolist()])


def balanced_accuracy(hits: Sequence[Sequence[bool]]) -> Interval:
    """The mean of the classes' shares of hits; Wilson's ends of each, squared and added."""
    shares = [wilson(sum(hit), len(hit)) for hit in hits]
    value = sum(share.estimate for share in shares) / len(shares)
    below = math.hypot(*(share.estimate - share.low for share in shares)) / len(shares)
    above = math.hypot(*(share.high - share.estimate for share in shares)) / len(shares)
    return Interval(low=value - below, estimate=value, high=value + above)


# scipy's `bootstrap` refuses a single item and has no ends where one draw has no value.
def bootstrap(
    statistic: Callable[..., float],
    *rows: Numbers,
    generator: torch.Generator,
    resamples: int = 1000,
) -> Interval:
    """Percentile interval of any statistic of rows that are drawn together (for Matthews'
    correlation, which has no closed form worth trusting on small samples)."""
    held = _rows(*rows, least=1)
    n = len(held[0])
    draws = torch.randint(n, (resamples, n), generator=generator).numpy()
    values = [statistic(*(row[draw] for row in held)) for draw in draws]
    estimate = float(statistic(*held))
    low, high = np.nanquantile(values, [0.5 - _SURE / 2, 0.5 + _SURE / 2])
    return Interval(
        low=min(float(low), estimate),
        estimate=estimate,
        high=max(float(high), estimate),
        assumptions=(f"percentile bootstrap, {resamples} resamples",),
    )
