"""One way of Table 3 with parameters of your own: private training, encryption, polynomials."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from catch11.baselines.dp import check_budget
from catch11.baselines.fhe import Parameters
from catch11.baselines.fhe_net import NET_DEPTH, NET_PARAMETERS
from catch11.baselines.polynomial import Fit, check_fit
from catch11.errors import InvalidArgument
from catch11.evaluation.record import Record, versions
from catch11.recoding.threads import torch_threads
from catch11.studies.place import Place
from catch11.studies.table3 import compute, release
from catch11.studies.table3 import private as hidden
from catch11.studies.table3.tasks import Name, Task, task

WAYS = ("dp-net", "dp-head", "diffprivlib", "ckks-layer", "ckks-net", "polynomials")
TASKS: tuple[Name, ...] = get_args(Name)
ROUTES = {"dp-net": "net", "dp-head": "head", "diffprivlib": "diffprivlib"}
# Pictures judged, pictures of each to train, calibrate or learn the key's strength on.
_SIZES: dict[Name, tuple[int, int]] = {
    "digits": (500, 1297), "thumbnails": (200, 200), "photographs": (20, 16),
}  # fmt: skip
_ASKED = 5  # pictures that are encrypted unless told


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Parameters of the ways; each is used by its own. epsilons, delta: of private training, where
    diffprivlib has no delta. parameters: of CKKS, those of the table unless given. degrees, fit: of
    polynomials. count: pictures judged, or encrypted."""

    epsilons: tuple[float, ...] = (1.0, 3.0, 8.0)
    delta: float = hidden.DELTA
    parameters: Parameters | None = None
    degrees: tuple[int, ...] = (2, 3, 5, 9)
    fit: str = "least-squares"
    count: int | None = None


def alone(place: Place, name: str, way: str, choice: Choice) -> Sequence[Record]:
    """The rows of one way, below those of clean files; encryption beside a spectral NTE of the same
    pictures. Raises InvalidArgument before anything is worked out, MissingExtra, Unavailable."""
    _check(name, way, choice)
    judged, lessons = _SIZES[cast(Name, name)]
    with torch_threads(1):
        few = None if way.startswith("ckks") else choice.count  # NTEs are made in batches
        on = task(place, cast(Name, name), min(few or judged, judged), lessons)
        made = [*release.clean(on, 0), *_rows(on, place, way, choice)]
    command, held = f"catch11 baseline {way}", versions()
    return [
        replace(one, command=command, versions=held, settings={**one.settings, "task": name})
        for one in made
    ]


def _rows(on: Task, place: Place, way: str, choice: Choice) -> list[Record]:
    if way in ROUTES:
        return [
            record
            for epsilon in choice.epsilons
            for record in hidden.private(on, place, epsilon, ROUTES[way], delta=choice.delta)
        ]
    if way == "polynomials":
        return [
            record
            for degree in choice.degrees
            for record in compute.polynomial(on, degree, cast(Fit, choice.fit), True)
        ]
    beside, asked = release.recoded(on, 0, "spectral"), min(choice.count or _ASKED, len(on.windows))
    if way == "ckks-net":
        return [*beside, *compute.encrypted_net(on, asked, choice.parameters or NET_PARAMETERS)]
    found = compute.encrypted_head(on, asked, choice.parameters or compute.HEAD_PARAMETERS)
    return [*beside, *found]


def _check(name: str, way: str, choice: Choice) -> None:
    for what, given, known in (("task", name, TASKS), ("way", way, WAYS)):
        if given not in known:
            raise InvalidArgument(what, expected=f"one of {', '.join(known)}", found=given)
    if way in ("dp-net", "ckks-net") and name != "digits":
        raise InvalidArgument("task", expected=f"digits for {way}", found=name)
    if way in ROUTES and name == "photographs":
        raise InvalidArgument(
            "task", expected="digits or thumbnails for private training", found=name,
            remedy="500 photographs of 1,000 classes train no head",
        )  # fmt: skip
    if choice.count is not None and choice.count < 1:
        raise InvalidArgument("count", expected="1 or more", found=choice.count)
    for epsilon in choice.epsilons:
        check_budget(epsilon, choice.delta)
    for degree in choice.degrees:
        check_fit(degree, choice.fit)
    if choice.parameters is not None and way == "ckks-net":
        choice.parameters.check_depth(NET_DEPTH, "the convolutional net")
