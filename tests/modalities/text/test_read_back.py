import pytest
import torch

from catch11.errors import InvalidArgument
from catch11.modalities.text.read_back import nearest_tokens, recovery


def _text() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(300, 16, generator=generator)
    words = torch.randint(300, (7, 60), generator=generator)
    return table, words, table[words]


def test_plain_embeddings_are_read_and_noise_is_not() -> None:
    table, words, plain = _text()
    mask = torch.ones_like(words, dtype=torch.bool)
    mask[:, 50:] = False
    assert recovery(plain, table, words, mask).estimate == 1.0
    assert recovery(3.0 * plain, table, words, mask).estimate == 1.0  # by direction
    noise = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1))
    found = recovery(noise, table, words, mask)
    assert found.estimate < 0.05


def test_nearest_is_the_slow_nearest() -> None:
    table, _, plain = _text()
    off = plain + 0.8 * torch.randn(plain.shape, generator=torch.Generator().manual_seed(2))
    slow = (off[..., None, :] - table).norm(dim=-1).argmin(-1)
    assert torch.equal(nearest_tokens(off, table, nearness="euclidean"), slow)
    with pytest.raises(InvalidArgument, match="embeddings: expected 16 features"):
        nearest_tokens(plain[..., :8], table)
