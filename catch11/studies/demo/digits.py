"""The small demo: the whole way from pictures to a verified release, on `studies.nets.digits`.

Everything goes through the same doors as real use: pictures as files, a key, `release`, the files
read back, `verify`. What is printed is what was measured, whatever it is.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from catch11.errors import InvalidArgument
from catch11.evaluation.conditions import find_sources, read_batch
from catch11.evaluation.verify import verify
from catch11.keys.key import Key, build_key
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.threads import torch_threads
from catch11.releases.engine import release
from catch11.releases.read import read_release
from catch11.studies.demo.frame import Demo, Step, clear
from catch11.studies.grid import draw_grid
from catch11.studies.nets.digits import (
    AUTHORIZED,
    CLASSES,
    NETS,
    digit_model,
    load_digits,
    write_pictures,
)

SHOWN = 8  # pictures in the grid
RADIUS = 24.0  # 255ths, of the deep recoder


@torch_threads(1)
def digits_demo(
    folder: Path, *, count: int = 300, psnr: float = 8.0, step: Step | None = None
) -> Demo:
    """Train the nets, release `count` test digits by each method, verify, draw.

    folder: made, or emptied if an earlier demo made it. psnr: dB, of the spectral recoder. step:
    called with (what, done, total). Raises InvalidArgument where the folder holds anything else.
    """
    if not 1 <= count <= 500:
        raise InvalidArgument("count", expected="1 to 500 test digits", found=count)
    tell = step or (lambda what, done, total, file="": None)
    clear(folder)
    digits = load_digits()
    models: dict[str, Model] = {}
    for done, name in enumerate(NETS):
        tell(f"training {name}", done, len(NETS))
        models[name] = digit_model(name, digits)
    source = folder / "source"
    write_pictures(digits, source, count=count)
    authorized = models[AUTHORIZED]
    rivals = [model for name, model in models.items() if name != AUTHORIZED]
    recoders = _recoders(authorized, build_key(authorized), psnr)
    results = {}
    for method, recoder in recoders.items():
        release(source, folder / method, recoder, progress=partial(tell, f"recoding {method}"))
        results[method] = verify(
            folder / method, authorized, rivals=rivals, source=source, key=recoder.key,
            progress=partial(tell, f"verifying {method}"),
        )  # fmt: skip
    picture = folder / "pictures.png"
    draw_grid(picture, _rows(source, {name: folder / name for name in recoders}), side=0.9)
    return Demo(results=results, picture=picture, folder=folder)


def _recoders(authorized: Model, key: Key, psnr: float) -> dict[str, Recoder]:
    # Pictures of 192 numbers leave little room: the smallest balls hold no answer for one in seven.
    deep = DeepRecoder(authorized, key, radius=RADIUS)
    return {"spectral": SpectralRecoder(key, psnr=psnr), "deep": deep}


def _rows(source: Path, places: Mapping[str, Path]) -> dict[str, Sequence[Image.Image]]:
    """One row of pictures a condition, the same digits in each: clean, every release, noise."""
    rows: dict[str, Sequence[Image.Image]] = {}
    for method, place in places.items():
        held = read_release(place)
        sources = find_sources(held, source, {})
        each = {entry.file.split("/")[0]: entry for entry in reversed(held.entries)}
        entries = [each[name] for name in CLASSES[:SHOWN] if name in each]
        batch, _ = read_batch(held, entries, sources, seed=0)
        rows.setdefault("clean", batch.pictures["clean"])
        rows[method] = batch.pictures["nte"]
        rows[f"Gaussian\nlike {method}"] = batch.pictures["gaussian"]
    return rows
