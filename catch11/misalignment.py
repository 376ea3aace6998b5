"""Two first layers as matrices: how a rival's answers noise the authorized one does not see, and what
the paper's Theorem 2, as it was restated for this project, says of it, and what holds instead. Singular values ascending."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.metrics import Interval

Matrix = Float[Tensor, "_ _"]


def response(rival: Matrix, inside: Float[Tensor, "pixel direction"]) -> tuple[float, ...]:
    """Singular values of W'·V, one a direction, ascending: how a rival's layer answers noise in
    the subspace V of the authorized one. Zeros where there are more directions than outputs."""
    values = torch.linalg.svdvals(rival.double() @ inside.double()).tolist()
    return tuple([0.0] * (inside.shape[1] - len(values)) + sorted(values))


def printed_theorem_2(authorized: Matrix, rival: Matrix, index: int, *, tau: float) -> float:
    """The paper's Theorem 2 with ε the *smallest* gap |σ_j(W₁) − σ_j(W₂)|: its claim that
    ‖W₂v₁ᵢ‖ ≤ τ + ε + ‖W₂‖₂·‖v₁ᵢ − v₂ᵢ‖.

    Rebuilt from a description of the theorem and of what is wrong with it; the printed text was
    not at hand when this was written. In this form it is false: W₁ = 0.01·I, W₂ = diag(1, 5), τ = 0.01, i = 2 gives 1 where ‖W₂v₁ᵢ‖ = 5; a minimum
    stands where index i's own gap is needed. Being an upper bound it could not certify that a rival
    degrades even if it held. Kept to show that; use `rival_ceiling` and `rival_floor`.
    """
    pair = _Pair.of(authorized, rival, index)
    return tau + float((pair.ours - pair.theirs).abs().min()) + pair.norm * pair.turn


def rival_ceiling(authorized: Matrix, rival: Matrix, index: int) -> Interval:
    """‖W₂v₁ᵢ‖ with its upper bound as the paper's proof has it before ε enters:
    σᵢ(W₁) + |σᵢ(W₁) − σᵢ(W₂)| + ‖W₂‖₂·‖v₁ᵢ − s·v₂ᵢ‖, s aligning the signs.

    Says how far at most; a small value would be bad news, a large one says nothing. index: from 0,
    singular values ascending, as everywhere here.
    """
    pair = _Pair.of(authorized, rival, index)
    exact = float((rival.double() @ pair.vector).norm())
    gap = abs(float(pair.ours[index] - pair.theirs[index]))
    high = float(pair.ours[index]) + gap + pair.norm * pair.turn
    # Equality is reached where the vectors agree; rounding must not turn it round.
    high = max(high, exact)
    return Interval(low=0.0, estimate=exact, high=high, confidence=1.0)


def wedin_turn(authorized: Matrix, rival: Matrix, index: int) -> float:
    """Bound on ‖v₁ᵢ − s·v₂ᵢ‖ ≤ √2·sin Θ ≤ √2·‖W₁ − W₂‖₂/gap from singular values and distance
    alone (Wedin 1972); Hoffman–Wielandt, which the paper cites, speaks of singular values only.
    The gap is from σᵢ(W₁) to the other singular values of W₂; without one the bound is √2."""
    pair = _Pair.of(authorized, rival, index)
    others = torch.cat([pair.theirs[:index], pair.theirs[index + 1 :]])
    if authorized.shape[0] < authorized.shape[1]:
        others = torch.cat([others, torch.zeros(1, dtype=others.dtype)])
    gap = float((pair.ours[index] - others).abs().min()) if len(others) else math.inf
    apart = float(torch.linalg.matrix_norm(authorized.double() - rival.double(), 2))
    return math.sqrt(2.0) * min(1.0, apart / gap if gap > 0 else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pair:
    """Singular values of two matrices, ascending, and one right vector of each, signs aligned.
    Where the first has equal values, any basis is its own: the vector nearest the other's is taken.
    """

    ours: Tensor
    theirs: Tensor
    vector: Tensor
    turn: float
    norm: float

    @classmethod
    def of(cls, authorized: Matrix, rival: Matrix, index: int) -> "_Pair":
        if authorized.shape != rival.shape:
            expected, found = f"the shape {tuple(authorized.shape)}", tuple(rival.shape)
            raise InvalidArgument("rival", expected=expected, found=found)
        if not 0 <= index < min(authorized.shape):
            expected = f"0 to {min(authorized.shape) - 1}"
            raise InvalidArgument("index", expected=expected, found=index)
        ours, first = _ascending(authorized)
        theirs, second = _ascending(rival)
        same = (ours - ours[index]).abs() <= 1e-9 * float(ours.max())
        basis, other = first[:, same], second[:, index]
        vector = basis @ (basis.T @ other)
        vector = vector / vector.norm() if float(vector.norm()) > 1e-9 else first[:, index]
        turn = float(min((vector - other).norm(), (vector + other).norm()))
        return cls(ours=ours, theirs=theirs, vector=vector, turn=turn, norm=float(theirs.max()))


def _ascending(matrix: Matrix) -> tuple[Tensor, Tensor]:
    _, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return values.flip(0), right.flip(0).T
