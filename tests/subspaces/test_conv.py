"""Convolution subspaces against a dense SVD of the explicit operator on small windows."""

from typing import NamedTuple

import pytest
import torch

from catch11.crypto.stream import keyed_stream
from catch11.errors import EmptySubspace
from catch11.fronts.front import Front
from catch11.subspaces.conv import ConvSubspace, conv_subspace
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import Subspace


def conv_front_of(
    out: int,
    shape: tuple[int, int, int],
    *,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    groups: int = 1,
) -> Front:
    """A random convolution front; padding is (top, bottom, left, right)."""
    generator = torch.Generator().manual_seed(out + shape[1])
    weight = torch.randn(out, shape[0] // groups, *kernel, dtype=torch.float64, generator=generator)
    return Front(
        geometry="conv", weight=weight, bias=torch.zeros(out, dtype=torch.float64),
        neutral=(0.5,) * shape[0], shape=shape, layer="conv", stride=stride, dilation=dilation,
        padding=padding, groups=groups,
    )  # fmt: skip


class Row(NamedTuple):
    name: str
    front: Front


ROWS = [
    Row("valid", conv_front_of(5, (3, 8, 8))),
    Row("padded", conv_front_of(5, (3, 8, 8), padding=(1, 1, 1, 1))),
    Row("stride 2, SAME", conv_front_of(8, (3, 9, 11), stride=(2, 2), padding=(0, 1, 0, 1))),
    Row("stride 2, odd size", conv_front_of(8, (3, 9, 9), stride=(2, 2), padding=(1, 1, 1, 1))),
    Row("stride 3", conv_front_of(4, (3, 10, 9), stride=(3, 3), padding=(1, 1, 1, 1))),
    Row("stride 4", conv_front_of(4, (2, 11, 10), kernel=(5, 5), stride=(4, 4), padding=(2,) * 4)),
    Row("stride above kernel", conv_front_of(4, (2, 11, 10), kernel=(2, 2), stride=(3, 3))),
    Row("dilation 2", conv_front_of(4, (2, 9, 8), dilation=(2, 2), padding=(2, 2, 2, 2))),
    Row("dilation 2, stride 2", conv_front_of(4, (2, 10, 11), stride=(2, 2), dilation=(2, 2), padding=(2,) * 4)),
    Row("dilation 3, stride 2", conv_front_of(4, (2, 10, 11), stride=(2, 2), dilation=(3, 3), padding=(1, 2, 0, 1))),
    Row("dilation 3, stride 3", conv_front_of(3, (3, 9, 9), stride=(3, 3), dilation=(3, 3), padding=(1,) * 4)),
    Row("dilation 2, stride 4", conv_front_of(3, (1, 10, 10), stride=(4, 4), dilation=(2, 2), padding=(3, 0, 1, 2))),
    Row("groups", conv_front_of(4, (4, 8, 7), groups=2, padding=(1, 1, 1, 1))),
    Row("depthwise", conv_front_of(6, (3, 9, 9), stride=(2, 2), padding=(1,) * 4, groups=3)),
    Row("padding above the reach", conv_front_of(3, (2, 8, 8), padding=(4, 4, 3, 5))),
    Row("unread rim", conv_front_of(6, (1, 8, 8), kernel=(3, 3), stride=(3, 3))),
    Row("1-D", conv_front_of(3, (1, 1, 64), kernel=(1, 10), stride=(1, 5))),
    Row("1-D, padded", conv_front_of(4, (2, 1, 45), kernel=(1, 9), stride=(1, 4), padding=(0, 0, 4, 4))),
]  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}
CASES = [(row, Rule(kind="energy", value=0.05)) for row in ROWS] + [
    (BY_NAME["padded"], Rule(kind="tau", value=3.0)),
    (BY_NAME["stride 2, SAME"], Rule(kind="cumulative", value=200.0)),
    (BY_NAME["stride 2, odd size"], Rule(kind="rank", value=150.0)),
]


def dense(front: Front) -> tuple[torch.Tensor, torch.Tensor]:
    """All singular values and right singular vectors of the explicit operator, one a pixel."""
    matrix = front.explicit()
    _, values, rows = torch.linalg.svd(matrix, full_matrices=True)
    full = torch.zeros(rows.shape[0], dtype=torch.float64)
    full[: len(values)] = values
    return full, rows


def projector(subspace: ConvSubspace) -> torch.Tensor:
    unit = torch.eye(subspace.ambient, dtype=torch.float64).reshape(-1, *subspace.front.shape)
    return subspace.project(unit).flatten(1)


@pytest.mark.parametrize(("row", "rule"), CASES, ids=lambda case: getattr(case, "name", str(case)))
def test_projector_is_a_step_of_the_dense_svd(row: Row, rule: Rule) -> None:
    """Of the exact operator, borders included, on every direction; a projector outside the step."""
    subspace = conv_subspace(row.front, rule)
    values, rows = dense(row.front)
    assert subspace.ambient == len(values)
    assert subspace.dimension == int((values <= subspace.cut).sum())
    expected = rows.T @ torch.diag(subspace.step.weight(values)) @ rows
    found = projector(subspace)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    near = (values / subspace.cut - 1).abs() < subspace.step.width
    hard = rows[~near].T @ torch.diag((values[~near] <= subspace.cut).double()) @ rows[~near]
    soft = rows[near].T @ torch.diag(subspace.step.weight(values[near])) @ rows[near]
    torch.testing.assert_close(found, hard + soft, atol=4e-4, rtol=0)


GAPS = [BY_NAME[n] for n in ("stride 4", "stride above kernel", "unread rim", "1-D")]


