"""Coefficients of diffprivlib's own LogisticRegression, for `tests/golden/diffprivlib.json`.

It runs in an environment of its own, for diffprivlib 0.6.6 does not load beside scikit-learn 1.8:
    python -m venv v && v/bin/pip install diffprivlib==0.6.6 scikit-learn==1.6.1
    v/bin/python tests/diffprivlib/original.py > tests/golden/diffprivlib.json
The one thing changed is the bound on the Hessian, c R² in the place of c R; see `baselines/dp_head.py`.
"""

import json

import numpy as np
from diffprivlib.mechanisms import Vector
from diffprivlib.models import LogisticRegression, logistic_regression


class Strict(Vector):
    """The mechanism with both factors R of the proof."""

    def __init__(self, *, function_sensitivity, data_sensitivity, **others):
        super().__init__(
            function_sensitivity=function_sensitivity * data_sensitivity,
            data_sensitivity=data_sensitivity,
            **others,
        )


def data():
    """Forty unit vectors of three numbers, in three classes."""
    place = np.arange(120).reshape(40, 3)
    values = np.sin(1.7 * place) + np.eye(3)[np.arange(40) % 3]
    return values / np.linalg.norm(values, axis=1, keepdims=True), np.arange(40) % 3


if __name__ == "__main__":
    logistic_regression.Vector = Strict
    rows = []
    values, labels = data()
    for epsilon in (1.0, 8.0, 100.0):
        for seed in (0, 1):
            made = LogisticRegression(
                epsilon=epsilon, data_norm=1.0, C=1.0, tol=1e-8, max_iter=1000, random_state=seed
            ).fit(values, labels)
            rows.append(
                {
                    "epsilon": epsilon,
                    "seed": seed,
                    "weight": made.coef_.tolist(),
                    "bias": made.intercept_.tolist(),
                }
            )
    print(
        json.dumps({"values": values.tolist(), "labels": labels.tolist(), "rows": rows}, indent=1)
    )
