"""Where a study finds models and pictures: digits that come with scikit-learn, a folder of assets, or
a model hub. Studies name a family and a model of it; the same study then runs in every place."""

import csv
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.data.pictures import open_picture
from catch11.data.windows import window_of
from catch11.errors import Catch11Error, InvalidArgument, ModelRefused
from catch11.lab import needed
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.studies.cache import cache_folder

Config = Literal["digits", "local", "paper"]
Part = Literal["test", "train"]

# The first model of a family is the one a study authorizes unless it says otherwise.
FAMILIES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "digits": {
        "photographs": {
            "patch": "py:catch11.studies.nets.digits:patch",
            "dense": "py:catch11.studies.nets.digits:dense",
            "convolution": "py:catch11.studies.nets.digits:convolution",
        },
        "thumbnails": {
            "patch": "py:catch11.studies.nets.digits:patch",
            "patch-twin": "py:catch11.studies.nets.digits:patch_twin",
        },
        "families": {
            "patch": "py:catch11.studies.nets.digits:patch",
            "dense": "py:catch11.studies.nets.digits:dense",
            "patch-twin": "py:catch11.studies.nets.digits:patch_twin",
        },
    },
    "local": {
        "photographs": {
            "deit-tiny": "hf:{assets}/models/deit-tiny-patch16-224",
            "squeezenet": "torch:{assets}/models/squeezenet1_1.safetensors",
            "mobilenet": "onnx:{assets}/models/mobilenet_v2_1.0_224.onnx",
        },
        "six": {
            "deit-tiny": "hf:{assets}/models/deit-tiny-patch16-224",
            "squeezenet": "torch:{assets}/models/squeezenet1_1.safetensors",
            "mobilenet": "onnx:{assets}/models/mobilenet_v2_1.0_224.onnx",
            "lite0": "py:catch11.studies.nets.lite:lite0",
            "lite1": "py:catch11.studies.nets.lite:lite1",
            "lite2": "py:catch11.studies.nets.lite:lite2",
        },
        "thumbnails": {
            "resnet20": "torch:{assets}/models/cifar10_resnet20.safetensors",
            "resnet32": "torch:{assets}/models/cifar10_resnet32.safetensors",
        },
        "families": {
            "resnet": "hf:{families}/resnet-0",
            "vit": "hf:{families}/vit-0",
            "swinv2": "hf:{families}/swinv2-0",
            "deit": "hf:{families}/deit-0",
            "mambavision": "hf:{families}/mambavision-0",
            "resnet-twin": "hf:{families}/resnet-1",
            "vit-twin": "hf:{families}/vit-1",
            "swinv2-twin": "hf:{families}/swinv2-1",
            "deit-twin": "hf:{families}/deit-1",
            "mambavision-twin": "hf:{families}/mambavision-1",
        },
    },
    "paper": {
        "photographs": {
            "vit-base": "hf:google/vit-base-patch16-224",
            "deit-base": "hf:facebook/deit-base-patch16-224",
            "swin-tiny": "hf:microsoft/swin-tiny-patch4-window7-224",
            "resnet50": "hf:microsoft/resnet-50",
            "mobilenet": "hf:google/mobilenet_v2_1.0_224",
        },
        "thumbnails": {
            "resnet50": "timm:resnet50.a1_in1k",
            "resnet50-twin": "timm:resnet50.tv_in1k",
        },
        "families": {
            "resnet": "hf:microsoft/resnet-50",
            "vit": "hf:google/vit-base-patch16-224",
            "swinv2": "hf:microsoft/swinv2-tiny-patch4-window8-256",
            "deit": "hf:facebook/deit-base-patch16-224",
            "mambavision": "hf:nvidia/MambaVision-T-1K",
            "resnet-twin": "timm:resnet50.tv_in1k",
            "vit-twin": "timm:vit_base_patch16_224.augreg_in1k",
            "swinv2-twin": "hf:microsoft/swinv2-tiny-patch4-window16-256",
            "deit-twin": "hf:facebook/deit-base-distilled-patch16-224",
            "mambavision-twin": "hf:nvidia/MambaVision-T2-1K",
        },
    },
}
TWIN = "-twin"  # of a family's second weights
PHOTOGRAPHS = ("photographs", "six")  # families that read photographs
HUB_PICTURES = ("ILSVRC/imagenet-1k", "validation", "train")  # gated: needs an account there


