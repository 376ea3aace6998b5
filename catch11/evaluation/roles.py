"""What a model is beside the authorized one, and one name for each model of a run."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from catch11.errors import Catch11Error
from catch11.evaluation.record import Role
from catch11.fronts.front import DRIFT, Front
from catch11.keys.authorized import Authorized

Some = TypeVar("Some", bound=Authorized)


def role_of(authorized: Authorized | Front | None, rival: Authorized) -> Role:
    """A rival's role: sibling, where its first layer is the authorized one but for a drift; ta, where
    it has the same layers and other weights; ga, any other model, and each where nothing is known of
    the authorized one. A front tells siblings alone."""
    if authorized is None:
        return "ga"
    if not isinstance(authorized, Front) and rival.fingerprint == authorized.fingerprint:
        return "sibling"
    try:
        front = authorized if isinstance(authorized, Front) else authorized.front()
        if rival.front().drift(front) <= DRIFT:
            return "sibling"
    except Catch11Error:
        return "ga"
    layers = _layers(authorized)
    return "ta" if layers is not None and layers == _layers(rival) else "ga"


def roles_of(
    authorized: Authorized | Front | None, models: Mapping[str, Authorized]
) -> dict[str, Role]:
    """The role of each of a run's models; the first that is the authorized one itself is it."""
    found: dict[str, Role] = {}
    for name, one in models.items():
        own = one is authorized and "authorized" not in found.values()
        found[name] = "authorized" if own else role_of(authorized, one)
    return found


def named(models: Sequence[Some]) -> dict[str, Some]:
    """Models by a name of their own; equal names get a piece of the fingerprint."""
    found: dict[str, Some] = {}
    for one in models:
        name = one.name if one.name not in found else f"{one.name}@{one.fingerprint[:8]}"
        while name in found:
            name += "'"
        found[name] = one
    return found


def _layers(model: object) -> list[tuple[int, ...]] | None:
    """Shapes of a torch model's tensors; a graph does not show them and is like no other."""
    module = getattr(model, "module", None)
    return None if module is None else sorted(tuple(v.shape) for v in module.state_dict().values())
