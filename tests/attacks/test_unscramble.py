"""Attacks on releases for personalised copies: each finds the order where there is enough to find."""

import pytest
import torch
from torch import Tensor

from catch11.attacks.frame import Material, attack_of
from catch11.attacks.jury import ClassJury, window_jury
from catch11.attacks.matching import (
    Guess,
    assign,
    climb,
    matrix_of,
    share_right,
    signs_of,
    traits,
)
from catch11.attacks.nets import seeded
from catch11.attacks.recovery import (
    GraphMatching,
    LabelledPermutation,
    SoftOrder,
    SoftPermutation,
    Tuned,
    covariance,
    matched,
    printed,
    tuned_order,
    without_coarse,
)
from catch11.attacks.tiles import cut, paste
from catch11.attacks.unscramble import lay_out, order_of, originals, recover, recover_seen, restore
from catch11.copies.personalize import Copy, make_copy
from catch11.copies.scramble import keyed_scramble
from catch11.crypto.stream import KeyedStream
from catch11.errors import Unsuited
from catch11.recoding.deep.start import noise
from tests.attacks.conftest import CANVAS, PATCH, classes, classifier, pictures

TILE = (PATCH, PATCH)
ORIGINAL = classifier(1, name="ours")
COPY: Copy = make_copy(ORIGINAL, secret=bytes(range(32)))
ORDER = COPY.scramble
SIGN = 1.0 - 2.0 * ORDER.inverted.double()


def sample(count: int, *, seed: int) -> Tensor:
    """Windows whose channels are not alike, so that one order across channels can be found."""
    shown = pictures(count, seed=seed)
    return (shown - 0.5) * torch.tensor([0.6, 0.8, 1.0]).view(1, 3, 1, 1) + 0.45


def material(released: Tensor, **more: object) -> Material:
    return Material(canvas=CANVAS, released=released, rivals={"ours": ORIGINAL}, **more)  # type: ignore[arg-type]


def jury(released: Tensor, clean: Tensor) -> ClassJury:
    return window_jury(
        CANVAS, rivals={"ours": ORIGINAL}, truth={"ours": classes(clean)}, released=released,
        clean=clean,
    )  # fmt: skip


def right(guess: Guess) -> float:
    return share_right(guess, ORDER.source, SIGN)


def test_traits_are_the_moments() -> None:
    windows = pictures(4, seed=1)
    found = traits(windows, TILE)
    tiles = cut(windows, TILE)
    rows = (tiles - tiles.mean((0, 1))).flatten(0, 1)
    torch.testing.assert_close(found.within, rows.T @ rows / len(rows), atol=1e-6, rtol=1e-4)
    grid = (tiles - tiles.mean((0, 1))).reshape(4, 4, 4, -1)
    one, two = grid[:, :, :-1].flatten(0, 2), grid[:, :, 1:].flatten(0, 2)
    torch.testing.assert_close(found.right, one.T @ two / len(one), atol=1e-6, rtol=1e-4)
    scrambled = traits(ORDER(windows), TILE)
    turn = matrix_of(Guess(source=ORDER.source, sign=SIGN, score=0.0))
    torch.testing.assert_close(scrambled.below, turn @ found.below @ turn.T, atol=1e-6, rtol=1e-4)


def test_assignment_keeps_to_its_blocks() -> None:
    gain = torch.randn(12, 12, generator=torch.Generator().manual_seed(1)).double()
    made = assign(gain, 3)
    assert (made.abs().sum(0) == 1).all()
    assert (made.abs().sum(1) == 1).all()
    assert not made[:4, 4:].any()
    best = (made * gain).sum()
    for _ in range(20):
        other = torch.block_diag(*[torch.eye(4)[torch.randperm(4)] for _ in range(3)]).double()
        assert (other * gain.abs()).sum() <= best + 1e-9


