"""The scan of all positions at once against one position after another, forward and backward."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from catch11.models.mambavision.scan import linear_recurrence, selective_scan


def one_by_one(u: Tensor, s: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor) -> Tensor:
    """The definition, a position at a time."""
    state = torch.zeros(*u.shape[:2], a.shape[1], dtype=u.dtype)
    made = []
    for t in range(u.shape[2]):
        state = torch.exp(s[:, :, t, None] * a) * state
        state = state + s[:, :, t, None] * b[:, None, :, t] * u[:, :, t, None]
        made.append((state * c[:, None, :, t]).sum(-1) + skip * u[:, :, t])
    return torch.stack(made, dim=2)


class Row(NamedTuple):
    batch: int
    inner: int
    state: int
    length: int
    step: float  # a usual step; large ones forget at once, small ones never

    def draw(self, dtype: torch.dtype) -> list[Tensor]:
        g = torch.Generator().manual_seed(self.length)
        d, n, length = self.inner, self.state, self.length
        made = [
            torch.randn(self.batch, d, length, generator=g),
            self.step * torch.rand(self.batch, d, length, generator=g) + 1e-4,
            -torch.rand(d, n, generator=g) * 8 - 0.1,
            torch.randn(self.batch, n, length, generator=g),
            torch.randn(self.batch, n, length, generator=g),
            torch.randn(d, generator=g),
        ]
        return [one.to(dtype).requires_grad_(True) for one in made]


ROWS = (
    Row(1, 1, 1, 1, 0.1),
    Row(2, 3, 2, 2, 0.1),
    Row(2, 4, 8, 49, 0.1),
    Row(1, 5, 8, 196, 0.01),
    Row(1, 5, 8, 196, 10.0),
    Row(1, 2, 3, 257, 1e-3),
)


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_the_scan_is_its_definition_forward_and_backward(row: Row) -> None:
    ours, theirs = row.draw(torch.float32), row.draw(torch.float64)
    made, meant = selective_scan(*ours), one_by_one(*theirs)
    scale = meant.detach().abs().max()
    assert (made - meant).abs().max() <= 1e-5 * scale
    pull = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
    slopes, exact = (
        torch.autograd.grad((y * pull).sum(), xs, allow_unused=True, materialize_grads=True)
        for y, xs in ((made, ours), (meant, theirs))
    )
    for slope, right in zip(slopes, exact, strict=True):
        assert (slope - right).abs().max() <= 1e-5 * right.abs().max().clamp_min(1.0)


def test_half_precision_is_scanned_in_single_and_comes_back_as_it_was() -> None:
    given = [one.detach().to(torch.bfloat16) for one in ROWS[2].draw(torch.float32)]
    made = selective_scan(*given)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made, selective_scan(*(one.float() for one in given)).bfloat16())


def test_a_recurrence_without_factors_is_the_input_and_with_ones_the_running_sum() -> None:
    added = torch.randn(3, 37, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(linear_recurrence(torch.zeros_like(added), added), added)
    assert torch.allclose(linear_recurrence(torch.ones_like(added), added), added.cumsum(-1))
