"""A training from pictures to a folder that every command loads; stopped, and taken up again."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from catch11.cli import app
from catch11.data.pictures import open_picture
from catch11.errors import InvalidArgument, LabelsRefused, ModelRefused, ReleaseError
from catch11.models.load import load_picture_model
from catch11.training import teacher as teachers
from catch11.training import train as training
from catch11.training.families import FAMILIES
from catch11.training.nets import build_net
from catch11.training.recipe import Recipe
from catch11.training.state import NAME
from catch11.training.train import METRICS, train
from tests.training.worlds import COLOURS, write_pictures

CLASSES = tuple(sorted(COLOURS))
SHORT = Recipe(epochs=3, batch=8, held=0.25, rate=3e-3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), count=12)


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "net"
    train(pictures, folder, arch="vit", recipe=SHORT)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_what_is_saved_answers_as_it_was_scored(pictures: Path, trained: Path) -> None:
    model = load_picture_model(str(trained))
    assert model.labels == CLASSES
    facts = json.loads((trained / "training.json").read_text())
    rows = [json.loads(line) for line in (trained / METRICS).read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["accuracy"] == facts["accuracy"]["estimate"]
    assert rows[-1]["loss"] < rows[0]["loss"]
    files = [(k, path) for k, name in enumerate(CLASSES) for path in (pictures / name).iterdir()]
    given = model.answers(model.preprocess([open_picture(path) for _, path in files]))
    right = (given == torch.tensor([k for k, _ in files])).float().mean()
    assert right > 0.9
    assert not (trained / NAME).exists()


class Stopped(BaseException):
    """What a kill is to the code that runs."""


@pytest.mark.parametrize("stopped_at", [1, 4, 8])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    pictures: Path, trained: Path, tmp_path: Path, stopped_at: int
) -> None:
    """Stopped in a step of the first, the second and the third epoch."""

    def stop(done: int, total: int, what: str = "", said: str = "") -> None:
        if what == "training" and done == stopped_at:
            raise Stopped

    with pytest.raises(Stopped):
        train(pictures, tmp_path / "net", arch="vit", recipe=SHORT, progress=stop)
    train(pictures, tmp_path / "net", arch="vit", recipe=SHORT, resume=True)
    whole, taken_up = weights(trained), weights(tmp_path / "net")
    assert whole.keys() == taken_up.keys()
    assert all(torch.equal(whole[name], taken_up[name]) for name in whole)
    assert (tmp_path / "net" / METRICS).read_text() == (trained / METRICS).read_text()


def test_only_the_same_training_is_taken_up(pictures: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, what: str = "", said: str = "") -> None:
        if said:
            raise Stopped

    with pytest.raises(Stopped):
        train(pictures, tmp_path / "net", arch="vit", recipe=SHORT, progress=stop)
    with pytest.raises(InvalidArgument, match="stands at epoch 1; go on with --resume"):
        train(pictures, tmp_path / "net", arch="vit", recipe=SHORT)
    other = Recipe(epochs=4, batch=8, held=0.25, rate=3e-3)
    with pytest.raises(InvalidArgument, match="with epochs 3, found 4"):
        train(pictures, tmp_path / "net", arch="vit", recipe=other, resume=True)
    more = shutil.copytree(pictures, tmp_path / "more")
    shutil.copy(more / "red" / "0.png", more / "red" / "new.png")
    with pytest.raises(InvalidArgument, match="the training that stands, with train"):
        train(more, tmp_path / "net", arch="vit", recipe=SHORT, resume=True)
    (tmp_path / "net" / NAME).write_bytes(b"cut short")
    with pytest.raises(ReleaseError, match="it holds no state of a training"):
        train(pictures, tmp_path / "net", arch="vit", recipe=SHORT, resume=True)


def test_a_disk_that_fills_leaves_the_last_whole_state(
    pictures: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, saves = torch.save, []

    def full(state: Any, path: Path) -> None:
        saves.append(path)
        if len(saves) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ReleaseError, match=r"No space left on device.; the last whole one stands"):
        train(pictures, tmp_path / "net", arch="vit", recipe=SHORT)
    monkeypatch.undo()
    assert torch.load(tmp_path / "net" / NAME, weights_only=True)["epoch"] == 1
    train(pictures, tmp_path / "net", arch="vit", recipe=SHORT, resume=True)
    whole, taken_up = weights(trained), weights(tmp_path / "net")
    assert all(torch.equal(whole[name], taken_up[name]) for name in whole)


@pytest.mark.parametrize("arch", FAMILIES)
def test_each_family_is_built_trained_and_loaded(
    arch: str, pictures: Path, trained: Path, tmp_path: Path
) -> None:
    """A step each, with a teacher; a deit's second head learns from it."""
    teacher = load_picture_model(str(trained))
    recipe = Recipe(epochs=1, batch=32, held=0.25)
    done = train(pictures, tmp_path / arch, arch=arch, teacher=teacher, recipe=recipe)
    model = load_picture_model(done.spec)
    assert model.labels == CLASSES
    assert model.canvas.shape == (3, 32, 32)
    assert model.front() is not None
    if arch == "deit":
        assert any("distillation" in name for name in weights(tmp_path / arch))


