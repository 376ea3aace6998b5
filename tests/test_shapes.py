"""Tests of the tests: a tensor of another shape than is annotated is told, at first and now and then later."""

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tests.shapes import EVERY, FIRST, check, sampled


def doubled(values: Float[Tensor, "row 2"]) -> Float[Tensor, "row 2"]:
    return 2.0 * values


def test_the_first_calls_are_all_checked() -> None:
    told = sampled(typechecker=check)(doubled)
    for rows in range(FIRST - 1):
        assert told(torch.ones(rows, 2)).shape == (rows, 2)
    with pytest.raises(Exception, match="values"):
        told(torch.ones(2, 3))


def test_one_of_the_later_ones_is() -> None:
    def halved(values: Float[Tensor, "row 2"]) -> Float[Tensor, "row 2"]:
        return 0.5 * values

    told, refused = sampled(typechecker=check)(halved), 0
    for _ in range(FIRST):
        told(torch.ones(1, 2))
    for _ in range(4 * EVERY):
        try:
            told(torch.ones(1, 3))
        except Exception:  # noqa: BLE001 - jaxtyping's own
            refused += 1
    assert refused == 4


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_two_traces_are_alike_wherever_the_counting_is() -> None:
    """torch.jit.trace traces twice and holds the graphs against each other, names included."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

        @sampled(typechecker=check)
        def forward(self, values: Float[Tensor, "row 2"]) -> Float[Tensor, "row 2"]:
            return self.linear(values)

    net = Net()
    for _ in range(FIRST):
        torch.jit.trace(net, torch.ones(3, 2))
