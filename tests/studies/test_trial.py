import math

import pytest
import torch

from catch11.canvas.grid import psnr
from catch11.models.stages import stages
from catch11.studies.assumption2 import principal
from catch11.studies.place import Place
from catch11.studies.table6 import median_range, outputs
from catch11.studies.trial import Method, Trial

torch.set_num_threads(1)
BASE = {"place": Place(config="digits"), "family": "photographs", "authorized": "patch", "n": 8}


def _trial(**changes: object) -> Trial:
    return Trial(**{**BASE, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "method", ["spectral", "clipped", "gaussian", "published as a file", "deep"]
)
def test_a_release_lines_up_with_its_pictures(method: Method) -> None:
    trial = _trial(method=method)
    assert len(trial.made.windows) == len(trial.made.kept) == len(trial.clean) == len(trial.truth)
    assert torch.equal(trial.made.windows, (trial.made.windows * 255).round() / 255)
    record = trial.record("patch", "nte")
    assert (record.role, record.n) == ("authorized", len(trial.made.kept))
    assert record.settings["withheld"] == trial.n - record.n
    assert record.psnr == pytest.approx(float(psnr(trial.made.windows, trial.clean).mean()))


def test_controls_match_in_strength() -> None:
    trial = _trial()
    noisy = trial.condition("gaussian")
    gap = psnr(noisy, trial.clean) - psnr(trial.made.windows, trial.clean)
    assert float(gap.abs().max()) < 0.1
    alone = _trial(method="gaussian").made.windows
    assert float((psnr(alone, trial.clean) - psnr(noisy, trial.clean)).abs().max()) < 0.1
    assert trial.hits("patch", "control") == trial.hits("patch", "clean")


def test_the_same_again_and_another_release() -> None:
    first, second = _trial(), _trial(tag="second")
    assert torch.equal(first.made.windows, _trial().made.windows)
    assert not torch.equal(first.made.windows, second.made.windows)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 16, 17, 101, 400])
def test_median_ranges_cover(n: int) -> None:
    """Closed form: of n draws as many lie below the true median as heads fall in n throws.

    Too few draws hold it less surely than asked for, and their range is all there is of them.
    """
    low, middle, high = median_range([float(i) for i in reversed(range(n))])
    surely = sum(math.comb(n, below) for below in range(int(low) + 1, int(high) + 1)) / 2**n
    assert middle == (n - 1) / 2
    assert surely >= min(0.95, 1 - 2.0 ** (1 - n))
    assert surely < 0.99 or n < 16, "no wider than it must be"


def test_principal_components_are_the_leading_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([5.0, 0.1, 3.0, 0.1]).double()
    tiles = scales * torch.randn(40, 9, 4, generator=generator, dtype=torch.float64)
    found = principal(tiles, 2).square().sum(1)
    assert found.tolist() == pytest.approx([1.0, 0.0, 1.0, 0.0], abs=1e-2)


def test_layers_are_seen_in_order() -> None:
    trial = _trial()
    names = list(stages(trial.model))
    assert names[0] == trial.model.front().layer
    made = outputs(trial.model, trial.clean)
    assert list(made)[-1] == "logits"
    assert set(names) <= set(made)
