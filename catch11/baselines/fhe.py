"""Encrypted inference with CKKS (Cheon et al. 2017) through TenSEAL: the two sides, and bytes between.

The client makes all keys and keeps the secret one. What it sends is a public context and ciphertexts;
the server computes on those and answers with ciphertexts. It never holds what decrypts them. Decrypted
answers are approximate and must not go back to the server: their noise tells of the secret key
(Li & Micciancio 2021).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.baselines.library import library, quiet
from catch11.errors import InvalidArgument

PROTECTS = "the input and the answer, against a server that follows the protocol"
# Largest total of coefficient bits at 128-bit security (HomomorphicEncryption.org standard, 2018).
SECURE_BITS = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}
_PRIME = (20, 60)  # bits of one coefficient prime
_WHOLE = 4  # bits that the first prime has above the scale, one of them the sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """CKKS parameters. degree: of the polynomial ring; half as many slots. bits: of the coefficient
    primes; the first and last are not for computing, each one between is one multiplication deep.
    scale: bits of the fixed point; the middle primes have as many, and the first some more: they
    hold the whole part of an answer, and a larger one would wrap round unnoticed."""

    degree: int = 8192
    bits: tuple[int, ...] = (60, 40, 40, 60)
    scale: int = 40

    def __post_init__(self) -> None:
        if self.degree not in SECURE_BITS:
            expected = f"one of {', '.join(map(str, SECURE_BITS))}"
            raise InvalidArgument("degree", expected=expected, found=self.degree)
        low, high = _PRIME
        if len(self.bits) < 3 or not all(low <= one <= high for one in self.bits):
            raise InvalidArgument(
                "bits", expected=f"three primes or more of {low} to {high} bits", found=self.bits
            )
        if sum(self.bits) > SECURE_BITS[self.degree]:
            raise InvalidArgument(
                "bits", expected=f"at most {SECURE_BITS[self.degree]} in all for degree {self.degree}",
                found=sum(self.bits), remedy="take a larger degree or a shallower net",
            )  # fmt: skip
        if set(self.bits[1:-1]) != {self.scale} or self.scale > self.bits[0] - _WHOLE:
            raise InvalidArgument(
                "scale",
                expected=f"as many bits as each middle prime, {_WHOLE} fewer than the first or less",
                found=f"{self.scale} for {self.bits}",
            )

    @property
    def depth(self) -> int:
        """How many multiplications can follow each other."""
        return len(self.bits) - 2

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.degree // 2

    def check_depth(self, needed: int, what: str) -> None:
        """Raises InvalidArgument where a computation is deeper than these parameters."""
        if needed > self.depth:
            raise InvalidArgument(
                "bits", expected=f"{needed} primes between the first and the last for {what}",
                found=self.depth, remedy="add primes, and a larger degree where they no longer fit",
            )  # fmt: skip


class Client:
    """Makes the keys, encrypts and decrypts. Its repr shows no key, and no method gives one away."""

    def __init__(self, parameters: Parameters) -> None:
        tenseal = library("tenseal", package="tenseal")
        self.parameters = parameters
        with quiet():
            self._context = tenseal.context(
                tenseal.SCHEME_TYPE.CKKS,
                poly_modulus_degree=parameters.degree,
                coeff_mod_bit_sizes=list(parameters.bits),
                n_threads=1,
            )
            self._context.global_scale = 2.0**parameters.scale
            self._context.generate_galois_keys()

    def __repr__(self) -> str:
        return f"Client({self.parameters})"

    def public(self) -> bytes:
        """What the server needs: parameters, public, relinearisation and rotation keys."""
        return bytes(self._context.serialize(save_secret_key=False))

    def encrypt(self, values: Float[Tensor, " slot"]) -> bytes:
        """A vector of at most `slots` numbers as one ciphertext."""
        if not 0 < len(values) <= self.parameters.slots:
            raise InvalidArgument(
                "values", expected=f"1 to {self.parameters.slots} numbers", found=len(values)
            )
        tenseal = library("tenseal", package="tenseal")
        with _sentence("values", expected="finite numbers that the primes can hold"):
            return bytes(tenseal.ckks_vector(self._context, values.double().tolist()).serialize())

    def encrypt_windows(
        self, image: Float[Tensor, "height width"], *, kernel: int, stride: int
    ) -> bytes:
        """A picture of one channel, its sliding windows laid out for an encrypted convolution."""
        if (
            image.numel() == 0
            or windows_of(image, kernel=kernel, stride=stride).numel() > self.parameters.slots
        ):
            raise InvalidArgument(
                "image", expected=f"windows of at most {self.parameters.slots} numbers in all",
                found=tuple(image.shape),
            )  # fmt: skip
        tenseal = library("tenseal", package="tenseal")
        with _sentence("image", expected="finite numbers that the primes can hold"):
            made, _ = tenseal.im2col_encoding(
                self._context, image.double().tolist(), kernel, kernel, stride
            )
        return bytes(made.serialize())

    def decrypt(self, data: bytes) -> Float[Tensor, " slot"]:
        """The numbers of a ciphertext made under this client's keys. CKKS does not authenticate:
        under other keys, or after a change, they are numbers too, and mean nothing."""
        held = _vector(self._context, data)
        with _sentence("data", expected="a CKKS ciphertext of these parameters"):
            return torch.tensor(held.decrypt())

    def key_bytes(self) -> Mapping[str, int]:
        """Size of each key as it would be written down; all but the secret one are in `public`."""
        names = ("secret_key", "public_key", "relin_keys", "galois_keys")
        nothing = {f"save_{name}": False for name in names}
        bare = len(self._context.serialize(**nothing))
        return {
            name: len(self._context.serialize(**{**nothing, f"save_{name}": True})) - bare
            for name in names
        }


class Server:
    """Computes on ciphertexts with what a client sent. Refuses a context that holds a secret key."""

    def __init__(self, public: bytes) -> None:
        tenseal = library("tenseal", package="tenseal")
        with quiet(), _sentence("public", expected="a CKKS context"):
            self._context = tenseal.context_from(public, n_threads=1)
        if self._context.has_secret_key():
            raise InvalidArgument(
                "public", expected="a context without the secret key", found="one with it"
            )

    def __repr__(self) -> str:
        return "Server()"

    def answer(self, data: bytes, circuit: Callable[[Any], Any]) -> bytes:
        """The circuit's ciphertext for a client's ciphertext. Raises InvalidArgument for bytes that
        are none, and for a circuit that is deeper than the primes or does not fit the numbers."""
        asked = _vector(self._context, data)
        try:
            return bytes(circuit(asked).serialize())
        except ValueError as error:
            if "scale out of bounds" in str(error) or "end of modulus" in str(error):
                raise InvalidArgument(
                    "bits", expected="as many primes as the circuit multiplies", found="too few"
                ) from None
            raise InvalidArgument(
                "circuit", expected="one that fits the encrypted numbers", found=error
            ) from None


def windows_of(
    image: Float[Tensor, "height width"], *, kernel: int, stride: int
) -> Float[Tensor, "place pixel"]:
    """im2col: every window of a picture as a row; a convolution is then one matrix product."""
    if not (0 < kernel <= min(image.shape) and stride > 0):
        raise InvalidArgument(
            "kernel", expected="a kernel within the picture and a stride above 0",
            found=(kernel, stride, tuple(image.shape)),
        )  # fmt: skip
    tiles = image.unfold(0, kernel, stride).unfold(1, kernel, stride)
    return tiles.reshape(-1, kernel * kernel).contiguous()


def linear_circuit(
    weight: Float[Tensor, "output input"], bias: Float[Tensor, " output"]
) -> Callable[[Any], Any]:
    """W x + b on an encrypted x: one multiplication deep."""
    rows, offset = weight.T.double().tolist(), bias.double().tolist()
    return lambda values: values.mm(rows).add(offset)


def _vector(context: Any, data: bytes) -> Any:
    """A ciphertext from its bytes. TenSEAL reads none as a ciphertext of nothing."""
    if not data:
        raise InvalidArgument("data", expected="a CKKS ciphertext", found="no bytes")
    with _sentence("data", expected="a CKKS ciphertext of these parameters"):
        return library("tenseal", package="tenseal").ckks_vector_from(context, data)


@contextmanager
def _sentence(name: str, *, expected: str) -> Iterator[None]:
    """What TenSEAL refuses, as one sentence."""
    try:
        yield
    except (ValueError, RuntimeError, TypeError) as error:
        raise InvalidArgument(name, expected=expected, found=error) from None
