"""The twin: pictures moved one by one, a training that is taken up after a stop, weights that are kept."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from catch11.models.files.nets import CifarResNet
from catch11.models.load import load_picture_model
from catch11.studies.nets import twin as twins
from catch11.studies.nets.twin import Schooling, moved, teach, twin, twin_path
from catch11.studies.place import Place

DIGITS = Place(config="digits")
SHORT = Schooling(pictures=400, epochs=4, rate=0.05, batch=32, shift=1)


@pytest.mark.parametrize("shift", [0, 1, 4])
def test_every_picture_is_one_of_its_own_windows(shift: int) -> None:
    images = torch.rand(40, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    made = moved(images, shift, torch.Generator().manual_seed(1))
    seen = set()
    for image, one in zip(images, made, strict=True):
        ways = {}
        for mirrored in (False, True):
            whole = functional.pad(image.flip(2) if mirrored else image, (shift,) * 4)
            for down in range(2 * shift + 1):
                for across in range(2 * shift + 1):
                    part = whole[:, down : down + 9, across : across + 12]
                    ways[mirrored, down, across] = part
        found = [way for way, part in ways.items() if torch.equal(part, one)]
        assert found
        seen.add(found[0])
    assert len(seen) > (1 if shift == 0 else 5)


def _lesson() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        net.append(nn.Linear(8 * 36, 10))
    shown = DIGITS.pictures("thumbnails", SHORT.pictures, part="train")
    return net, shown.windows(DIGITS.model("thumbnails", "patch").canvas), shown.labels


def test_a_stopped_schooling_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    canvas = DIGITS.model("thumbnails", "patch").canvas
    whole = teach(_lesson()[0], canvas, *_lesson()[1:], SHORT)
    losses = []

    def stop(epoch: int, loss: float) -> None:
        losses.append(loss)
        if epoch == 2:
            raise KeyboardInterrupt

    state = tmp_path / "state.part"
    with pytest.raises(KeyboardInterrupt):
        teach(_lesson()[0], canvas, *_lesson()[1:], SHORT, state=state, look=stop)
    after = teach(_lesson()[0], canvas, *_lesson()[1:], SHORT, state=state)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name
    assert losses[-1] < losses[0]


def test_a_twin_reads_as_its_model_does_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    longer = Schooling(pictures=1000, epochs=12, rate=0.05, batch=32, shift=0)
    made = twin(DIGITS, "patch", longer, keep=True)
    path = twin_path(DIGITS, "patch", longer)
    assert path.is_file()
    assert path.is_relative_to(tmp_path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]

    model, shown = DIGITS.model("thumbnails", "patch"), DIGITS.pictures("thumbnails", 300)
    assert model.module is not None
    values = model.canvas.normalise(shown.windows(model.canvas))
    score = float((made(values).argmax(1) == shown.labels).float().mean())
    assert score > 0.5
    theirs, ours = model.module.state_dict(), made.state_dict()
    assert all(not torch.equal(ours[name], theirs[name]) for name in ours)

    def never(*_: object, **__: object) -> nn.Module:
        raise AssertionError("trained twice")

    monkeypatch.setattr(twins, "teach", never)
    again = twin(DIGITS, "patch", longer, keep=True)
    assert torch.equal(again(values), made(values))


def test_a_kept_file_loads_as_a_model(tmp_path: Path) -> None:
    net = CifarResNet(1, classes=10).eval()
    path = tmp_path / "kept" / "net.safetensors"
    own = tmp_path / "own.safetensors"
    own.with_suffix(".json").write_text(
        '{"input_size": [3, 32, 32], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2],'
        ' "interpolation": "bicubic", "crop_pct": 1.0}'
    )
    twins._write(net, f"torch:{own}", path)
    loaded = load_picture_model(f"torch:{path}")
    values = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded.logits(values), net(values))


@pytest.mark.real
def test_behind_the_jpegs_come_the_lossless_ones(assets: Path) -> None:
    shown = Place(assets=assets).pictures("thumbnails", 10_003, part="train")
    assert shown.names[-3:] == ("lossless/0", "lossless/1", "lossless/2")
    assert shown.labels[-3:].tolist() == [6, 9, 9]
    assert len(set(shown.names)) == len(shown.images) == len(shown.labels) == 10_003
