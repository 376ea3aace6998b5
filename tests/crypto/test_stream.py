"""The secret stream: the cipher it claims, the distributions it claims, nothing shared."""

import hashlib
import hmac
import pickle

import numpy as np
import pytest
import scipy.stats
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from catch11.crypto.stream import KeyedStream, keyed_stream

SECRET = bytes(range(32))


def test_bytes_are_chacha20_under_hmac() -> None:
    mac = hmac.new(SECRET, digestmod=hashlib.sha256)
    for part in (b"recode", b"picture"):
        mac.update(len(part).to_bytes(8, "big") + part)
    cipher = Cipher(algorithms.ChaCha20(mac.digest(), bytes(16)), mode=None).encryptor()
    stream = keyed_stream(SECRET, "recode", b"picture")
    assert stream.bytes(10) + stream.bytes(90) == cipher.update(bytes(100))


def test_golden_bytes() -> None:
    # These must never change: a key would recode the same picture to another file.
    assert keyed_stream(SECRET, "recode", b"a", b"b").bytes(8).hex() == "e406e9a7e129c06b"
    normal = keyed_stream(SECRET, "recode", b"a").normal((4,))
    assert normal.tolist() == pytest.approx([0.634007, 1.265604, 0.689167, -0.907997], abs=1e-5)


def test_framing_separates_parts() -> None:
    first = keyed_stream(SECRET, "p", b"ab", b"c").bytes(16)
    assert first != keyed_stream(SECRET, "p", b"a", b"bc").bytes(16)
    assert first != keyed_stream(SECRET, "pa", b"b", b"c").bytes(16)
    assert first != keyed_stream(bytes(32), "p", b"ab", b"c").bytes(16)


def test_normal_is_normal() -> None:
    values = keyed_stream(SECRET, "normal").normal((200_001,)).numpy()
    assert values.dtype == np.float32
    assert scipy.stats.kstest(values, "norm").pvalue > 1e-3
    pairs = np.corrcoef(values[:100_000], values[100_000:200_000])[0, 1]
    assert abs(pairs) < 0.015


def test_uniform_is_uniform() -> None:
    values = keyed_stream(SECRET, "uniform").uniform((200_000,)).numpy()
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert scipy.stats.kstest(values, "uniform").pvalue > 1e-3


def test_integers_cover_their_range_evenly() -> None:
    values = keyed_stream(SECRET, "integers").integers(7, (70_000,))
    counts = torch.bincount(values, minlength=7).numpy()
    assert len(counts) == 7
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_permutation_is_one() -> None:
    order = keyed_stream(SECRET, "permutation").permutation(1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != list(range(1000))


def test_key_stays_inside() -> None:
    stream = KeyedStream(SECRET)
    assert repr(stream) == "KeyedStream(…)"
    with pytest.raises(TypeError):
        pickle.dumps(stream)