def test_views_that_come_again_are_taught_once(
    pictures: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two views of each picture in four epochs; a second net finds the answers in the file, and learns
    what it would have learned without."""
    asked: list[int] = []
    real = teachers.teaching

    def counted(*given: Any) -> Any:
        teach = real(*given)

        def noted(windows: torch.Tensor) -> torch.Tensor:
            asked.append(len(windows))
            return teach(windows)

        return noted

    monkeypatch.setattr(training, "teaching", counted)
    teacher, kept = load_picture_model(str(trained)), tmp_path / "taught.safetensors"
    recipe = Recipe(epochs=4, batch=16, held=0.25, views=2)
    folders = [tmp_path / name for name in ("first", "second", "without")]
    for folder, memory in zip(folders, (kept, kept, None), strict=True):
        train(
            pictures, folder, arch="resnet", teacher=teacher, recipe=recipe, memory=memory
        )  # fmt: skip
        asked.append(0)
    assert asked == [16, 11, 16, 11, 0, 0, 16, 11, 16, 11, 0]
    whole = weights(folders[0])
    for folder in folders[1:]:
        assert all(torch.equal(value, whole[name]) for name, value in weights(folder).items())
    rows = [json.loads(line)["loss"] for line in (folders[0] / METRICS).read_text().splitlines()]
    assert len(set(rows)) == 4


def test_a_folder_is_tuned_and_its_head_drawn_anew(trained: Path, tmp_path: Path) -> None:
    two = write_pictures(tmp_path / "two", count=4)
    shutil.rmtree(two / "green")
    recipe = Recipe(epochs=1, batch=8, held=0.25)
    done = train(two, tmp_path / "net", arch=f"hf:{trained}", recipe=recipe)
    assert load_picture_model(done.spec).labels == ("blue", "red")
    before, after = weights(trained), weights(tmp_path / "net")
    name = "vit.encoder.layer.0.attention.attention.query.weight"
    name = name if name in before else next(key for key in before if "query.weight" in key)
    assert (before[name] - after[name]).abs().max() < 1e-2  # begun from, not drawn


def test_a_checkpoint_of_another_size_is_named_with_both_shapes(
    pictures: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelRefused, match=r"position_embeddings is \(1, 17, 128\) and \(1, 65, 128\)"):  # fmt: skip
        train(pictures, tmp_path / "net", arch=f"hf:{trained}", size=64, recipe=SHORT)


def test_a_teacher_of_other_classes_is_refused(trained: Path, tmp_path: Path) -> None:
    teacher = load_picture_model(str(trained))
    other = write_pictures(tmp_path / "p", count=4)
    (other / "green").rename(other / "violet")
    with pytest.raises(InvalidArgument, match="none of them violet"):
        train(other, tmp_path / "net", arch="vit", teacher=teacher, recipe=SHORT)


def test_pictures_that_cannot_be_read_are_left_out_and_said(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", count=4)
    (root / "red" / "0.png").write_bytes(b"no picture")
    recipe = Recipe(epochs=1, batch=16, held=0.25)
    done = train(root, tmp_path / "net", arch="vit", recipe=recipe)
    assert done.lost == (("red/0.png", "it is not a picture in a known format"),)
    assert done.learned + done.held == 11
    for path in (root / "red").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(LabelsRefused, match="no picture of the class red can be read"):
        train(root, tmp_path / "other", arch="vit", recipe=recipe)


@pytest.mark.parametrize(
    ("arch", "size", "says"),
    [("vgg", None, "arch: expected resnet, vit"), ("vit", 40, "a multiple of 32")],
)
def test_an_unknown_family_or_size_is_refused(arch: str, size: int | None, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        build_net(arch, CLASSES, size=size, teacher=False, seed=0)


def test_the_door(pictures: Path, tmp_path: Path) -> None:
    words = ["train", pictures, "-o", tmp_path / "net", "--arch", "vit", "--epochs", 1, "--json"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["spec"] == f"hf:{tmp_path / 'net'}"
    assert found["held"] == 3
    again = CliRunner().invoke(app, [str(word) for word in words])
    assert again.exit_code == 2
    assert "expected a new folder" in again.output
