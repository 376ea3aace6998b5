"""Secret randomness: a ChaCha20 stream keyed by HMAC-SHA-256 of what the noise is for.

The torch and numpy generators are never used for secret noise: the CPU one keeps 32 bits of its
seed. The same secret and parts give the same numbers on every device, whatever the batch.
"""

import hashlib
import hmac
import math

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from jaxtyping import Float, Int
from torch import Tensor

from catch11.steady import settle

settle()

_TWO_TO_32 = 4294967296.0


class KeyedStream:
    """A deterministic stream of bytes and numbers under a 32-byte key; reading advances it."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32
        # One key is used for one stream, so the nonce may be constant.
        self._cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()

    def __repr__(self) -> str:
        return "KeyedStream(…)"

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        return self._cipher.update(bytes(count))

    def _words(self, count: int) -> np.ndarray:
        return np.frombuffer(self.bytes(4 * count), dtype="<u4")

    def uniform(self, shape: tuple[int, ...]) -> Float[Tensor, "..."]:
        """Uniform on [0, 1), 24 bits of precision, float32."""
        words = (self._words(math.prod(shape)) >> 8).astype(np.float32)
        words *= np.float32(2.0**-24)
        return torch.from_numpy(words).reshape(shape)

    def normal(self, shape: tuple[int, ...]) -> Float[Tensor, "..."]:
        """Standard normal by Box–Muller, float32; |value| ≤ 6.7 because 32 bits feed the radius."""
        count = math.prod(shape)
        half = (count + 1) // 2
        words = self._words(2 * half)
        # +1 keeps the logarithm finite; the float64 quotient keeps all 32 bits of the tail.
        share = words[:half] + 1.0
        share /= _TWO_TO_32
        radius = np.log(share, out=share).astype(np.float32)
        radius *= np.float32(-2.0)
        np.sqrt(radius, out=radius)
        angle = words[half:].astype(np.float32)
        angle *= np.float32(2.0 * math.pi / _TWO_TO_32)
        values = np.empty(2 * half, dtype=np.float32)
        np.multiply(np.cos(angle, out=values[:half]), radius, out=values[:half])
        np.multiply(np.sin(angle, out=values[half:]), radius, out=values[half:])
        return torch.from_numpy(values[:count]).reshape(shape)

    def integers(self, high: int, shape: tuple[int, ...]) -> Int[Tensor, "..."]:
        """Uniform integers in [0, high), high ≤ 2**31; the bias of one in 2**32 / high is accepted."""
        words = self._words(math.prod(shape)).astype(np.uint64)
        return torch.from_numpy(((words * high) >> 32).astype(np.int64)).reshape(shape)

    def permutation(self, count: int) -> Int[Tensor, " count"]:
        """A uniform permutation of range(count): the order that sorts 64-bit random words."""
        words = np.frombuffer(self.bytes(8 * count), dtype="<u8")
        return torch.from_numpy(np.argsort(words, kind="stable"))


def keyed_stream(secret: bytes, purpose: str, *parts: bytes) -> KeyedStream:
    """The stream for one purpose and one item: HMAC-SHA-256(secret, purpose and length-framed parts)."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (purpose.encode(), *parts):
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return KeyedStream(mac.digest())
