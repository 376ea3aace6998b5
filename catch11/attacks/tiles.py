"""Second-order statistics of tiles: what an attacker learns from many pictures, and what it buys.

Tiles are (n, channel * height * width) float64 rows in pixel units; S a covariance of them; a row
basis Q has orthonormal columns (pixel, direction) that the authorized front sees.
"""

from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Windows = Float[Tensor, "_ channel height width"]
_TOGETHER = 8  # windows at a time: their neighbourhoods are nine times as wide
_RIDGE = 1e-4  # pixel units squared: a fifth of an 8-bit step, so unseen directions stay put


def cut(windows: Windows, size: tuple[int, int]) -> Float[Tensor, "batch tile pixel"]:
    """Windows as tiles of height x width pixels, float64; what no tile covers is left out."""
    rows, columns = windows.shape[-2] // size[0], windows.shape[-1] // size[1]
    covered = windows[..., : rows * size[0], : columns * size[1]].double()
    return rearrange(
        covered, "batch c (row y) (column x) -> batch (row column) (c y x)", y=size[0], x=size[1]
    )


def paste(
    tiles: Float[Tensor, "batch tile pixel"], like: Windows, size: tuple[int, int]
) -> Windows:
    """Tiles back to windows, clipped to [0, 1]; what no tile covers is taken from `like`."""
    rows, columns = like.shape[-2] // size[0], like.shape[-1] // size[1]
    covered = rearrange(
        tiles,
        "batch (row column) (c y x) -> batch c (row y) (column x)",
        row=rows,
        y=size[0],
        x=size[1],
    )
    made = like.clone()
    made[..., : rows * size[0], : columns * size[1]] = covered.clamp(0, 1).to(like)
    return made


def moments(
    rows: Float[Tensor, "row pixel"],
) -> tuple[Float[Tensor, " pixel"], Float[Tensor, "pixel pixel"]]:
    """Mean and covariance of rows."""
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / len(rows)


def seen_by_difference(
    released: Float[Tensor, "pixel pixel"],
    public: Float[Tensor, "pixel pixel"],
    *,
    weight: float,
) -> tuple[Float[Tensor, "pixel direction"], Float[Tensor, " direction"]]:
    """Directions by what noise adds to them, ascending: eigenvectors of S_released − weight·S_public.

    Where no noise was added the difference is (1 − weight)·S_public, at most 0 for a weight of 1 or
    more; where it was, the noise outweighs it. A weight of 2 separates the two better than 1: the
    box makes noise and content dependent, and pictures differ from the public ones.
    """
    values, vectors = torch.linalg.eigh(released - weight * public)
    return vectors, values


def widest_gap(values: Float[Tensor, " direction"], *, least: int = 4) -> int:
    """Number of directions below the widest step of ascending eigenvalues, ends left out."""
    steps = values[1:] - values[:-1]
    scale = values.abs().max()
    inner = steps[least:-least] / (values[least + 1 : -least].abs() + 1e-3 * scale)
    return least + 1 + int(inner.argmax())


def conditional(
    seen: Float[Tensor, "pixel direction"],
    covariance: Float[Tensor, "pixel pixel"],
    *,
    ridge: float = _RIDGE,
) -> Float[Tensor, "pixel pixel"]:
    """G of E[x | Qᵀx] = mean + G (x − mean) for a Gaussian x: the seen part kept, the rest
    inpainted with the public covariance."""
    inner = seen.T @ covariance @ seen
    inner = inner + ridge * torch.eye(len(inner), dtype=inner.dtype)
    return covariance @ seen @ torch.linalg.solve(inner, seen.T)


def wiener(
    released: Float[Tensor, "pixel pixel"],
    public: Float[Tensor, "pixel pixel"],
    *,
    weight: float = 1.0,
    floor: float = 1e-4,
) -> Float[Tensor, "pixel pixel"]:
    """G = S_public (S_public + N)⁻¹, N as `noise_of` has it.

    S_public·S_released⁻¹ would do for independent noise and endless samples; here it amplifies
    what the sample, or the box, made smaller than the public pictures have it.
    """
    noise = noise_of(released, public, weight=weight, floor=floor)
    return torch.linalg.solve(public + noise, public).T


