from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.evaluation.doubts import Facts, doubts, doubts_of_models, doubts_of_shares
from catch11.evaluation.record import Record
from catch11.evaluation.roles import named, role_of
from catch11.fronts.find import find_front
from catch11.fronts.fingerprint import module_fingerprint
from catch11.fronts.front import Front
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model

N = 200
GOOD = (True,) * N
HALF = (True, False) * (N // 2)
POOR = (True,) * 20 + (False,) * 180
FILES = tuple(f"{i:03}.png" for i in range(N))
SOUND = Facts(
    authorized="a",
    rivals=("r",),
    files=FILES,
    labels={file: i % 7 for i, file in enumerate(FILES)},
    names=("tench", "goldfish", "great white shark", "ray", "cock", "hen", "ostrich"),
    hits={
        ("a", "clean"): GOOD, ("a", "nte"): GOOD, ("a", "gaussian"): POOR, ("a", "control"): GOOD,
        ("r", "clean"): GOOD, ("r", "nte"): POOR, ("r", "gaussian"): POOR, ("r", "control"): GOOD,
    },
    sourced=True,
)  # fmt: skip


class Case(NamedTuple):
    facts: Facts
    match: str


def _hits(**changed: tuple[bool, ...]) -> dict[tuple[str, str], tuple[bool, ...]]:
    hits = {name: tuple(values) for name, values in SOUND.hits.items()}
    for name, values in changed.items():
        model, _, condition = name.partition("_")
        hits[model, condition] = values
    return hits


FOLDERS = tuple(f"{i % 7}/{i:03}.png" for i in range(N))
NAMED = tuple(f"{i:03}_{SOUND.names[i % 7].replace(' ', '-')}.png" for i in range(N))
CASES = [
    Case(replace(SOUND, hits={name: v[:40] for name, v in SOUND.hits.items()}), "only 40 images"),
    Case(
        replace(SOUND, unlabelled=("x.png", "y.png", "z.png")),
        "3 files have no label and were left out, first x.png",
    ),
    Case(replace(SOUND, rivals=()), "no rival was run"),
    Case(replace(SOUND, sourced=False), "no source was given"),
    Case(replace(SOUND, labels={}), "no labels were given"),
    Case(replace(SOUND, withheld=9), "9 sources were withheld"),
    Case(replace(SOUND, labels=dict.fromkeys(FILES, 0)), "one class makes up 100%"),
    Case(replace(SOUND, hits=_hits(r_clean=POOR)), "r scores 0.10 on clean images"),
    Case(replace(SOUND, hits=_hits(r_control=HALF)), "r loses 0.50 on clean pictures brought"),
    Case(replace(SOUND, hits=_hits(a_gaussian=GOOD)), "no better on the release than on Gaussian"),
    Case(
        replace(SOUND, files=FOLDERS, labels={f: i % 7 for i, f in enumerate(FOLDERS)}),
        "the released folders give the labels away",
    ),
    Case(
        replace(SOUND, files=NAMED, labels={f: i % 7 for i, f in enumerate(NAMED)}),
        "file names hold the class names",
    ),
]


def test_a_sound_evaluation_raises_no_doubt() -> None:
    assert doubts(SOUND) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.match)
def test_each_doubt_is_raised_alone(case: Case) -> None:
    found = doubts(case.facts)
    assert len(found) == 1
    assert case.match in found[0]


CANVAS = plain_canvas(8, 8)


def _model(name: str, module: nn.Module, *, classes: int = 3) -> Model:
    return Model(
        name=name, spec=name, module=module.eval(), canvas=CANVAS,
        labels=tuple(map(str, range(classes))), fingerprint=module_fingerprint(module),
        prepare=canvas_prepare(CANVAS),
    )  # fmt: skip


def _net(seed: int, *, kernel: int = 4, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    front = nn.Conv2d(3, 5, kernel, stride=kernel)
    return nn.Sequential(front, nn.Flatten(), nn.Linear(5 * (8 // kernel) ** 2, classes))


class _Graph:
    """A net that torch does not run."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def run(self, pixel_values: torch.Tensor) -> torch.Tensor:
        raise AssertionError

    def front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        return find_front(self.module, canvas, layer=layer)


def test_roles_and_doubts_of_models() -> None:
    ours = _net(0)
    drifted = _net(0)
    weight = next(drifted.parameters()).data
    weight += 0.001 * torch.randn(weight.shape)
    model = _model("ours", ours)
    rivals = {
        "same": (_model("same", _net(0)), "sibling"),
        "drifted": (_model("drifted", drifted), "sibling"),
        "twin": (_model("twin", _net(1)), "ta"),
        "other": (_model("other", _net(2, kernel=2)), "ga"),
        "wider": (_model("wider", _net(3, classes=9), classes=9), "ga"),
        "graph": (replace(_model("graph", _net(1)), module=None, graph=_Graph(_net(1))), "ga"),
    }
    for rival, role in rivals.values():
        assert role_of(model, rival) == role, rival.name
    found = doubts_of_models(model, [rival for rival, _ in rivals.values()])
    assert any("same is the authorized model itself" in text for text in found)
    assert any("drifted descends from" in text for text in found)
    assert any("wider has 9 classes" in text for text in found)
    assert any("graph has the same weights as twin" in text for text in found)
    assert len(found) == 4


def test_names_are_made_unique() -> None:
    one, other = _model("m", _net(0)), _model("m", _net(1))
    names = list(named([one, other, one]))
    assert names[0] == "m"
    assert names[1] == f"m@{other.fingerprint[:8]}"
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ((), ()),
        ((100, 500), ()),
        ((99,), ("1 of 1 shares are of fewer than 100 items, one of 99: ",)),
        ((24, 500, 60), ("2 of 3 shares are of fewer than 100 items, one of 24: ",)),
    ],
    ids=repr,
)
def test_a_table_of_few_items_is_doubted(counts: tuple[int, ...], found: tuple[str, ...]) -> None:
    row = Record(
        model="m", role="ga", condition="nte", metric="accuracy", value=0.5, low=0.4, high=0.6, n=9
    )
    times = replace(row, metric="seconds", n=3)  # of a number that is no share nothing is said
    told = doubts_of_shares([times, *(replace(row, n=count) for count in counts)])
    assert told == tuple(sentence + "their intervals are wide" for sentence in found)
