"""Deep recoding on real models: answers stay through a written PNG, in bfloat16 and after JPEG; rivals fail."""

import copy
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor

from catch11.data.pictures import fit_picture, open_picture
from catch11.keys.key import build_key
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.recoding.codecs import survival
from catch11.recoding.deep.recoder import DeepRecoder

pytestmark = pytest.mark.real


class Row(NamedTuple):
    name: str
    model: str
    rivals: tuple[str, ...]
    many: int
    chance: float


ROWS = [
    Row("ResNet-20", "torch:cifar10_resnet20.safetensors", ("torch:cifar10_resnet32.safetensors",), 64, 0.1),
    Row("DeiT-tiny", "hf:deit-tiny-patch16-224", ("torch:squeezenet1_1.safetensors",), 8, 0.0),
    Row("SqueezeNet", "torch:squeezenet1_1.safetensors", ("hf:deit-tiny-patch16-224",), 8, 0.0),
]  # fmt: skip


def load(assets: Path, name: str) -> Model:
    kind, _, rest = name.partition(":")
    return load_picture_model(f"{kind}:{assets / 'models' / rest}")


def sources(assets: Path, row: Row) -> list[Image.Image]:
    """Pictures from several classes."""
    if row.chance > 0.0:
        with tarfile.open(assets / "cifar10" / "cifar10_test_2000_jpeg.tar") as tar:
            files = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
            step = len(files) // row.many
            read = [tar.extractfile(m) for m in files[::step][: row.many]]
            return [Image.open(io.BytesIO(f.read())).convert("RGB") for f in read if f is not None]
    folder = assets / "images" / "nips2017"
    return [open_picture(path) for path in sorted(folder.rglob("*.jp*g"))[: row.many]]


def recoded(
    model: Model, pictures: Sequence[Image.Image], **settings: object
) -> tuple[list[Image.Image], tuple[str | None, ...]]:
    """The released pictures as 8-bit images, and the reasons."""
    torch.manual_seed(0)
    # Some overlapping convolutions leave nothing unseen at the default rule; deep needs no subspace.
    key = build_key(model, energy=0.01, secret=bytes(32))
    levels = np.stack([np.asarray(fit_picture(picture, model.canvas)) for picture in pictures])
    whole = torch.from_numpy(levels.copy()).permute(0, 3, 1, 2).float() / 255.0
    made = DeepRecoder(model, key, chunk=32, **settings)(whole)  # type: ignore[arg-type]
    levels = (made.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(level) for level in levels], made.reasons


def through(picture: Image.Image, *, format: str, quality: int = 75) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, format, quality=quality)
    return Image.open(data).convert("RGB")


