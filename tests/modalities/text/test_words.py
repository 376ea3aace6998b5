"""Models that answer in several words: the least gap over the words decides, and the end is heeded."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.canvas.plain import plain_canvas
from catch11.crypto.stream import KeyedStream
from catch11.keys.key import build_key
from catch11.recoding.deep.agreement import parse_agreement
from catch11.recoding.deep.question import Question
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.deep.target import Reciting, Target

WORDS, LETTERS = 3, 5
CANVAS = plain_canvas(4, 4)


class Teller(nn.Module):
    """Each word is a linear map of the window; the second picture's answer ends after one word."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layer = nn.Conv2d(3, WORDS * LETTERS, 4, bias=False)
        with torch.no_grad():
            weight = torch.randn(self.layer.weight.shape, generator=generator)
            self.layer.weight.copy_(weight)
        self.requires_grad_(False).eval()

    def forward(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch word"]:
        return self.recite(values, torch.zeros(len(values), 1, dtype=torch.long))[:, 0]

    def words_of(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Int[Tensor, "batch word"]:
        words = self._told(values).argmax(2)
        words[1:2, 1:] = -1
        return words

    def recite(
        self, values: Float[Tensor, "batch channel height width"], words: Int[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word vocabulary"]:
        return self._told(values)[:, : words.shape[1]]

    def _told(self, values: Tensor) -> Tensor:
        return self.layer(values).flatten(1).view(len(values), WORDS, LETTERS)


def windows(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def streams(count: int = 3) -> list[KeyedStream]:
    return [KeyedStream(bytes([i]) * 32) for i in range(count)]


def test_every_word_counts_up_to_the_end() -> None:
    teller = Teller()
    assert isinstance(teller, Reciting)
    target = Target(teller, CANVAS, {"logits": 1.0})
    question = Question(
        windows(), streams(), targets=(target,), survive=(), canvas=CANVAS,
        agreement=parse_agreement("top1", margin=0.0),
    )  # fmt: skip
    points = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
    rows = torch.arange(3)
    gap, pull = question.gap(points, rows)
    wanted = teller.words_of(CANVAS.normalise(windows()))
    told = teller.recite(CANVAS.normalise(points), wanted)
    for row in rows.tolist():
        leads, entropies = [], []
        for place in range(WORDS):
            word = int(wanted[row, place])
            if word < 0:
                continue
            rest = torch.cat([told[row, place, :word], told[row, place, word + 1 :]])
            leads.append(told[row, place, word] - rest.max())
            entropies.append(-told[row, place].log_softmax(0)[word])
        torch.testing.assert_close(gap[row], torch.stack(leads).min())
        torch.testing.assert_close(pull[row], torch.stack(entropies).sum())
    assert torch.isfinite(torch.autograd.grad(pull.sum(), points)[0]).all()
    back, _ = question.gap(points.detach()[[2, 0]].requires_grad_(), torch.tensor([2, 0]))
    torch.testing.assert_close(back, gap[[2, 0]])


def test_a_release_says_the_same_words() -> None:
    teller = Teller()
    key = build_key(teller, canvas=CANVAS)
    made = DeepRecoder(teller, key, margin=0.01, steps=200, radius=100.0)(windows())
    before, after = (
        teller.recite(CANVAS.normalise(some), teller.words_of(CANVAS.normalise(windows()))).argmax(
            2
        )
        for some in (windows(), made.images)
    )
    for row, reason in enumerate(made.reasons):
        if reason is None:
            count = 1 if row == 1 else WORDS
            assert torch.equal(before[row, :count], after[row, :count])
    assert any(reason is None for reason in made.reasons)