def test_a_climb_finds_a_signed_permutation_again() -> None:
    generator = torch.Generator().manual_seed(2)
    root = torch.randn(24, 40, generator=generator).double()
    known = root @ root.T
    truth = Guess(source=torch.randperm(24, generator=generator), sign=torch.randint(2, (24,), generator=generator).double() * 2 - 1, score=0.0)  # fmt: skip
    turn = matrix_of(truth)
    near = turn + 0.3 * torch.randn(24, 24, generator=generator).double()
    found = climb([turn @ known @ turn.T], [known], near, blocks=1)
    assert share_right(found, truth.source, truth.sign) == 1.0
    assert found.score == pytest.approx(1.0)


def test_a_plain_scramble_is_seriated() -> None:
    scrambled = traits(ORDER(sample(100, seed=1)), TILE)
    agree = signs_of(scrambled.within) * SIGN
    assert (agree == agree[0]).all()
    clean = keyed_scramble(bytes(32), shape=CANVAS.shape, tile=TILE, across=False)
    known = traits(sample(100, seed=2), TILE)
    guess = recover(traits(clean(sample(100, seed=1)), TILE), known, blocks=3)
    sign = 1.0 - 2.0 * clean.inverted.double()
    assert share_right(guess, clean.source, sign) > 0.5


def test_noise_that_spares_a_front_gives_the_order() -> None:
    generator = torch.Generator().manual_seed(2)
    seen = torch.linalg.qr(torch.randn(192, 60, generator=generator).double())[0]
    spared = torch.eye(192).double() - 0.95 * seen @ seen.T
    places = torch.arange(PATCH).double()
    near = torch.exp(-(places[:, None] - places).abs() / 6)
    alike = torch.kron(0.3 * torch.eye(3).double() + 0.7, torch.kron(near, near))

    def shown(count: int) -> Tensor:
        like = torch.zeros(count, *CANVAS.shape)
        pair = torch.randn(2, *cut(like, TILE).shape, generator=generator).double()
        return paste(
            0.5 + 0.06 * (pair[0] @ torch.linalg.cholesky(alike).T + pair[1] @ spared), like, TILE
        )

    order = keyed_scramble(bytes(32), shape=CANVAS.shape, tile=TILE, across=False)
    guess = recover_seen(order(shown(60)), shown(60), TILE, blocks=3)
    sign = 1.0 - 2.0 * order.inverted.double()
    assert share_right(guess, order.source, sign) > 0.9


