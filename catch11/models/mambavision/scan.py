"""The selective scan of Mamba, all positions at once."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def selective_scan(
    values: Float[Tensor, "batch inner length"],
    steps: Float[Tensor, "batch inner length"],
    decay: Float[Tensor, "inner state"],
    write: Float[Tensor, "batch state length"],
    read: Float[Tensor, "batch state length"],
    skip: Float[Tensor, " inner"],
) -> Float[Tensor, "batch inner length"]:
    """y_t = ⟨read_t, h_t⟩ + skip·v_t of h_t = exp(s_t·decay)·h_{t-1} + s_t·write_t·v_t, h_{-1} = 0.

    steps: s > 0. decay: below 0, so that every factor lies in (0, 1) and nothing overflows. In
    float32 or wider, whatever the inputs are. Mamba (arXiv 2312.00752), equation 2.
    """
    wide = torch.promote_types(values.dtype, torch.float32)
    v, s, a, b, c = (one.to(wide) for one in (values, steps, decay, write, read))
    factors = torch.exp(torch.einsum("bdl,dn->bdnl", s, a))
    states = linear_recurrence(factors, torch.einsum("bdl,bnl->bdnl", s * v, b))
    made = torch.einsum("bdnl,bnl->bdl", states, c) + skip.to(wide)[:, None] * v
    return made.to(values.dtype)


def linear_recurrence(
    factors: Float[Tensor, "*lead length"], added: Float[Tensor, "*lead length"]
) -> Float[Tensor, "*lead length"]:
    """h_t = factors_t·h_{t-1} + added_t, h_{-1} = 0, in ⌈log₂ length⌉ passes over all positions.

    After the pass of reach r, position t holds the sum over its last 2r positions and the product of
    their factors: two such spans join as (f, a) and (g, b) to (f·g, g·a + b).
    """
    reach, length = 1, factors.shape[-1]
    while reach < length:
        before = F.pad(added[..., :-reach], (reach, 0))
        added = added + factors * before
        factors = factors * F.pad(factors[..., :-reach], (reach, 0), value=1.0)
        reach *= 2
    return added
