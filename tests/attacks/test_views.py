from functools import partial
from typing import NamedTuple

import pytest
import torch

from catch11.attacks.frame import attack_of
from catch11.attacks.purify import crop
from catch11.attacks.views import VIEWS, averaged
from tests.attacks.conftest import Scene

torch.set_num_threads(1)
WHOLE = partial(crop, share=1.0, place=(0.0, 0.0), flip=False)


class Least(NamedTuple):
    name: str
    hits: int  # of 60, by a rival that gets 15 by guessing


LEAST = [Least("views", 32)]


@pytest.mark.parametrize("row", LEAST, ids=repr)
def test_what_averaged_answers_get(scene: Scene, row: Least) -> None:
    (as_is,) = attack_of("none")()(scene.material, scene.jury)
    (found,) = attack_of(row.name)()(scene.material, scene.jury)
    assert sum(found.hits) >= max(row.hits, sum(as_is.hits))
    assert found.tries == len(VIEWS)
    assert found.psnr is None, "no picture is restored"


def test_one_whole_view_is_the_rival_s_own_answer(scene: Scene) -> None:
    made = averaged(
        scene.material.released, rival=scene.rival, canvas=scene.canvas, changes=[WHOLE, WHOLE]
    )
    own = scene.jury.answers(scene.rival, scene.material.released)
    assert torch.equal(made.argmax(1), own)
    torch.testing.assert_close(made.exp().sum(1), torch.ones(len(made)))
