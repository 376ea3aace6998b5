"""Windows of the pictures in a folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catch11.canvas.plain import plain_canvas
from catch11.data.windows import folder_windows
from catch11.errors import InvalidArgument


def test_windows_are_the_pixels_in_order_and_unreadable_files_are_passed(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    for name, picture in zip("abc", pixels, strict=True):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "aa.txt").write_text("no picture")
    canvas = plain_canvas(6, 5)
    windows = folder_windows(tmp_path, canvas)
    wanted = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(windows, wanted)
    assert torch.equal(folder_windows(tmp_path, canvas, most=2), wanted[:2])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="expected readable pictures, found none in"):
        folder_windows(tmp_path, plain_canvas(6, 5))
