"""Can released files be told from ordinary pictures? A release does not hide that it is one."""

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.metrics import Interval, auc

Windows = Float[Tensor, "_ channel height width"]


def roughness(windows: Windows) -> Float[Tensor, " _"]:
    """Log of the mean square second difference of each picture: photographs are smooth, noise is
    not. In pixel units squared."""
    rows = windows[..., 2:, :] - 2 * windows[..., 1:-1, :] + windows[..., :-2, :]
    columns = windows[..., 2:] - 2 * windows[..., 1:-1] + windows[..., :-2]
    energy = rows.square().mean((1, 2, 3)) + columns.square().mean((1, 2, 3))
    return torch.log(energy + 1e-9)


def detect(released: Windows, public: Windows, *, confidence: float = 0.95) -> Interval:
    """Probability that a released picture looks rougher than a public one: .5 would be hidden,
    1 is told apart every time."""
    scores = (roughness(windows).tolist() for windows in (released, public))
    return auc(*scores, confidence=confidence)
