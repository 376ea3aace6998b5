"""Where torchvision and timm are installed: what the page of loaders shows of them, and transforms in their pipelines."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import catch11
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument
from catch11.keys.key import build_key
from catch11.plugs.transform import Recode
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.whole import release

try:
    import timm  # noqa: F401
    from torchvision import tv_tensors
    from torchvision.transforms import v2
except (ImportError, RuntimeError):
    pytest.skip("timm has an environment of its own: tests/timm/run.sh", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "loaders.md"
SIDE, COUNT = 16, 8


@pytest.fixture
def recode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recode:
    """A recoder, pictures and a release of them, as the page has them."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = draw.integers(60, 190, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{number}.png")
    torch.manual_seed(0)
    key = build_key(torch.nn.Conv2d(3, 10, 4, 4), canvas=plain_canvas(SIDE, SIDE), rank=24)
    recoder = SpectralRecoder(key, psnr=12.0)
    release("photos", "released", recoder)
    return Recode(recoder)


def test_what_the_page_shows_runs(recode: Recode) -> None:
    space: dict[str, Any] = {
        "torch": torch, "catch11": catch11, "Image": Image, "recode": recode, "recoder": recode.recoder,
        "first": Path("photos/0.png"), "labels": {f"{n}.png": n for n in range(COUNT)},
    }  # fmt: skip
    blocks = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), space)


def test_whatever_torchvision_hands_over_is_the_released_file(recode: Recode) -> None:
    with Image.open("released/3.png") as file:
        meant = torch.from_numpy(np.array(file)).permute(2, 0, 1)
    picture = Image.open("photos/3.png").convert("RGB")
    image = v2.ToImage()(picture)
    made, label = v2.Compose([recode])(image, 3)
    assert isinstance(made, tv_tensors.Image)
    assert label == 3
    assert torch.equal(made, meant)
    assert torch.equal(v2.ToImage()(recode((picture, 3))[0]), meant)
    assert torch.equal(recode([image, 1])[0], meant)
    assert recode({"image": image, "label": 2})["label"] == 2
    with pytest.raises(InvalidArgument, match="found 2 pictures"):
        recode(image, image)
    boxes = tv_tensors.BoundingBoxes([[0, 0, 4, 4]], format="XYXY", canvas_size=(20, 24))
    for given in ((image, boxes), (image, {"a": 1}, tv_tensors.Mask(image[0])), (boxes,)):
        with pytest.raises(InvalidArgument, match="without boxes or masks, which would no longer"):
            recode(*given)
    with pytest.raises(InvalidArgument, match="without boxes or masks"):
        recode({"image": image, "boxes": boxes})


def test_batches_of_timm_are_the_released_files(recode: Recode) -> None:
    """At canvas size its loader changes no pixel."""
    from timm.data import create_loader

    data = catch11.ReleaseDataset("released", labels={f"{n}.png": n for n in range(COUNT)})
    loader = create_loader(
        data, input_size=(3, SIDE, SIDE), batch_size=4, use_prefetcher=False, num_workers=0, crop_pct=1.0,
        mean=(0.0,) * 3, std=(1.0,) * 3,
    )  # fmt: skip
    pixels, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert labels.tolist() == [*range(COUNT)]
    for number in range(COUNT):
        with Image.open(f"released/{number}.png") as file:
            meant = torch.from_numpy(np.array(file)).permute(2, 0, 1) / 255
        assert torch.allclose(pixels[number], meant, atol=1e-6)
