"""Two first layers as matrices: how a rival's answers noise the authorized one does not see, and what
the paper's Theorem 2, as it was restated for this project, says of it, and what holds instead. Singular values ascending."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval

Matrix = Float[Tensor, "_ _"]


def response(rival: Matrix, kept: Float[Tensor, "pixel direction"]) -> tuple[float, ...]:
    """Singular values of W'·V, one a direction, ascending: how a rival's layer answers noise in
    the subspace V of the authorized one. Zeros where there are more directions than outputs.

    kept: an orthonormal basis of what is *not* in V. W'·(I − K Kᵀ) has the same values and needs no
    basis of V, which for a whole window has no room.
    """
    rival, kept = rival.double(), kept.double()
    directions = kept.shape[0] - kept.shape[1]
    values = torch.linalg.svdvals(rival - (rival @ kept) @ kept.T).tolist()[:directions]
    return tuple([0.0] * (directions - len(values)) + sorted(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One insensitive right vector v₁ᵢ of the authorized layer W₁ at a rival's W₂; index: from 0.

    ceiling: ‖W₂v₁ᵢ‖ with its upper bound as the paper's proof has it before ε enters, σᵢ(W₁) +
    |σᵢ(W₁) − σᵢ(W₂)| + ‖W₂‖₂·‖v₁ᵢ − s·v₂ᵢ‖, s aligning the signs: a small value would be bad news, a
    large one says nothing.

    printed: the paper's Theorem 2 with ε the *smallest* gap |σ_j(W₁) − σ_j(W₂)|, its claim that
    ‖W₂v₁ᵢ‖ ≤ τ + ε + ‖W₂‖₂·‖v₁ᵢ − v₂ᵢ‖, τ being the largest σ inside. Rebuilt from a description of
    the theorem and of what is wrong with it, without its printed text. In this form it is false:
    W₁ = 0.01·I, W₂ = diag(1, 5), i = 2 gives 1 where ‖W₂v₁ᵢ‖ = 5; a minimum stands where index i's
    own gap is needed. An upper bound could not certify that a rival degrades even if it held.

    turn: a bound on ‖v₁ᵢ − s·v₂ᵢ‖ ≤ √2·sin Θ ≤ √2·‖W₁ − W₂‖₂/gap from singular values and distance
    alone (Wedin 1972); Hoffman–Wielandt, which the paper cites, speaks of singular values only. The
    gap is from σᵢ(W₁) to the other singular values of W₂; without one the bound is √2.
    """

    index: int
    ceiling: Interval
    printed: float
    turn: float

    @property
    def refuted(self) -> bool:
        """Whether what Theorem 2 claims as printed is false here, beyond rounding."""
        return self.printed < self.ceiling.estimate * (1 - 1e-9)

    @property
    def wedin_applies(self) -> bool:
        """Whether Wedin's theorem says anything: below √2, which every pair of vectors keeps."""
        return self.turn < math.sqrt(2.0) * (1 - 1e-12)

    def to_dict(self) -> dict[str, object]:
        """A JSON object."""
        return {
            "index": self.index, "exact": self.ceiling.estimate, "ceiling": self.ceiling.high,
            "printed": self.printed, "refuted": self.refuted, "wedin": self.turn,
            "wedin_applies": self.wedin_applies,
        }  # fmt: skip


def directions(authorized: Matrix, rival: Matrix, inside: int) -> tuple[Direction, ...]:
    """The first `inside` right vectors of an authorized layer, singular values ascending; none where
    that is 0 or less. Raises InvalidArgument for matrices of two shapes, or of fewer vectors."""
    if inside <= 0:
        return ()
    if authorized.shape != rival.shape:
        expected, found = f"the shape {tuple(authorized.shape)}", tuple(rival.shape)
        raise InvalidArgument("rival", expected=expected, found=found)
    if inside > min(rival.shape):
        raise InvalidArgument("inside", expected=f"at most {min(rival.shape)}", found=inside)
    authorized, rival = authorized.double(), rival.double()
    (ours, first), (theirs, second) = _ascending(authorized), _ascending(rival)
    apart = float(torch.linalg.matrix_norm(authorized - rival, 2))
    gaps = (ours - theirs).abs()
    # Beside its singular values a wide matrix has zeros.
    wide = rival.shape[0] < rival.shape[1]
    known = torch.cat([theirs, theirs.new_zeros(1)]) if wide else theirs
    made = []
    for index in range(inside):
        other = second[:, index]
        vector = _nearest(
            first, (ours - ours[index]).abs() <= 1e-9 * float(ours.max()), index, other
        )
        turn = float(min((vector - other).norm(), (vector + other).norm()))
        reach, exact = float(theirs.max()) * turn, float((rival @ vector).norm())
        # Equality is reached where the vectors agree; rounding must not turn it round.
        high = max(float(ours[index]) + float(gaps[index]) + reach, exact)
        others = torch.cat([known[:index], known[index + 1 :]])
        gap = float((ours[index] - others).abs().min()) if len(others) else math.inf
        made.append(
            Direction(
                index=index,
                ceiling=Interval(low=0.0, estimate=exact, high=high, confidence=1.0),
                printed=float(ours[inside - 1]) + float(gaps.min()) + reach,
                turn=math.sqrt(2.0) * min(1.0, apart / gap if gap > 0 else 1.0),
            )
        )
    return tuple(made)


def _nearest(vectors: Matrix, same: Tensor, index: int, other: Tensor) -> Tensor:
    """A right vector. Where its singular value stands several times, any basis is its own: the
    vector nearest the rival's is taken."""
    basis = vectors[:, same]
    vector = basis @ (basis.T @ other)
    return vector / vector.norm() if float(vector.norm()) > 1e-9 else vectors[:, index]


def _ascending(matrix: Matrix) -> tuple[Tensor, Tensor]:
    _, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return values.flip(0), right.flip(0).T
