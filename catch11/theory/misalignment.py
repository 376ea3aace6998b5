"""Two first layers as matrices: how a rival's answers noise the authorized one does not see, and what
the paper's Theorem 2, as it was restated for this project, says of it, and what holds instead. Singular values ascending."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.metrics import Interval

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


def printed_theorem_2(authorized: Matrix, rival: Matrix, index: int, *, tau: float) -> float:
    """The paper's Theorem 2 with ε the *smallest* gap |σ_j(W₁) − σ_j(W₂)|: its claim that
    ‖W₂v₁ᵢ‖ ≤ τ + ε + ‖W₂‖₂·‖v₁ᵢ − v₂ᵢ‖.

    Rebuilt from a description of the theorem and of what is wrong with it; the printed text was
    not at hand when this was written. In this form it is false: W₁ = 0.01·I, W₂ = diag(1, 5), τ = 0.01, i = 2 gives 1 where ‖W₂v₁ᵢ‖ = 5; a minimum
    stands where index i's own gap is needed. Being an upper bound it could not certify that a rival
    degrades even if it held. Kept to show that; use `rival_ceiling` and `rival_floor`.
    """
    return _printed(_Spectra.of(authorized, rival).pair(index), tau)


def rival_ceiling(authorized: Matrix, rival: Matrix, index: int) -> Interval:
    """‖W₂v₁ᵢ‖ with its upper bound as the paper's proof has it before ε enters:
    σᵢ(W₁) + |σᵢ(W₁) − σᵢ(W₂)| + ‖W₂‖₂·‖v₁ᵢ − s·v₂ᵢ‖, s aligning the signs.

    Says how far at most; a small value would be bad news, a large one says nothing. index: from 0,
    singular values ascending, as everywhere here.
    """
    return _ceiling(_Spectra.of(authorized, rival).pair(index))


def wedin_turn(authorized: Matrix, rival: Matrix, index: int) -> float:
    """Bound on ‖v₁ᵢ − s·v₂ᵢ‖ ≤ √2·sin Θ ≤ √2·‖W₁ − W₂‖₂/gap from singular values and distance
    alone (Wedin 1972); Hoffman–Wielandt, which the paper cites, speaks of singular values only.
    The gap is from σᵢ(W₁) to the other singular values of W₂; without one the bound is √2."""
    spectra = _Spectra.of(authorized, rival)
    spectra.pair(index)
    return _wedin(spectra, index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One insensitive right vector vᵢ of the authorized layer at a rival's. ceiling: see
    `rival_ceiling`; printed: see `printed_theorem_2`, with τ = σᵢ of the last one inside; turn: see
    `wedin_turn`."""

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
    that is 0 or less. Raises InvalidArgument for matrices of two shapes."""
    if inside <= 0:
        return ()
    spectra = _Spectra.of(authorized, rival)
    tau = float(spectra.ours[inside - 1])
    return tuple(
        Direction(
            index=index,
            ceiling=_ceiling(spectra.pair(index)),
            printed=_printed(spectra.pair(index), tau),
            turn=_wedin(spectra, index),
        )
        for index in range(inside)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spectra:
    """Two matrices of one shape: singular values, ascending, right vectors, and ‖W₁ − W₂‖₂."""

    rival: Tensor
    ours: Tensor
    first: Tensor
    theirs: Tensor
    second: Tensor
    apart: float
    wide: bool

    @classmethod
    def of(cls, authorized: Matrix, rival: Matrix) -> "_Spectra":
        if authorized.shape != rival.shape:
            expected, found = f"the shape {tuple(authorized.shape)}", tuple(rival.shape)
            raise InvalidArgument("rival", expected=expected, found=found)
        authorized, rival = authorized.double(), rival.double()
        ours, first = _ascending(authorized)
        theirs, second = _ascending(rival)
        return cls(
            rival=rival, ours=ours, first=first, theirs=theirs, second=second,
            apart=float(torch.linalg.matrix_norm(authorized - rival, 2)),
            wide=authorized.shape[0] < authorized.shape[1],
        )  # fmt: skip

    def pair(self, index: int) -> "_Pair":
        """Right vectors of one index, signs aligned. Where the first has equal values, any basis is its
        own: the vector nearest the other's is taken. Raises InvalidArgument."""
        if not 0 <= index < len(self.ours):
            expected = f"0 to {len(self.ours) - 1}"
            raise InvalidArgument("index", expected=expected, found=index)
        same = (self.ours - self.ours[index]).abs() <= 1e-9 * float(self.ours.max())
        basis, other = self.first[:, same], self.second[:, index]
        vector = basis @ (basis.T @ other)
        vector = vector / vector.norm() if float(vector.norm()) > 1e-9 else self.first[:, index]
        turn = float(min((vector - other).norm(), (vector + other).norm()))
        return _Pair(
            value=float(self.ours[index]),
            gap=float((self.ours[index] - self.theirs[index]).abs()),
            least=float((self.ours - self.theirs).abs().min()),
            exact=float((self.rival @ vector).norm()),
            reach=float(self.theirs.max()) * turn,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """σᵢ(W₁), its gap to σᵢ(W₂), the least gap of all, ‖W₂v₁ᵢ‖ and ‖W₂‖₂·‖v₁ᵢ − s·v₂ᵢ‖."""

    value: float
    gap: float
    least: float
    exact: float
    reach: float


def _printed(pair: _Pair, tau: float) -> float:
    return tau + pair.least + pair.reach


def _ceiling(pair: _Pair) -> Interval:
    # Equality is reached where the vectors agree; rounding must not turn it round.
    high = max(pair.value + pair.gap + pair.reach, pair.exact)
    return Interval(low=0.0, estimate=pair.exact, high=high, confidence=1.0)


def _wedin(spectra: _Spectra, index: int) -> float:
    others = torch.cat([spectra.theirs[:index], spectra.theirs[index + 1 :]])
    if spectra.wide:
        others = torch.cat([others, torch.zeros(1, dtype=others.dtype)])
    gap = float((spectra.ours[index] - others).abs().min()) if len(others) else math.inf
    return math.sqrt(2.0) * min(1.0, spectra.apart / gap if gap > 0 else 1.0)


def _ascending(matrix: Matrix) -> tuple[Tensor, Tensor]:
    _, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return values.flip(0), right.flip(0).T
