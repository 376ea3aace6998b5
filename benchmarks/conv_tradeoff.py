"""What noise under a convolution front costs the authorized model, and what it does to rivals.

    python benchmarks/conv_tradeoff.py [NAME ...] [--images N] [--psnr DB ...] [--energy E]
                                       [--format png8|tensor] [--plot FILE] [--json FILE]

NAME: resnet20, resnet32 (CIFAR-10, 32 x 32), squeezenet, mobilenet (ImageNet, 224 x 224). Every model
reads the same windows, those on the grid of the format. Rows: clean; Gaussian noise clipped to the
box at the PSNR of the release (control); noise of the subspace, clipped (what not to do); released.
Needs the folder of real models (CATCH11_ASSETS). Nothing here is asserted in a test.
"""

import argparse
import csv
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from catch11 import load_model
from catch11.canvas.grid import GRIDS, grid_of, psnr
from catch11.data.pictures import fit_picture, open_picture
from catch11.evaluation.interval import paired_difference, wilson
from catch11.keys.key import Key, default_rule, key_of
from catch11.models.frame import Model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.rule import Rule

ASSETS = Path(os.environ.get("CATCH11_ASSETS", "../shared/assets"))
MODELS = {
    "resnet20": f"torch:{ASSETS}/models/cifar10_resnet20.safetensors",
    "resnet32": f"torch:{ASSETS}/models/cifar10_resnet32.safetensors",
    "squeezenet": f"torch:{ASSETS}/models/squeezenet1_1.safetensors",
    "mobilenet": f"onnx:{ASSETS}/models/mobilenet_v2_1.0_224.onnx",
    "deit": f"hf:{ASSETS}/models/deit-tiny-patch16-224",
}
FAMILIES = (("resnet20", "resnet32"), ("squeezenet", "mobilenet", "deit"))
SECRET = bytes(range(32))  # of a study, so that the same command gives the same table


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table: shares of right answers; drop and its interval are paired."""

    authorized: str
    method: str
    psnr: float
    accuracy: float
    low: float
    high: float
    drop: float
    drop_low: float
    drop_high: float
    rivals: dict[str, float]
    shift: float
    images: int

    def __str__(self) -> str:
        rivals = "  ".join(f"{name} {share:.3f}" for name, share in self.rivals.items())
        return (
            f"{self.authorized:<11}{self.method:<22}{self.psnr:6.2f} dB  {self.accuracy:.3f} "
            f"[{self.low:.3f}, {self.high:.3f}]  drop {self.drop:+.3f} [{self.drop_low:+.3f}, "
            f"{self.drop_high:+.3f}]  shift {self.shift:.3f}  | {rivals}"
        )


def cifar(count: int) -> tuple[Tensor, Tensor]:
    """The first `count` test pictures, classes in turn, and their labels."""
    with tarfile.open(ASSETS / "cifar10" / "cifar10_test_2000_jpeg.tar") as archive:
        names = [name for name in archive.getnames() if name.endswith(".jpg")]
        classes = sorted({name.split("/")[-2] for name in names})
        by_class = [sorted(n for n in names if f"/{c}/" in n) for c in classes]
        chosen = [name for row in zip(*by_class, strict=True) for name in row][:count]
        pixels = [np.asarray(Image.open(BytesIO(archive.extractfile(n).read())).convert("RGB")) for n in chosen]  # type: ignore[union-attr]  # fmt: skip
    labels = [classes.index(name.split("/")[-2]) for name in chosen]
    return _windows(pixels), torch.tensor(labels)


def photographs(count: int, model: Model) -> tuple[Tensor, Tensor]:
    """Windows of the first `count` photographs as `model` sees them, and their labels."""
    folder = ASSETS / "images" / "nips2017"
    found = {path.stem: path for path in folder.iterdir() if path.suffix in (".jpg", ".png")}
    rows = list(csv.DictReader((folder / "images.csv").read_text(encoding="utf-8").splitlines()))
    rows = [row for row in rows if row["ImageId"] in found][:count]
    pixels = [fit_picture(open_picture(found[row["ImageId"]]), model.canvas) for row in rows]
    labels = [int(row["TrueLabel"]) - 1 for row in rows]
    return model.canvas.window(_windows(pixels)), torch.tensor(labels)


def _windows(pixels: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def hits(model: Model, windows: Tensor, labels: Tensor) -> list[bool]:
    """Right answers of a model on windows in pixel units."""
    answers = model.logits(model.canvas.normalise(windows), batch=50).argmax(1)
    return (answers == labels).tolist()


def controls(key: Key, windows: Tensor, strength: float, format: str) -> Iterator[tuple[str, Tensor]]:  # fmt: skip
    """Gaussian noise, and noise of the torus' subspace, brought to `strength` dB and clipped."""
    grid, generator = grid_of(format), torch.Generator().manual_seed(0)
    noise = torch.randn(windows.shape, generator=generator)
    assert isinstance(key.subspace, ConvSubspace)
    for name, ray in (("gaussian", noise), ("subspace, clipped", key.subspace.start(noise))):
        low, high = torch.zeros(len(windows)), torch.full((len(windows),), 64.0)
        for _ in range(40):
            middle = (low + high) / 2
            made = grid.round(windows + middle[:, None, None, None] * ray)
            weak = psnr(made, windows) > strength
            low, high = torch.where(weak, middle, low), torch.where(weak, high, middle)
        yield name, grid.round(windows + high[:, None, None, None] * ray)


