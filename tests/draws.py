"""Every random draw of a test comes from its name, so that no run fails by bad luck.

Keys and copies take their secrets from the operating system. In tests, `secrets.token_bytes` and
the global generators of random, numpy and torch are seeded from the name of the test or fixture
at work, whatever ran before it and on whichever worker; hypothesis draws the same examples every
time. `CATCH11_SEED=7 make test` draws others: a law that holds must hold there too.
"""

import os
import random
import secrets
from collections.abc import Generator

import numpy as np
import pytest
import torch
from hypothesis import settings

SEED = os.environ.get("CATCH11_SEED", "")
_draws = random.Random()


def _start(name: str) -> None:
    _draws.seed(f"{SEED} {name}")
    random.seed(_draws.random())
    np.random.seed(_draws.getrandbits(32))
    torch.manual_seed(_draws.getrandbits(63))


def _drawn(nbytes: int | None = None) -> bytes:
    return _draws.randbytes(32 if nbytes is None else nbytes)


def pytest_configure() -> None:
    """From here on this process draws no secret from the operating system."""
    settings.register_profile("catch11", deadline=None, derandomize=not SEED)
    settings.load_profile("catch11")
    secrets.token_bytes = _drawn


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """A fixture draws from its own name, and what asked for it goes on where it was."""
    kept = _draws.getstate(), random.getstate(), np.random.get_state(), torch.get_rng_state()
    _start(f"{request.node.nodeid} {fixturedef.argname} {getattr(request, 'param_index', 0)}")
    try:
        return (yield)
    finally:
        _draws.setstate(kept[0])
        random.setstate(kept[1])
        np.random.set_state(kept[2])
        torch.set_rng_state(kept[3])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test draws from its own name."""
    _start(item.nodeid)
    return (yield)
