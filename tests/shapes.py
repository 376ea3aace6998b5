"""The run-time type checker of the tests: beartype, with int accepted where float is asked, for the first
calls of each function in a process and some later ones. Checked at every call, the suite took twice the time.

Beartype looks at one member of a container, which it draws. It gets a generator of its own:
with the global one, a server's threads would move the numbers that a test draws beside them.
"""

import random
from collections import Counter
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction, isfunction
from types import CodeType
from typing import Any

import jaxtyping
import torch

_kept, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import BeartypeConf, beartype  # noqa: E402 - it takes the name as it is imported

random.getrandbits = _kept

FIRST, EVERY = 64, 32  # calls that are checked: the first, and one of so many after them

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_calls: Counter[CodeType] = Counter()
_checked = jaxtyping.jaxtyped


def sampled(*, typechecker: Any) -> Callable[[Any], Any]:
    """`jaxtyping.jaxtyped`, which looks at some calls of a function; of functions within functions counted together."""
    always = _checked(typechecker=typechecker)

    def decorate(made: Any) -> Any:
        if not isfunction(made) or iscoroutinefunction(made):
            return always(made)
        code = made.__code__
        if _calls[code] >= FIRST:  # within a function that was called often
            return made
        looked = always(made)

        @wraps(made)
        def call(*args: Any, **given: Any) -> Any:
            _calls[code] += 1
            seldom = _calls[code] > FIRST and _calls[code] % EVERY
            # What looks would stand in one trace and not in the next.
            traced = torch.jit.is_tracing()
            return (made if seldom or traced else looked)(*args, **given)

        return call

    return decorate


jaxtyping.jaxtyped = sampled  # type: ignore[assignment]
