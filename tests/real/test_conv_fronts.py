"""Overlapping convolutions of real models: speed-free facts about keys and files."""

import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catch11.keys.key import build_key
from catch11.models.load import load_picture_model
from catch11.recoding.spectral.recoder import SpectralRecoder

pytestmark = pytest.mark.real


def cifar_windows(assets: Path, count: int) -> torch.Tensor:
    with tarfile.open(assets / "cifar10" / "cifar10_test_2000_jpeg.tar") as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".jpg"))
        members = [archive.extractfile(name) for name in names[:: len(names) // count][:count]]
        pictures = [Image.open(BytesIO(m.read())).convert("RGB") for m in members if m is not None]
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2) / 255


def test_resnet20_reads_what_resnet32_does_not(assets: Path) -> None:
    """8-bit files at 13 dB; `python benchmarks conv_tradeoff` has the numbers on all 2,000 images."""
    authorized, rival = (
        load_picture_model(f"torch:{assets}/models/cifar10_resnet{depth}.safetensors")
        for depth in (20, 32)
    )
    windows = cifar_windows(assets, 100)
    recoded = SpectralRecoder(build_key(authorized, secret=bytes(32)), psnr=13.0)(windows)
    assert recoded.psnr == pytest.approx([13.0] * 100, abs=0.2)
    kept, stayed = (
        float((m.logits(m.canvas.normalise(recoded.images)).argmax(1) == m.logits(m.canvas.normalise(windows)).argmax(1)).float().mean())
        for m in (authorized, rival)
    )  # fmt: skip
    assert kept > 0.85
    assert stayed < 0.6


def test_squeezenet_projector_is_unseen_and_repeats(assets: Path) -> None:
    """At 224 x 224: what the projector keeps has a gain of at most the step's upper end."""
    model = load_picture_model(f"torch:{assets}/models/squeezenet1_1.safetensors")
    subspace = build_key(model, energy=1e-2, secret=bytes(32)).subspace
    noise = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    inside = subspace.project(noise)
    front = model.front()
    gain = float(front.apply(inside.double()).norm() / inside.double().norm())
    free = float(front.apply(noise.double()).norm() / noise.double().norm())
    assert gain < 0.2 * free
    assert subspace.contains(inside, tolerance=0.2).all()
    assert 0.5 * subspace.dimension < float(inside.square().sum()) < 1.5 * subspace.dimension