def noise_of(
    released: Float[Tensor, "pixel pixel"],
    public: Float[Tensor, "pixel pixel"],
    *,
    weight: float,
    floor: float = 1e-4,
) -> Float[Tensor, "pixel pixel"]:
    """N = the positive part of S_released − weight·S_public, and floor (pixel units²) everywhere."""
    values, vectors = torch.linalg.eigh(released - weight * public)
    noise = (vectors * values.clamp(min=0.0)) @ vectors.T
    noise.diagonal().add_(floor)
    return noise


def pooled_wiener(
    noises: Sequence[Float[Tensor, "pixel pixel"]], public: Float[Tensor, "pixel pixel"]
) -> tuple[Float[Tensor, "pixel pixel"], ...]:
    """G₁, G₂, … of E[x | x + n₁, x + n₂, …] = mean + Σ Gᵢ (yᵢ − mean), nᵢ independent of covariance Nᵢ.

    Gᵢ = S (S + P⁻¹)⁻¹ P⁻¹ Nᵢ⁻¹ with P = Σ Nᵢ⁻¹: each release counts where it is quiet. One noise
    gives `wiener`.
    """
    shares = [torch.linalg.inv(noise) for noise in noises]
    left = torch.linalg.inv(torch.stack(shares).sum(0))
    gain = torch.linalg.solve(public + left, public).T @ left
    return tuple(gain @ share for share in shares)


def fitted(
    given: Float[Tensor, "row pixel"], wanted: Float[Tensor, "row out"], *, ridge: float
) -> Callable[[Float[Tensor, "... pixel"]], Float[Tensor, "... out"]]:
    """The affine map of rows to rows with the least mean square error, and a ridge on its slope."""
    mean, usual = given.mean(0), wanted.mean(0)
    gram = (given - mean).T @ (given - mean) / len(given)
    cross = (given - mean).T @ (wanted - usual) / len(given)
    slope = torch.linalg.solve(gram + ridge * torch.eye(len(gram), dtype=gram.dtype), cross)
    return lambda rows: (rows - mean) @ slope + usual


def neighbours(
    seen_part: Float[Tensor, "batch row column direction"],
) -> Float[Tensor, "batch row column wide"]:
    """Each tile's seen part beside those of its eight neighbours, edges repeated."""
    rows, columns = seen_part.shape[1:3]
    planes = rearrange(seen_part, "batch row column direction -> batch direction row column")
    wide = functional.pad(planes, (1, 1, 1, 1), mode="replicate")
    wide = rearrange(wide, "batch direction row column -> batch row column direction")
    parts = [wide[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return torch.cat(parts, dim=-1)


def inpaint_by_neighbours(
    released: Windows,
    public: Windows,
    seen: Float[Tensor, "pixel direction"],
    size: tuple[int, int],
    *,
    ridge: float = 1e-3,
) -> Windows:
    """Windows from the seen parts of each tile and its neighbours, by a linear regression fitted to
    public windows; it uses what the tiles around know of the unseen."""
    mean, _ = moments(cut(public, size).flatten(0, 1))
    grid = released.shape[-2] // size[0], released.shape[-1] // size[1]

    def features(windows: Windows) -> Tensor:
        part = (cut(windows, size) - mean) @ seen
        part = rearrange(part, "batch (row column) d -> batch row column d", row=grid[0])
        return rearrange(neighbours(part), "batch row column d -> batch (row column) d")

    wide, pixels = 9 * seen.shape[1], seen.shape[0]
    gram, cross = ridge * torch.eye(wide).double(), torch.zeros(wide, pixels).double()
    for part in public.split(_TOGETHER):
        # Centred, so single precision is enough for a product, and twice as fast.
        known = features(part).flatten(0, 1).float()
        wanted = (cut(part, size) - mean).flatten(0, 1).float()
        gram += (known.T @ known).double() / (len(public) * grid[0] * grid[1])
        cross += (known.T @ wanted).double() / (len(public) * grid[0] * grid[1])
    solution = torch.linalg.solve(gram, cross)
    made = [
        paste(features(part) @ solution + mean, part, size) for part in released.split(_TOGETHER)
    ]
    return torch.cat(made)
