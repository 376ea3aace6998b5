"""The search stops where the rest would tell nothing; the choice keeps the target; the door shows it."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from catch11.cli import app
from catch11.errors import EmptySubspace, InvalidArgument
from catch11.evaluation import tune
from catch11.evaluation.interval import wilson
from catch11.evaluation.tune import (
    Setting,
    Trial,
    Tuned,
    choose,
    commands,
    search,
    tune_deep,
    tune_spectral,
    tuned_key,
)
from catch11.fronts.fingerprint import module_fingerprint
from catch11.keys.file import load_key, save_key
from catch11.recoding.choose import recoder_for
from catch11.subspaces.rule import Rule
from tests.world import World, build_world


def _trial(setting: Setting, kept: int, rival: int = 0, psnr: float = 10.0) -> Trial:
    return Trial(
        setting=setting, psnr=psnr, kept=wilson(kept, 100), rivals={"r": wilson(rival, 100)},
        shift=0.01,
    )  # fmt: skip


class Line(NamedTuple):
    kept: tuple[int, ...]
    measured: int


@pytest.mark.parametrize(
    "line",
    [Line((100, 99, 98), 3), Line((100, 80, 10), 2), Line((5, 4, 3), 1), Line((), 0)],
    ids=repr,
)
def test_a_line_ends_where_it_has_surely_failed(line: Line) -> None:
    seen: list[Setting] = []

    def measure(setting: Setting) -> Trial:
        seen.append(setting)
        return _trial(setting, int(setting["kept"]))

    told: list[tuple[int, int]] = []
    lines: list[list[Setting]] = [[{"kept": value} for value in line.kept], [{"kept": 100}]]
    trials = search(
        lines, measure, enough=lambda trial: trial.kept.high < 0.98,
        progress=lambda done, total, what: told.append((done, total)),
    )  # fmt: skip
    assert len(seen) == len(trials) == line.measured + 1
    assert told[-1] == (len(line.kept) + 1, len(line.kept) + 1)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_choice_keeps_the_target_and_is_the_hardest_on_rivals() -> None:
    trials = [
        _trial({"psnr": 14.0}, 100, 60, psnr=14.0),
        _trial({"psnr": 10.0}, 98, 20, psnr=10.0),
        _trial({"psnr": 9.0}, 99, 20, psnr=9.0),
        _trial({"psnr": 7.0}, 97, 1, psnr=7.0),
    ]

    def worth(trial: Trial) -> tuple[float, ...]:
        return trial.rival, trial.psnr

    best = choose(trials, 0.98, worth=worth)
    assert best is trials[2]
    assert choose(trials, 1.0, worth=worth) is trials[0]
    assert choose(trials[3:], 0.98, worth=worth) is None


def test_commands_make_the_chosen_release() -> None:
    spectral = commands(_trial({"energy": 5e-4, "psnr": 7.0}, 99), "hf:m")
    assert spectral == (
        "catch11 key hf:m -o my.key --energy 0.0005",
        "catch11 recode SRC DST --key my.key --psnr 7",
    )
    deep = commands(_trial({"at": "features", "steps": 20}, 99), "hf:m")
    assert deep[1].endswith("--model hf:m --keep answer --at features --steps 20")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=16)


def test_spectral_trials_are_what_a_release_would_be(world: World) -> None:
    found = tune_spectral(
        world.model, world.source, rivals=[world.rival], rules=(Rule(kind="energy", value=1e-6),), strengths=(8.0, 20.0),
        count=8,
    )  # fmt: skip
    weak, strong = found.trials
    assert weak.psnr == pytest.approx(20.0, abs=0.5)
    assert strong.psnr == pytest.approx(8.0, abs=0.7)
    assert strong.kept.estimate == 1.0
    assert strong.rival <= weak.rival
    assert strong.unseen == world.key.subspace.dimension
    assert found.chosen is not None
    assert found.chosen.rival == min(trial.rival for trial in found.trials)


def test_each_rank_is_tried_once_and_told(world: World) -> None:
    null, tiles = world.key.subspace.dimension, (24 // 8) ** 2
    rules = [
        Rule(kind="rank", value=3), Rule(kind="energy", value=1e-6),
        Rule(kind="tau", value=1e-3), Rule(kind="energy", value=1e-7),
    ]  # fmt: skip
    found = tune_spectral(
        world.model, world.source, rivals=[world.rival], rules=rules, strengths=(12.0,), count=8
    )
    tried = [(next(iter(trial.setting)), trial.unseen) for trial in found.trials]
    assert tried == [("rank", 3 * tiles), ("energy", null)]
    key, _ = commands(found.trials[0], "m")
    assert key.endswith("--rank 3")


def test_a_rule_that_admits_nothing_is_left_out(world: World) -> None:
    seen = nn.Sequential(nn.Conv2d(3, 200, 8, stride=8), nn.Flatten(), nn.Linear(1800, 4)).eval()
    model = replace(world.model, module=seen, fingerprint=module_fingerprint(seen))
    nothing, some = Rule(kind="energy", value=0.0), Rule(kind="rank", value=2)
    found = tune_spectral(model, world.source, rules=[nothing, some], strengths=(20.0,), count=2)
    assert [trial.unseen for trial in found.trials] == [2 * 9]
    with pytest.raises(EmptySubspace):
        tune_spectral(model, world.source, rules=[nothing], count=2)


def test_a_key_tuned_on_pictures_holds_the_strongest_that_keeps_them(
    world: World, tmp_path: Path
) -> None:
    found = tune_spectral(world.model, world.source, count=8)
    key = tuned_key(world.model, world.source, count=8)
    kept = [trial for trial in found.trials if trial.kept.estimate >= found.target]
    assert found.chosen is not None
    assert found.chosen.psnr == min(trial.psnr for trial in kept)
    assert (key.rule.value, key.psnr) == (
        found.chosen.setting["energy"],
        found.chosen.setting["psnr"],
    )
    save_key(key, tmp_path / "my.key")
    held = load_key(tmp_path / "my.key")
    assert held.psnr == key.psnr
    assert recoder_for(held).settings == recoder_for(key, psnr=key.psnr).settings
    with pytest.raises(
        InvalidArgument, match=r"tune: expected pictures of which a rule keeps 100%"
    ):
        tuned_key(_forgetful(world), world.source, target=1.0, count=8)


def _forgetful(world: World) -> Any:
    """A model whose answers any change of the pixels turns over."""

    class Parity(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 200, 8, stride=8)

        def forward(self, x: Any) -> Any:
            odd = (self.first(x).sum((1, 2, 3)) * 1e4).floor() % 2
            return nn.functional.one_hot(odd.long(), 2).float() + 0.0 * x.sum()

    module = Parity().eval()
    return replace(world.model, module=module, fingerprint=module_fingerprint(module))


def test_the_door_of_keys_tunes_too(world: World, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["key", world.ours, "-o", str(tmp_path / "k"), "--tune", str(world.source)]
    )
    assert done.exit_code == 0, done.output
    assert load_key(tmp_path / "k").psnr is not None
    done = CliRunner().invoke(
        app, ["key", world.ours, "-o", str(tmp_path / "l"), "--tune", "x", "--energy", "1e-6"]
    )
    assert done.exit_code == 2
    assert "tune: expected no rule and no --also beside it" in " ".join(done.output.split())


def test_deep_takes_as_few_steps_as_it_needs(world: World) -> None:
    found = tune_deep(world.model, world.source, steps=(40, 1, 20), count=4, target=1.0)
    steps = [trial.setting["steps"] for trial in found.trials]
    assert steps == [1, 20, 40][: len(steps)]
    assert found.chosen is not None
    assert found.chosen is found.trials[-1]
    assert all(trial.kept.estimate < 1.0 for trial in found.trials[:-1])


class Bad(NamedTuple):
    given: dict[str, object]
    match: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad({"target": 0.0}, "target: expected a share above 0"),
        Bad({"rules": ()}, "rules: expected one value or more"),
        Bad({"count": 0}, "count: expected 1 or more"),
    ],
    ids=repr,
)
def test_refusals(world: World, bad: Bad) -> None:
    with pytest.raises(InvalidArgument, match=bad.match):
        tune_spectral(world.model, world.source, **bad.given)  # type: ignore[arg-type]


def test_a_folder_without_pictures_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InvalidArgument, match="probe: expected readable pictures"):
        tune_spectral(world.model, tmp_path)


def test_the_curve_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept with its interval, the best rival and the target, over the PSNR; a line a rule."""
    trials = tuple(
        _trial({"energy": 1e-3, "psnr": p}, kept, rival, psnr=p)
        for p, kept, rival in ((7.0, 90, 10), (10.0, 99, 30))
    )
    other = (_trial({"rank": 3, "psnr": 8.0}, 100, 0, psnr=8.0),)
    found = Tuned(trials=trials + other, target=0.98, chosen=trials[1])
    drawn: list[Figure] = []
    with monkeypatch.context() as held:
        held.setattr(Figure, "savefig", lambda self, path: drawn.append(self))
        tune.draw(found, tmp_path / "curve.png")
    axes: Any = drawn[0].axes[0]
    first, second = axes.containers
    kept, _, (bars,) = first.lines
    assert kept.get_xydata().tolist() == [[7.0, 0.9], [10.0, 0.99]]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert np.allclose(ends, [[trial.kept.low, trial.kept.high] for trial in trials])
    assert first.get_label() == "kept, energy 0.001"
    assert second.lines[0].get_xydata().tolist() == [[8.0, 1.0]]
    rest = [line.get_xydata().tolist() for line in axes.lines]
    assert [[7.0, 0.1], [10.0, 0.3]] in rest
    assert [[8.0, 0.0]] in rest
    assert [0.98, 0.98] in [list(line.get_ydata()) for line in axes.lines]
    tune.draw(found, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.format == "PNG"


def _run(world: World, *words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["tune", world.ours, str(world.source), *map(str, words)])
    return done.exit_code, done.output


def test_the_door(world: World, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    status, told = _run(
        world, "--rival", world.theirs, "--count", 4, "--energy", "1e-6", "--rank", 5,
        "--psnr", 9, "--psnr", 15, "--json", out, "--plot", tmp_path / "a.svg",
    )  # fmt: skip
    assert status == 0, told
    assert "catch11 recode SRC DST --key my.key --psnr" in told
    assert "on so few pictures" in told
    found = json.loads(out.read_text())
    assert found["target"] == 0.98
    assert [trial["setting"]["psnr"] for trial in found["trials"]][:2] == [15.0, 9.0]
    assert any(trial["setting"].get("rank") == 5 for trial in found["trials"])
    assert "directions" in told
    assert found["chosen"]["kept"]["estimate"] == 1.0
    assert len(found["commands"]) == 2
    assert math.isfinite(found["chosen"]["shift"])
    assert (tmp_path / "a.svg").exists()


def test_the_door_says_when_nothing_keeps_the_target(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = Tuned(trials=(_trial({"energy": 1e-3, "psnr": 7.0}, 50),), target=0.98, chosen=None)
    monkeypatch.setattr(tune, "tune_spectral", lambda *_, **__: poor)
    status, told = _run(world)
    assert status == 1, told
    assert "nothing that was tried keeps 98%" in told
    status, told = _run(world, "--plot", "a.bmp")
    assert status == 2
    assert "plot: expected a file .png" in " ".join(told.split())
