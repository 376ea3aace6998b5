"""Tile subspaces against a dense SVD of the explicit operator on small windows."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from catch11.crypto.stream import keyed_stream
from catch11.errors import EmptySubspace
from catch11.fronts.front import Front
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import TileSubspace, tile_subspace


def patch_front(
    out: int, kernel: tuple[int, int], shape: tuple[int, int, int], *, seed: int = 0
) -> Front:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, shape[0], *kernel, dtype=torch.float64, generator=generator)
    return Front(
        geometry="patch", weight=weight, bias=torch.zeros(out, dtype=torch.float64),
        neutral=(0.5,) * shape[0], shape=shape, layer="patch", stride=kernel,
    )  # fmt: skip


def dense_front(out: int, shape: tuple[int, int, int]) -> Front:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(out, shape[0] * shape[1] * shape[2], dtype=torch.float64, generator=generator)  # fmt: skip
    return Front(
        geometry="dense", weight=weight, bias=torch.zeros(out, dtype=torch.float64),
        neutral=(0.5,) * shape[0], shape=shape, layer="dense",
    )  # fmt: skip


class Row(NamedTuple):
    name: str
    front: Front


ROWS = [
    Row("wide patch", patch_front(5, (4, 4), (3, 8, 12))),
    Row("odd window with a rim", patch_front(5, (4, 4), (3, 11, 9))),
    Row("flat patch", patch_front(3, (1, 4), (2, 6, 8))),
    Row("one channel", patch_front(2, (3, 3), (1, 9, 9))),
    Row("dense", dense_front(7, (3, 5, 4))),
]
RULES = [
    Rule(kind="energy", value=0.0),
    Rule(kind="energy", value=0.2),
    Rule(kind="tau", value=4.0),
    Rule(kind="cumulative", value=3.0),
]


def oracle(front: Front, subspace: TileSubspace) -> np.ndarray:
    """The projector from the explicit operator: right singular vectors with values up to the rule's."""
    border = float(subspace.gains[0]) if len(subspace.gains) else np.inf
    _, values, rows = np.linalg.svd(front.explicit().numpy(), full_matrices=True)
    full = np.zeros(rows.shape[0])
    full[: len(values)] = values
    inside = rows[full < border * (1 - 1e-9)]
    return inside.T @ inside


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_projector_is_the_dense_svd(row: Row, rule: Rule) -> None:
    subspace = tile_subspace(row.front, rule)
    expected = oracle(row.front, subspace)
    assert subspace.ambient == expected.shape[0]
    assert subspace.dimension == round(float(np.trace(expected)))
    unit = torch.eye(subspace.ambient, dtype=torch.float64).reshape(-1, *row.front.shape)
    found = subspace.project(unit).flatten(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_goes_through_is_the_mean_gain_inside(row: Row, rule: Rule) -> None:
    """tr(A P Aᵀ) / tr P, of the explicit operator and the dense projector."""
    subspace = tile_subspace(row.front, rule)
    inside, explicit = oracle(row.front, subspace), row.front.explicit().numpy()
    expected = np.trace(explicit @ inside @ explicit.T) / np.trace(inside)
    assert subspace.through**2 == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_level_is_a_flat_picture_as_a_tile(row: Row) -> None:
    subspace = tile_subspace(row.front, Rule(kind="energy", value=0.0))
    channels = [0.1 * (place + 1) for place in range(row.front.shape[0])]
    flat = torch.tensor(channels)[None, :, None, None].expand(1, *row.front.shape)
    tiles = subspace.tiles(flat)[0]
    torch.testing.assert_close(subspace.level(channels).expand_as(tiles), tiles)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_projection_laws(row: Row) -> None:
    subspace = tile_subspace(row.front, Rule(kind="energy", value=0.0))
    one, two = torch.randn(2, 3, *row.front.shape, dtype=torch.float64)
    torch.testing.assert_close(subspace.project(subspace.project(one)), subspace.project(one))
    torch.testing.assert_close(
        (subspace.project(one) * two).flatten(1).sum(1), (one * subspace.project(two)).flatten(1).sum(1)
    )  # fmt: skip
    assert row.front.apply(subspace.project(one)).abs().max() < 1e-10
    assert subspace.project(one.float()).dtype == torch.float32


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_samples_are_inside_and_their_own(row: Row) -> None:
    subspace = tile_subspace(row.front, Rule(kind="energy", value=0.0))
    streams = [keyed_stream(bytes(32), "sample", bytes([i])) for i in range(2)]
    sample = subspace.sample(streams)
    assert subspace.contains(sample, tolerance=1e-5).all()
    assert not subspace.contains(torch.rand(2, *row.front.shape), tolerance=1e-5).any()
    again = subspace.sample([keyed_stream(bytes(32), "sample", bytes([1]))])
    torch.testing.assert_close(sample[1:], again)


def test_sample_has_unit_variance_inside() -> None:
    front = patch_front(4, (4, 4), (3, 32, 32))
    subspace = tile_subspace(front, Rule(kind="energy", value=0.0))
    sample = subspace.sample([keyed_stream(bytes(32), "variance", bytes([i])) for i in range(8)])
    share = subspace.dimension / subspace.ambient
    assert float(sample.square().mean()) == pytest.approx(share, rel=0.03)


def test_full_rank_front_is_an_error_with_the_spectrum() -> None:
    with pytest.raises(EmptySubspace, match="smallest singular values are"):
        tile_subspace(patch_front(60, (4, 4), (3, 8, 8)), Rule(kind="energy", value=1e-9))


@pytest.mark.parametrize("rank", [1, 3, 43, 44, 48])
def test_rank_is_exact_even_below_the_null_space(rank: int) -> None:
    front = patch_front(5, (4, 4), (3, 8, 12))
    subspace = tile_subspace(front, Rule(kind="rank", value=rank))
    assert subspace.dimension == 6 * rank
    unit = torch.eye(subspace.ambient, dtype=torch.float64).reshape(-1, *front.shape)
    projector = subspace.project(unit).flatten(1)
    torch.testing.assert_close(projector @ projector, projector)
    assert float(projector.trace()) == pytest.approx(6 * rank)
    if rank <= 43:
        assert front.apply(subspace.project(unit)).abs().max() < 1e-10
