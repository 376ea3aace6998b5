import math
from typing import NamedTuple

import pytest
import torch

from catch11.canvas.grid import GRIDS, Format, psnr
from catch11.errors import InvalidArgument
from catch11.evaluation.gaussian import item_generator, noise_at

torch.set_num_threads(1)


class Case(NamedTuple):
    form: Format
    decibels: float


@pytest.mark.parametrize(
    "case", [Case(form, db) for form in GRIDS for db in (8.0, 10.0, 20.0, 35.0)], ids=repr
)
def test_the_noise_has_the_psnr_asked_for(case: Case) -> None:
    clean = torch.randint(256, (2, 3, 24, 24), generator=item_generator("x", seed=0)).float() / 255
    generators = tuple(item_generator(name, seed=1) for name in "ab")
    made = noise_at(clean, (case.decibels,) * 2, grid=GRIDS[case.form], generators=generators)
    assert psnr(made, clean).tolist() == pytest.approx([case.decibels] * 2, abs=0.02)
    assert torch.equal(GRIDS[case.form].round(made), made)


def test_order_and_batch_do_not_matter() -> None:
    clean = torch.rand(3, 3, 16, 16, generator=item_generator("y", seed=0))
    clean = (clean * 255).round() / 255

    def make(index: list[int]) -> torch.Tensor:
        generators = tuple(item_generator(str(i), seed=2) for i in index)
        strength = tuple(10.0 + i for i in index)
        return noise_at(clean[index], strength, grid=GRIDS["png8"], generators=generators)

    assert torch.equal(make([0, 1, 2]), make([2, 0, 1])[[1, 2, 0]])
    assert torch.equal(make([1]), make([0, 1, 2])[1:2])


def test_no_noise_and_the_most_there_is() -> None:
    clean = torch.full((1, 1, 16, 16), 128 / 255)
    same = noise_at(
        clean, (math.inf,), grid=GRIDS["png8"], generators=(item_generator("", seed=0),)
    )
    assert torch.equal(same, clean)
    most = noise_at(clean, (0.0,), grid=GRIDS["png8"], generators=(item_generator("", seed=0),))
    assert 5.5 < float(psnr(most, clean)) < 7.0


def test_refusal() -> None:
    with pytest.raises(InvalidArgument, match="decibels: expected 1 numbers"):
        noise_at(torch.zeros(1, 1, 4, 4), (), grid=GRIDS["png8"], generators=())
    with pytest.raises(InvalidArgument, match="decibels: expected numbers"):
        noise_at(
            torch.zeros(1, 1, 4, 4), (math.nan,), grid=GRIDS["png8"],
            generators=(item_generator("", seed=0),),
        )  # fmt: skip