def answers(model: Model, pictures: Sequence[Image.Image]) -> Tensor:
    return model.logits(model.preprocess(pictures)).argmax(1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_authorized_model_alone_reads_the_files(assets: Path, row: Row) -> None:
    model = load(assets, row.model)
    pictures = sources(assets, row)
    clean = answers(model, pictures)
    made, reasons = recoded(model, pictures)
    assert reasons == (None,) * row.many
    files = [through(picture, format="PNG") for picture in made]
    assert torch.equal(answers(model, files), clean)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(answers(model, files), clean)
    for name in row.rivals:
        read = answers(load(assets, name), files)
        assert float((read == clean).float().mean()) <= row.chance + 0.13


def test_answers_survive_jpeg_where_asked(assets: Path) -> None:
    row = ROWS[0]
    model = load(assets, row.model)
    pictures = sources(assets, row)
    clean = answers(model, pictures)
    plain, _ = recoded(model, pictures)
    sturdy, reasons = recoded(model, pictures, survive=survival("jpeg:75"), radius=24.0, steps=100)
    kept = torch.tensor([reason is None for reason in reasons])
    assert kept.float().mean() > 0.95

    def same(made: Sequence[Image.Image]) -> float:
        read = answers(model, [through(p, format="JPEG") for p in made])
        return float((read == clean)[kept].float().mean())

    assert same(sturdy) == 1.0
    assert same(plain) < 0.5


def test_the_least_change_survives_what_is_named(assets: Path) -> None:
    row = ROWS[0]
    model, rival = load(assets, row.model), load(assets, row.rivals[0])
    pictures = sources(assets, row)[::4]
    made, reasons = recoded(
        model, pictures, survive=survival("jpeg:75,jpeg:50"), radius="least", steps=160, margin=0.1
    )
    kept = torch.tensor([reason is None for reason in reasons])
    assert kept.float().mean() > 0.9
    clean = answers(model, pictures)
    for quality in (75, 50):
        read = [through(p, format="JPEG", quality=quality) for p in made]
        assert (answers(model, read) == clean)[kept].all()
        assert float((answers(rival, read) == clean).float().mean()) <= row.chance + 0.35


def test_one_file_for_two_models(assets: Path) -> None:
    """ResNet-20 and ResNet-32 both read it; neither reads what was made for the other alone."""
    row = ROWS[0]
    first, second = load(assets, row.model), load(assets, row.rivals[0])
    pictures = sources(assets, row)
    both, reasons = recoded(first, pictures, also=(second,))
    kept = torch.tensor([reason is None for reason in reasons])
    assert kept.float().mean() > 0.95
    for model in (first, second):
        same = answers(model, both) == answers(model, pictures)
        assert bool(same[kept].all())


def test_answers_hold_in_other_precisions_and_runtimes(assets: Path) -> None:
    """Half-precision weights, and the same network in ONNX Runtime, at the default margin."""
    row = ROWS[0]
    model = load(assets, row.model)
    pictures = sources(assets, row)
    clean = answers(model, pictures)
    files = [through(picture, format="PNG") for picture in recoded(model, pictures)[0]]
    values = model.preprocess(files)
    assert model.module is not None
    for dtype in (torch.bfloat16, torch.float16):
        with torch.no_grad():
            half = copy.deepcopy(model.module).to(dtype)(values.to(dtype))
        assert torch.equal(half.float().argmax(1), clean)
    graph = assets / "models" / "cifar10_resnet20.onnx"
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    told = session.run(None, {"pixel_values": values.numpy()})[0]
    assert torch.equal(torch.from_numpy(told).argmax(1), clean)


def test_a_rival_named_against_says_nothing_of_the_picture(assets: Path) -> None:
    row = ROWS[0]
    model, rival = load(assets, row.model), load(assets, row.rivals[0])
    pictures = sources(assets, row)
    made, reasons = recoded(model, pictures, against=(rival,))
    kept = torch.tensor([reason is None for reason in reasons])
    assert kept.float().mean() > 0.9
    assert bool((answers(model, made) == answers(model, pictures))[kept].all())
    # Drawn classes: 10 % in expectation, four standard deviations of 64 draws above.
    same = (answers(rival, made) == answers(rival, pictures))[kept]
    assert float(same.float().mean()) <= 0.25


def test_a_faint_look_shows_people_what_other_models_do_not_see(assets: Path) -> None:
    row = ROWS[1]
    model, rival = load(assets, row.model), load(assets, row.rivals[0])
    pictures = sources(assets, row)
    made, reasons = recoded(model, pictures, look="faint", psnr=10.0)
    assert reasons == (None,) * row.many
    assert torch.equal(answers(model, made), answers(model, pictures))
    assert float((answers(rival, made) == answers(rival, pictures)).float().mean()) <= 0.13
    for file, picture in zip(made, pictures, strict=True):
        fitted = np.asarray(fit_picture(picture, model.canvas), np.float64)
        inner = (slice(16, 240), slice(16, 240))
        seen = np.corrcoef(np.asarray(file)[inner].ravel(), fitted[inner].ravel())[0, 1]
        assert seen > 0.1
