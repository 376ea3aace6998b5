"""What encrypted inference costs: measured constants, what they say of large nets, and figures of
others, each with its source.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

from catch11.baselines.fhe import Client, Parameters, Server, linear_circuit
from catch11.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """The size of a net for one picture: multiply-and-adds, and numbers that go through a ReLU or
    GELU; what softmax and LayerNorm would cost is left out, so that a floor stays one."""

    products: float
    activations: float
    source: str


# Products as listed by timm for 224 x 224; activations counted layer by layer (the tests do it again).
NETS: Mapping[str, Net] = {
    "ResNet-50": Net(
        products=4.1e9, activations=9_608_704, source="timm: 4.1 GMAC; 49 ReLUs counted"
    ),
    "ViT-B/16": Net(
        products=17.6e9, activations=7_262_208, source="timm: 17.6 GMAC; 12 GELUs of 197 x 3,072"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A figure that was not measured here."""

    what: str
    figure: str
    source: str


QUOTED: tuple[Quoted, ...] = (
    Quoted(
        what="one ImageNet picture under homomorphic encryption",
        figure="more than 30 min (1,800 s)",
        source="Catch-Only-One (arXiv 2510.10982), cost comparison",
    ),
    Quoted(
        what="ResNet-20 on CIFAR-10, RNS-CKKS with bootstrapping, 112 cores, 512 GB",
        figure=".907 right, about 4 hours",
        source="J.-W. Lee et al. 2021, arXiv 2106.07229, abstract",
    ),
    Quoted(
        what="the same with multiplexed parallel convolutions",
        figure="4.67 times less latency, 134 times less a picture of many",
        source="E. Lee et al. 2022, ICML, abstract",
    ),
    Quoted(
        what="ResNet-20 on CIFAR-10, OpenFHE, polynomial ReLU",
        figure=".838 right, 1,145 s a picture; by scheme switching .898, 1,697 s",
        source="arXiv 2508.11575 (2025), abstract",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """CPU seconds of single encrypted steps on one thread, at these parameters. diagonal: one
    rotation, product with a plain vector and sum; square: ciphertext by itself, relinearised."""

    parameters: Parameters
    diagonal: float
    square: float
    encrypt: float
    decrypt: float


def measure_constants(parameters: Parameters, *, size: int = 32, rounds: int = 3) -> Constants:
    """Medians of a few rounds on vectors of `size` numbers. Raises InvalidArgument, MissingExtra."""
    if size < 2 or rounds < 1:
        raise InvalidArgument(
            "size", expected="2 or more, in 1 round or more", found=(size, rounds)
        )
    client = Client(parameters)
    server = Server(client.public())
    values = torch.linspace(-1, 1, size)
    asked = client.encrypt(values)
    matrix = linear_circuit(torch.eye(size), torch.zeros(size))

    def seconds(act: Callable[[], object]) -> float:
        taken = []
        for _ in range(rounds):
            start = time.process_time()
            act()
            taken.append(time.process_time() - start)
        return median(taken)

    idle = seconds(lambda: server.answer(asked, lambda given: given))
    return Constants(
        parameters=parameters,
        diagonal=max(seconds(lambda: server.answer(asked, matrix)) - idle, 0.0) / size,
        square=max(seconds(lambda: server.answer(asked, lambda given: given * given)) - idle, 0.0),
        encrypt=seconds(lambda: client.encrypt(values)),
        decrypt=seconds(lambda: client.decrypt(asked)),
    )


def least_seconds(net: Net, constants: Constants) -> float:
    """A floor: every slot of every ciphertext used, one square an activation, no bootstrapping."""
    slots = constants.parameters.slots
    return (net.products * constants.diagonal + net.activations * constants.square) / slots


def scaled_seconds(net: Net, *, seconds: float, products: float) -> float:
    """The time of a small net that was measured, by the number of products: the same packing."""
    if not (seconds > 0 and products > 0):
        raise InvalidArgument(
            "seconds", expected="a measured time and its products", found=(seconds, products)
        )
    return net.products * seconds / products