class Unavailable(Catch11Error, LookupError):
    """A study cannot run here: what it needs is not at hand."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is not at hand; {remedy}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Pictures as their owner has them, with names and class indices."""

    names: tuple[str, ...]
    images: tuple[Image.Image, ...]
    labels: Int[Tensor, " batch"]

    def windows(self, canvas: Canvas) -> Float[Tensor, "batch channel height width"]:
        """What a model of this canvas sees of them, in pixel units."""
        return torch.cat([window_of(image, canvas) for image in self.images])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A configuration: digits (nothing needed), local (a folder of assets), paper (a model hub)."""

    config: Config = "local"
    assets: Path | None = None
    device: str = "cpu"

    def folder(self, *parts: str) -> Path:
        """A file or folder of the assets. Raises Unavailable where there is none."""
        if self.assets is None:
            raise Unavailable(
                "the folder of assets", "give --assets DIR, set CATCH11_ASSETS, or use --digits"
            )
        path = self.assets.joinpath(*parts)
        if not path.exists():
            raise Unavailable(str(path), "give --assets another folder, or use --digits")
        return path

    def names(self, family: str) -> tuple[str, ...]:
        """Models of a family: those of one data set, the authorized one first."""
        return tuple(FAMILIES[self.config][family])

    def model(self, family: str, name: str) -> Model:
        """A model by its name, loaded once a process. Raises Unavailable."""
        spec = FAMILIES[self.config][family][name]
        kind, _, path = spec.partition(":")
        if path.startswith("{assets}/"):
            spec = f"{kind}:{self.folder(*path.removeprefix('{assets}/').split('/'))}"
        if path.startswith("{families}/"):
            spec = f"{kind}:{trained_net(path.removeprefix('{families}/'))}"
        try:
            return _loaded(spec, self.device)
        except ModelRefused as error:
            raise Unavailable(f"the model {name}", str(error).rstrip(".")) from None

    def models(self, family: str) -> dict[str, Model]:
        """All models of a family, by name."""
        return {name: self.model(family, name) for name in self.names(family)}

    def pictures(self, family: str, count: int, *, part: Part = "test") -> Pictures:
        """The first `count` pictures of a data set, classes mixed, the same every time.

        part: "train" are others, for attackers to learn from. Fewer where there are not so many.
        """
        return _pictures(self, family, count, part)


def trained_net(name: str) -> Path:
    """The folder of a net that `catch11.studies.families` trained. Raises Unavailable."""
    path = cache_folder("families") / name
    if not (path / "training.json").is_file():
        raise Unavailable(
            f"the net {name}", "train it: python -m catch11.studies.families --assets DIR"
        )
    return path


@lru_cache(maxsize=16)
def _loaded(spec: str, device: str) -> Model:
    return load_picture_model(spec, device=device)


@lru_cache(maxsize=6)
def _pictures(place: Place, family: str, count: int, part: Part) -> Pictures:
    if count < 1:
        raise InvalidArgument("count", expected="1 or more", found=count)
    read: Mapping[str, Callable[[Place, int, Part], Pictures]] = {
        "digits": _digits,
        "paper": _hub,
        "local": _photographs if family in PHOTOGRAPHS else _thumbnails,
    }
    return read[place.config](place, count, part)


def _digits(place: Place, count: int, part: Part) -> Pictures:
    from catch11.studies.nets.digits import load_digits

    digits = load_digits()
    values = digits.test if part == "test" else digits.train
    labels = digits.test_labels if part == "test" else digits.train_labels
    pixels = (values[:count] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Pictures(
        names=tuple(f"{part}/{i}" for i in range(len(pixels))),
        images=tuple(Image.fromarray(one) for one in pixels),
        labels=labels[:count],
    )


def _photographs(place: Place, count: int, part: Part) -> Pictures:
    """The list's first ones to test on, its last ones to train on."""
    folder = place.folder("images", "nips2017")
    found = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix in (".jpg", ".png")}
    rows = list(csv.DictReader((folder / "images.csv").read_text(encoding="utf-8").split("\n")))
    rows = [row for row in rows if row["ImageId"] in found]
    rows = (rows if part == "test" else rows[::-1])[:count]
    return Pictures(
        names=tuple(row["ImageId"] for row in rows),
        images=tuple(open_picture(found[row["ImageId"]]) for row in rows),
        labels=torch.tensor([int(row["TrueLabel"]) - 1 for row in rows]),
    )


def _thumbnails(place: Place, count: int, part: Part) -> Pictures:
    """CIFAR-10, classes in turn; behind the JPEGs to train on, the lossless ones, of which a fifth show
    the same pictures."""
    file = {"test": "cifar10_test_2000_jpeg.tar", "train": "cifar10_train_10000_jpeg.tar"}[part]
    with tarfile.open(place.folder("cifar10", file)) as archive:
        members = {m.name: m for m in archive.getmembers() if m.isfile()}
        classes = sorted({name.split("/")[-2] for name in members})
        by_class = [sorted(n for n in members if n.split("/")[-2] == c) for c in classes]
        names = [name for row in zip(*by_class, strict=True) for name in row][:count]
        images = []
        for name in names:
            data = archive.extractfile(members[name])
            assert data is not None
            images.append(Image.open(BytesIO(data.read())).convert("RGB"))
    labels = [classes.index(name.split("/")[-2]) for name in names]
    if part == "train" and count > len(names):
        with np.load(place.folder("cifar10", "cifar_lossless_train4000.npz")) as lossless:
            more, theirs = (lossless[key][: count - len(names)] for key in ("x", "y"))
        names += [f"lossless/{i}" for i in range(len(more))]
        images += [Image.fromarray(one) for one in more]
        labels += theirs.tolist()
    return Pictures(names=tuple(names), images=tuple(images), labels=torch.tensor(labels))


def _hub(place: Place, count: int, part: Part) -> Pictures:
    load_dataset = needed("datasets", "datasets").load_dataset
    name, test, train = HUB_PICTURES
    try:
        rows = load_dataset(name, split=test if part == "test" else train, streaming=True)
        taken: Sequence[Mapping] = list(rows.shuffle(seed=0, buffer_size=1000).take(count))
    except Exception as error:  # noqa: BLE001 - a hub fails in many ways
        reason = " ".join(str(error).split())[:120]
        raise Unavailable(f"the data set {name}", f"the hub says: {reason}") from None
    return Pictures(
        names=tuple(f"{part}/{i}" for i in range(len(taken))),
        images=tuple(row["image"].convert("RGB") for row in taken),
        labels=torch.tensor([int(row["label"]) for row in taken]),
    )