def test_a_jigsaw_is_laid_out_near_its_places() -> None:
    within = keyed_scramble(bytes(32), shape=CANVAS.shape, tile=TILE, across=False)
    guess = lay_out(traits(within(pictures(150, seed=1)), TILE), TILE, 3)
    places = [
        torch.stack([(s % 64) // 8, s % 8], 1).double() for s in (guess.source, within.source)
    ]
    assert float((places[0] - places[1]).norm(dim=1).mean()) < 2.5  # 4.2 for an order by chance


def test_one_pair_gives_the_order() -> None:
    clean = pictures(2, seed=1)
    guess = order_of(clean, ORDER(clean), TILE, 1)
    assert right(guess) > 0.95  # places that never differ cannot be told apart
    back = restore(ORDER(clean), TILE, guess)
    assert float((back - clean).abs().mean()) < 0.01


def test_pairs_undo_a_release() -> None:
    clean, extra = pictures(60, seed=1), pictures(8, seed=2)
    released = ORDER(clean)
    judge = jury(released, clean)
    reads = int((judge.answers(ORIGINAL, clean) == classes(clean)).sum())
    scrambled = int((judge.answers(ORIGINAL, released) == classes(clean)).sum())
    (found,) = attack_of("pair-front")()(material(released, pairs=(extra, ORDER(extra))), judge)
    assert sum(found.hits) >= reads > scrambled  # a map from pairs may hit some more
    assert "pairs" in found.setting


def test_printed_is_what_was_added_in_the_originals_order() -> None:
    made = printed(ORIGINAL, pictures(3, seed=1))
    assert made.shape == (3, *CANVAS.shape)
    assert 0 < float(made.abs().max()) <= 16.5 / 255


def test_coarse_starts_leave_nothing_coarse() -> None:
    start = noise(KeyedStream(bytes(32)), (3, 64, 64))[None]
    rest = without_coarse(start)
    assert float(rest.std()) < 0.17 < float(start.std())


def test_matching_finds_a_strong_trace() -> None:
    root = torch.randn(192, 20, generator=torch.Generator().manual_seed(3)).double()
    known = root @ root.T * torch.linspace(1, 3, 192).outer(torch.linspace(1, 3, 192))
    known -= torch.diag(known.diagonal())
    turn = matrix_of(Guess(source=ORDER.source, sign=SIGN, score=0.0))
    guess = matched(
        turn @ known @ turn.T, known, blocks=1, starts=4, generator=torch.Generator().manual_seed(1)
    )
    assert right(guess) > 0.9
    assert covariance(pictures(2, seed=1), TILE).diagonal().abs().max() == 0


@pytest.mark.parametrize(
    "attack",
    [GraphMatching(simulated=2, starts=2), SoftPermutation(Tuned(steps=2)), LabelledPermutation(Tuned(steps=2))],
    ids=lambda attack: attack.name,
)  # fmt: skip
def test_they_put_tiles_in_one_order_and_try_it_inverted(attack: GraphMatching) -> None:
    clean = pictures(12, seed=1)
    released = ORDER(clean)
    given = material(released, public=pictures(4, seed=2), labelled=(released, classes(clean)))
    plain, turned = attack.run(given, generator=torch.Generator().manual_seed(0))
    assert plain.restored is not None
    assert turned.restored is not None
    assert torch.allclose(turned.restored, 1 - plain.restored, atol=1e-6)
    before, after = (cut(some, TILE).flatten(0, 1) - 0.5 for some in (released, plain.restored))
    guess = order_of(plain.restored, released, TILE, 1)
    assert torch.allclose(guess.undo(before), after, atol=1e-6)  # one order for all tiles
    assert torch.equal(guess.source.sort().values, torch.arange(192))


def test_a_soft_order_that_is_sure_is_the_hard_one() -> None:
    """Scores far apart make the soft permutation the order itself, signs included."""
    shown = ORDER(pictures(3, seed=1))
    order = SoftOrder(TILE, 3, 1, 8)
    turn = matrix_of(Guess(source=ORDER.source, sign=SIGN, score=0.0))
    with torch.no_grad():
        order.scores[0] = 60.0 * turn.abs().float()
        order.signs[0] = 20.0 * turn.sum(1).float()
    guess = order.hard()
    assert right(guess) == 1.0
    assert torch.allclose(order(shown), restore(shown, TILE, guess), atol=1e-4)


def test_an_order_tuned_to_labels_reads_them_better() -> None:
    """As the nearest signed permutation, on the very files that it was tuned to."""
    clean = pictures(40, seed=1)
    released, labels = ORDER(clean), classes(clean)

    def loss(steps: int) -> float:
        with seeded(torch.Generator().manual_seed(0)):
            guess = tuned_order(
                ORIGINAL, released, labels, TILE, 1, Tuned(steps=steps, batch=40),
                generator=torch.Generator().manual_seed(0),
            )  # fmt: skip
        assert ORIGINAL.module is not None
        windows = CANVAS.normalise(restore(released, TILE, guess))
        return float(torch.nn.functional.cross_entropy(ORIGINAL.module(windows), labels))

    assert loss(80) < loss(0)


def test_nobody_to_be_the_original() -> None:
    other = Material(canvas=CANVAS, released=pictures(1, seed=1), rivals={})
    with pytest.raises(Unsuited, match="none is the original"):
        originals(other)
