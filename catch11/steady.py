"""The same numbers from torch in every thread of a process, from its first call on.

torch hands sqrt, exp, sin and their like to MKL, which chooses the code of each at its first call. Where
two threads make that call at once, one of them may be given code of 30 to 40 right bits of 53
(pytorch issue 188792; MKL before 2025.0). A release of two workers then has other bytes than the same
release of one.
"""

from functools import cache

import torch

ELEMENTWISE = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc", "erfinv",
    "exp", "exp2", "expm1", "floor", "lgamma", "log", "log10", "log1p", "log2", "round", "rsqrt",
    "sigmoid", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
"""The functions of torch that may be MKL's."""


@cache
def settle() -> None:
    """Calls each function once, of both widths, in this thread alone: 2 ms."""
    for width in (torch.float32, torch.float64):
        one = torch.full((1,), 0.5, dtype=width)
        for name in ELEMENTWISE:
            getattr(torch, name)(one)
