"""A differentially private head on frozen features: logistic regression by objective perturbation
(Chaudhuri, Monteleoni & Sarwate 2011), with the mechanism of diffprivlib; ε-DP, δ = 0.

diffprivlib 0.6.6 draws the noise here, but its own LogisticRegression cannot be imported beside
scikit-learn 1.8 and later, so the loss it is added to is minimised here. The tests hold the two
against each other, seed by seed (`tests/diffprivlib/original.py`).
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.baselines.dp import check_budget
from catch11.baselines.library import EXTRAS, installed, library
from catch11.errors import InvalidArgument, MissingExtra

_MODELS = "diffprivlib.models"


def private_head(
    features: Float[Tensor, "batch feature"],
    labels: Int[Tensor, " batch"],
    *,
    epsilon: float,
    classes: int,
    norm: float = 1.0,
    strength: float = 1.0,
    seed: int = 0,
) -> nn.Linear:
    """One-against-rest logistic regression; every class gets its share ε / classes of the budget.

    norm: features longer than it are shortened to it; chosen without looking at the data. strength:
    inverse of the penalty, scikit-learn's C. seed: of the noise, for measurements; weights that are
    given away need another. The guarantee is of the exact optimum; L-BFGS comes near it (its
    tolerance is 1e-6). Raises InvalidArgument, MissingExtra.
    """
    check_budget(epsilon)
    if not len(features) or classes < 2 or not (0 < norm < np.inf and 0 < strength < np.inf):
        raise InvalidArgument(
            "head", expected="pictures, two classes or more, norm and strength above 0",
            found=(len(features), classes, norm, strength),
        )  # fmt: skip
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise InvalidArgument(
            "labels", expected=f"0 to {classes - 1}", found=labels.unique().tolist()
        )
    if not bool(torch.isfinite(features).all()):
        raise InvalidArgument("features", expected="finite numbers", found="others among them")
    data = features.double().numpy()
    data = data / np.maximum(np.linalg.norm(data, axis=1, keepdims=True) / norm, 1.0)
    vector = _mechanism()
    radius = float(np.sqrt(norm**2 + 1))  # a constant 1 carries the bias
    state = np.random.RandomState(seed)
    found = np.zeros((classes, data.shape[1] + 1))
    for one in range(classes):
        noise = vector(
            epsilon=epsilon / classes,
            dimension=data.shape[1] + 1,
            alpha=1.0 / strength,
            # The proof bounds the Hessian's change by c R² with c = 1/4; the mechanism multiplies by
            # R once, which is right for R ≤ 1 alone, so the other R is put here.
            function_sensitivity=0.25 * radius,
            data_sensitivity=radius,
            n=len(data),
            random_state=state,
        )
        found[one] = _minimise(data, (labels == one).double().numpy(), noise, strength)
    head = nn.Linear(data.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(found[:, :-1]))
        head.bias.copy_(torch.from_numpy(found[:, -1]))
    return head.eval().requires_grad_(False)


def _minimise(data: np.ndarray, truth: np.ndarray, noise: Any, strength: float) -> np.ndarray:
    """The minimum of the perturbed mean loss; the bias is not penalised, as in the original."""
    from scipy.optimize import minimize

    count = len(data)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        raw = data @ weights[:-1] + weights[-1]
        share = 0.5 * (1.0 + np.tanh(0.5 * raw))
        value = np.mean(np.logaddexp(0.0, raw) - truth * raw)
        value += 0.5 / (strength * count) * float(weights[:-1] @ weights[:-1])
        slope = np.append(data.T @ (share - truth), np.sum(share - truth)) / count
        slope[:-1] += weights[:-1] / (strength * count)
        return float(value), slope

    perturbed = noise.randomise(loss)
    start = np.zeros(data.shape[1] + 1)
    options = {"maxiter": 1000, "gtol": 1e-6, "ftol": 1e-14}
    return minimize(perturbed, start, method="L-BFGS-B", jac=True, options=options).x


def _mechanism() -> Any:
    """diffprivlib's Vector mechanism."""
    if not installed("diffprivlib"):
        raise MissingExtra("diffprivlib", EXTRAS["diffprivlib"])
    try:
        return library("diffprivlib.mechanisms", package="diffprivlib").Vector
    except MissingExtra:
        return _without_models()


def _without_models() -> Any:
    """The mechanisms alone: the package imports its models first, and its trees ask scikit-learn for
    names that are gone there. An empty module stands in for them while the mechanisms load."""
    for name in [name for name in sys.modules if name.split(".")[0] == "diffprivlib"]:
        del sys.modules[name]
    sys.modules[_MODELS] = ModuleType(_MODELS)
    try:
        return library("diffprivlib.mechanisms", package="diffprivlib").Vector
    finally:
        sys.modules.pop(_MODELS, None)
