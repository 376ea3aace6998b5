"""What is done to released rows of a table: by one who knows the front, who holds pairs, or neither.

Rows are in standardised units, float64. Nothing here sees a clean row of what it attacks.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.fronts.front import Front
from catch11.subspaces.rule import spectrum

Rows = Float[Tensor, "row column"]
Others = Float[Tensor, "_ column"]
_FLOOR = 1e-6
_SEEN = 1e-6  # of the largest singular value


def projected(rows: Rows, public: Others, front: Front) -> Rows:
    """What the front sees is kept, the rest is the best linear guess from public rows."""
    values, vectors = spectrum(front.weight)
    seen = vectors[:, values[values.numel() - vectors.shape[1] :] > _SEEN * values[-1]]
    mean, covariance = _moments(public)
    gain = torch.linalg.solve(seen.T @ covariance @ seen, seen.T @ covariance)
    return mean + (rows - mean) @ seen @ gain


def regressed(rows: Rows, pairs: tuple[Others, Others]) -> Rows:
    """A linear map, fitted with a ridge from (clean, released) pairs of other rows."""
    clean, released = pairs
    mean, to = released.mean(0), clean.mean(0)
    given, wanted = released - mean, clean - to
    gram = given.T @ given
    ridge = 1e-6 * gram.diagonal().mean() * torch.eye(gram.shape[0], dtype=gram.dtype)
    return to + (rows - mean) @ torch.linalg.solve(gram + ridge, given.T @ wanted)


def wiener(rows: Rows, public: Others) -> Rows:
    """Blind: the noise's covariance is what the released rows have more than public ones."""
    mean, clean = _moments(public)
    total = _moments(rows)[1]
    values, vectors = torch.linalg.eigh(total - clean)
    noise = (vectors * values.clamp_min(0.0)) @ vectors.T
    return mean + (rows - rows.mean(0)) @ torch.linalg.solve(clean + noise, clean)


def _moments(rows: Rows) -> tuple[Tensor, Tensor]:
    mean = rows.mean(0)
    centred = rows - mean
    covariance = centred.T @ centred / max(1, len(rows) - 1)
    return mean, covariance + _FLOOR * torch.eye(rows.shape[1], dtype=rows.dtype)