def study(name: str, args: argparse.Namespace) -> Iterator[Line]:
    """All rows of one authorized model."""
    family = next(f for f in FAMILIES if name in f)
    models = {member: load_model(MODELS[member]) for member in family}
    model = models[name]
    windows, labels = cifar(args.images) if "resnet20" in family else photographs(args.images, model)  # fmt: skip
    front = model.front()
    rule = default_rule(front) if args.energy is None else Rule(kind="energy", value=args.energy)
    key = key_of(front, canvas=model.canvas, rule=rule, secret=SECRET)
    clean = hits(model, windows, labels)

    def line(method: str, made: Tensor) -> Line:
        right = hits(model, made, labels)
        share, drop = wilson(sum(right), len(right)), paired_difference(clean, right)
        return Line(
            authorized=name, method=method, psnr=float(psnr(made, windows).mean()),
            accuracy=share.estimate, low=share.low, high=share.high,
            drop=drop.estimate, drop_low=drop.low, drop_high=drop.high,
            rivals={n: sum(hits(m, made, labels)) / len(labels) for n, m in models.items() if n != name},
            shift=float(key.front.relative_shift(made, windows).mean()), images=len(labels),
        )  # fmt: skip

    yield line("clean", windows)
    for strength in args.psnr:
        for method, made in controls(key, windows, strength, args.format):
            yield line(method, made)
        recode = SpectralRecoder(key, psnr=strength, format=args.format, noise=args.noise)
        yield line(f"released {args.format}", recode(windows).images)


def plot(lines: list[Line], file: str) -> None:
    """Accuracy over PSNR, one panel an authorized model, released files only."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(line.authorized for line in lines))
    figure, axes = pyplot.subplots(1, len(names), figsize=(4.5 * len(names), 3.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        rows = [r for r in lines if r.authorized == name and r.method.startswith("released")]
        rows.sort(key=lambda row: row.psnr)
        x = [row.psnr for row in rows]
        axis.errorbar(
            x, [r.accuracy for r in rows], label=f"{name} (authorized)", marker="o",
            yerr=([r.accuracy - r.low for r in rows], [r.high - r.accuracy for r in rows]),
        )  # fmt: skip
        for rival in rows[0].rivals:
            axis.plot(x, [row.rivals[rival] for row in rows], marker="s", ls="--", label=rival)
        axis.set(xlabel="PSNR of the files (dB)", ylabel="top-1", ylim=(0, 1))
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("names", nargs="*", default=["resnet20"], metavar="NAME")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--psnr", type=float, nargs="+", default=[14.0, 13.0, 12.0])
    parser.add_argument("--energy", type=float)
    parser.add_argument("--noise", default="content")
    parser.add_argument("--format", choices=list(GRIDS), default="png8")
    parser.add_argument("--plot")
    parser.add_argument("--json")
    args = parser.parse_args()
    lines = []
    for name in args.names:
        for line in study(name, args):
            print(line, flush=True)
            lines.append(line)
    if args.plot:
        plot(lines, args.plot)
    if args.json:
        Path(args.json).write_text(json.dumps([asdict(line) for line in lines], indent=1))


if __name__ == "__main__":
    main()
