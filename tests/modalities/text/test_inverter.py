"""Inverters read what can be read, and nothing from noise."""

import pytest
import torch

from catch11.errors import InvalidArgument
from catch11.modalities.text.inverter import Learning, leak, read_bag, read_places

WORDS = 12
QUICK = Learning(epochs=30, batch=8, rate=5e-3, width=32)


def documents(count: int, seed: int) -> tuple[list[list[int]], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(WORDS, 16, generator=torch.Generator().manual_seed(0))
    words = [
        torch.randint(WORDS, (int(n),), generator=generator).tolist()
        for n in torch.randint(3, 7, (count,), generator=generator)
    ]
    return words, [table[row] for row in words]


def test_clean_embeddings_are_read_and_noise_is_not() -> None:
    known, rows = documents(60, 1)
    target, seen = documents(20, 2)
    clean = leak(read_places(rows, known, seen, learning=QUICK), target)
    assert clean.place is not None
    assert clean.place > 0.95
    assert clean.token.estimate > 0.95
    assert clean.token.low <= clean.token.estimate <= clean.token.high
    generator = torch.Generator().manual_seed(3)
    noise = [[torch.randn(r.shape, generator=generator) for r in some] for some in (rows, seen)]
    blind = leak(read_places(noise[0], known, noise[1], learning=QUICK), target)
    assert blind.place is not None
    assert blind.place < 0.3
    assert blind.documents == 20


def test_a_bag_is_read_from_a_sum_of_words() -> None:
    known, rows = documents(150, 1)
    target, seen = documents(20, 2)
    sums, others = (torch.stack([r.sum(0) for r in some]) for some in (rows, seen))
    found = leak(read_bag(sums, known, others, learning=QUICK), target)
    noise = torch.randn_like(sums), torch.randn_like(others)
    blind = leak(read_bag(noise[0], known, noise[1], learning=QUICK), target)
    assert found.bag.estimate > 0.8
    assert found.bag.estimate > blind.bag.estimate + 0.2
    assert found.place is None


def test_inverters_leave_the_generator_as_it_was() -> None:
    known, rows = documents(25, 1)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = Learning(epochs=1, width=32)
    first = leak(read_places(rows, known, rows, learning=one), known)
    assert torch.equal(before, torch.random.get_rng_state())
    assert leak(read_places(rows, known, rows, learning=one), known) == first


def test_too_few_documents_are_refused() -> None:
    known, rows = documents(5, 1)
    sums = torch.stack([r.sum(0) for r in rows])
    with pytest.raises(InvalidArgument, match="known: expected 20 documents or more, found 5"):
        read_bag(sums, known, sums, learning=QUICK)
