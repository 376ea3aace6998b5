"""catch11 baseline: another way to restrict use, with parameters of one's own."""

import json
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from catch11.cli.frame import Answer, command
from catch11.cli.options import Assets
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.baselines.fhe import Parameters

# Which ways an option belongs to, by how their names begin.
OPTIONS = {
    "--epsilon": ("dp-net", "dp-head", "diffprivlib"),
    "--delta": ("dp-net", "dp-head"),
    "--ring": ("ckks-layer", "ckks-net"),
    "--primes": ("ckks-layer", "ckks-net"),
    "--degree": ("polynomials",),
    "--fit": ("polynomials",),
}


@command("Research")
def baseline(
    way: Annotated[
        str,
        typer.Argument(
            metavar="WAY",
            help="dp-net, dp-head, diffprivlib, ckks-layer, ckks-net or polynomials.",
        ),
    ],
    epsilon: Annotated[
        list[float] | None,
        typer.Option(metavar="E", help="Privacy budget; repeatable; 1, 3 and 8 unless given."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(metavar="D", help="Of DP-SGD; 1e-5 unless given.")
    ] = None,
    ring: Annotated[
        int | None, typer.Option(metavar="N", help="Degree of the CKKS ring: 1024 to 32768.")
    ] = None,
    primes: Annotated[
        str | None,
        typer.Option(
            metavar="BITS",
            help="Bits of the CKKS primes, such as 60,40,60: each between the first and the last is "
            "one multiplication deep, and has as many bits as the scale.",
        ),
    ] = None,
    degree: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Of the polynomials; repeatable; 2, 3, 5, 9 unless given."),
    ] = None,
    fit: Annotated[
        str | None, typer.Option(metavar="NAME", help="least-squares or chebyshev.")
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="TASK", help="digits, thumbnails or photographs.")
    ] = "digits",
    count: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pictures judged, or encrypted: 5 unless given."),
    ] = None,
    assets: Assets = None,
) -> Answer:
    """Measure another way to restrict use: private training, encryption, polynomials.

    Rows as `catch11 study table3` prints them, beside clean files, and encryption beside a spectral
    NTE of the same pictures.

    Example: catch11 baseline dp-head --epsilon 1 --epsilon 3 --epsilon 8
    """
    given: dict[str, Any] = {
        "--epsilon": epsilon, "--delta": delta, "--ring": ring, "--primes": primes,
        "--degree": degree, "--fit": fit,
    }  # fmt: skip
    from catch11.studies.place import Place
    from catch11.studies.table3.alone import WAYS, Choice, alone
    from catch11.studies.table3.view import view

    for name, value in given.items():
        if value is not None and way in WAYS and way not in OPTIONS[name]:
            raise InvalidArgument(name, expected=f"with {' or '.join(OPTIONS[name])}", found=way)
    held = {
        "epsilons": None if epsilon is None else tuple(epsilon),
        "delta": delta,
        "parameters": None if ring is None and primes is None else _parameters(ring, primes, way),
        "degrees": None if degree is None else tuple(degree),
        "fit": fit,
        "count": count,
    }
    choice = Choice(**cast(Any, {name: value for name, value in held.items() if value is not None}))
    place = Place(config="digits" if on == "digits" else "local", assets=assets)
    records = alone(place, on, way, choice)
    facts = {"records": [json.loads(record.to_line()) for record in records]}
    return Answer(facts=facts, view=view(records))


def _parameters(ring: int | None, primes: str | None, way: str) -> "Parameters":
    """CKKS parameters; the table's own where one of the two is not given."""
    from catch11.baselines.fhe import Parameters
    from catch11.baselines.fhe_net import NET_PARAMETERS
    from catch11.studies.table3.compute import HEAD_PARAMETERS

    usual = NET_PARAMETERS if way == "ckks-net" else HEAD_PARAMETERS
    try:
        bits = usual.bits if primes is None else tuple(int(one) for one in primes.split(","))
    except ValueError:
        raise InvalidArgument(
            "--primes", expected="whole numbers such as 60,40,60", found=primes
        ) from None
    middle = bits[1] if len(bits) > 1 else usual.scale
    return Parameters(degree=usual.degree if ring is None else ring, bits=bits, scale=middle)