@pytest.mark.parametrize("row", GAPS, ids=lambda row: row.name)
def test_null_space_laws(row: Row) -> None:
    """Where there is an exact null space: idempotent, self-adjoint, unseen, sampled and contained."""
    subspace = conv_subspace(row.front, Rule(kind="energy", value=0.0), tolerance=1e-6)
    assert isinstance(subspace, Subspace)
    values, _ = dense(row.front)
    assert subspace.dimension == int((values < 1e-9).sum())
    one, two = torch.randn(2, 3, *row.front.shape, dtype=torch.float64)
    once = subspace.project(one)
    torch.testing.assert_close(subspace.project(once), once, atol=1e-5, rtol=0)
    torch.testing.assert_close((once * two).sum(), (one * subspace.project(two)).sum())
    assert row.front.apply(once).abs().max() < 1e-4
    assert subspace.project(one.float()).dtype == torch.float32
    sample = subspace.sample([keyed_stream(bytes(32), "sample", bytes([i])) for i in range(3)])
    assert sample.norm() > 1.0
    assert subspace.contains(sample, tolerance=1e-5).all()
    assert not subspace.contains(torch.rand(3, *row.front.shape), tolerance=1e-2).any()


def test_unread_planes_are_whole_and_exact() -> None:
    front = conv_front_of(12, (3, 8, 8), stride=(2, 2), dilation=(2, 2), padding=(2, 2, 2, 2))
    subspace = conv_subspace(front, Rule(kind="energy", value=0.0))
    unread = torch.ones(1, 3, 8, 8, dtype=torch.float64)
    unread[..., ::2, ::2] = 0.0
    torch.testing.assert_close(subspace.project(unread), unread, atol=1e-3, rtol=0)
    assert subspace.dimension >= 3 * 48


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_torus_spectrum_stands_for_a_large_window(row: Row) -> None:
    """Without counting the window's own spectrum: the same cut rule, projector still the operator's."""
    subspace = conv_subspace(row.front, Rule(kind="energy", value=0.1), counted=0)
    values, rows = dense(row.front)
    assert float(subspace.weights.sum()) == pytest.approx(subspace.ambient)
    assert float(values.max()) <= subspace.top
    expected = rows.T @ torch.diag(subspace.step.weight(values)) @ rows
    torch.testing.assert_close(projector(subspace), expected, atol=1e-4, rtol=0)


def test_torus_count_nears_the_windows_own() -> None:
    """The estimate of the dimension is off by the border, whose share falls with the size."""
    errors = []
    for side in (8, 24):
        front = conv_front_of(5, (2, side, side), padding=(1, 1, 1, 1))
        subspace = conv_subspace(front, Rule(kind="tau", value=5.0), counted=0)
        own = int((dense(front)[0] <= subspace.cut).sum())
        errors.append(abs(subspace.dimension - own) / subspace.ambient)
    assert errors[1] < min(0.8 * errors[0], 0.05)


def test_gains_of_nothing_are_all_inside() -> None:
    """A rank below the number of directions that the front hardly sees takes them all."""
    front = conv_front_of(4, (2, 11, 10), kernel=(2, 2), stride=(3, 3))
    subspace = conv_subspace(front, Rule(kind="rank", value=3))
    values, _ = dense(front)
    assert subspace.dimension == int((values < 1e-3 * subspace.top).sum()) > 100


@pytest.mark.parametrize("stride", [1, 2])
def test_start_and_seen_are_the_torus_part(stride: int) -> None:
    """`start` nears `project`, and `seen` is the gradient of what is beside the subspace."""
    front = conv_front_of(8, (3, 24, 24), stride=(stride,) * 2, padding=(1, 1, 1, 1))
    subspace = conv_subspace(front, Rule(kind="energy", value=0.02))
    noise = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    start = subspace.start(noise)
    share = (start * subspace.project(noise)).sum() / (
        start.norm() * subspace.project(noise).norm()
    )
    assert float(share) > 0.85
    outside = noise - start
    response = front.apply(outside.double()).square().sum()
    assert float((outside * subspace.seen(outside)).sum()) == pytest.approx(float(response), rel=0.15)  # fmt: skip


def test_ties_stay_together() -> None:
    """A kernel that treats two channels alike: each gain is there twice, and so is each direction."""
    base = conv_front_of(3, (1, 6, 6), padding=(1, 1, 1, 1)).weight
    twice = torch.zeros(6, 2, 3, 3, dtype=torch.float64)
    twice[:3, :1], twice[3:, 1:] = base, base
    front = Front(
        geometry="conv", weight=twice, bias=torch.zeros(6, dtype=torch.float64), neutral=(0.5,) * 2,
        shape=(2, 6, 6), layer="conv", padding=(1, 1, 1, 1),
    )  # fmt: skip
    for counted in (0, 1024):
        subspace = conv_subspace(front, Rule(kind="rank", value=11), counted=counted)
        noise = torch.randn(1, 1, 6, 6, dtype=torch.float64)
        both = subspace.project(torch.cat([noise, noise], 1))
        torch.testing.assert_close(both[:, 0], both[:, 1])
    assert subspace.dimension == 10


def test_every_direction_when_the_rule_admits_all() -> None:
    front = conv_front_of(5, (3, 8, 8), padding=(1, 1, 1, 1))
    subspace = conv_subspace(front, Rule(kind="tau", value=1e3))
    image = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert subspace.dimension == subspace.ambient
    torch.testing.assert_close(subspace.project(image), image, atol=1e-3, rtol=0)


def test_no_direction_is_an_error_with_the_spectrum() -> None:
    with pytest.raises(EmptySubspace, match="smallest singular values are"):
        conv_subspace(conv_front_of(16, (3, 8, 8), padding=(1,) * 4), Rule(kind="tau", value=1e-3))
