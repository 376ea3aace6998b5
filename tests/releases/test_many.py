"""Many small files, and many rows, in memory that hardly grows with them.

The figures: CATCH11_LONG=1 python -m pytest -s tests/releases/test_many.py (minutes). The recoder there leaves pictures as
they are, for what is measured is everything around it.
"""

import io
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catch11.keys.key import Key
from catch11.releases.ledger import Ledger, Row
from catch11.releases.lines import Lines
from catch11.releases.manifest import Entry, ManifestWriter

COUNTS = (10_000, 100_000)
MOST = {"folder": 500, "parquet": 1500}  # bytes an item, of growth
RUN = """
import resource, sys
from pathlib import Path

import torch
from catch11.canvas.plain import plain_canvas
from catch11.keys.key import build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.whole import release

class AsTheyAre(SpectralRecoder):
    def run(self, items, streams):
        return items, [None] * len(items)

torch.set_num_threads(1)
torch.manual_seed(0)
key = build_key(torch.nn.Conv2d(3, 10, 4, 4), canvas=plain_canvas(16, 16), rank=24, secret=bytes(range(32)))
done = release(Path(sys.argv[1]), Path(sys.argv[2]), AsTheyAre(key, psnr=12.0))
print(done.written + done.reused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def pictures(count: int) -> Iterator[bytes]:
    draw = np.random.default_rng(0)
    for _ in range(count):
        data = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (4, 4, 3), dtype=np.uint8)).save(data, "PNG")
        yield data.getvalue()


def in_folder(path: Path, count: int) -> Path:
    for number, data in enumerate(pictures(count)):
        one = path / f"{number // 1000:03}" / f"{number:06}.png"
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_bytes(data)
    return path


def in_table(path: Path, count: int) -> Path:
    pa = pytest.importorskip("pyarrow", reason="needs the extra tables")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra tables")
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    with parquet.ParquetWriter(path, schema) as writer:
        rows = [{"image": data, "label": n % 10} for n, data in enumerate(pictures(count))]
        writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=1000)
    return path


@pytest.mark.skipif("CATCH11_LONG" not in os.environ, reason="minutes: CATCH11_LONG=1")
def test_memory_hardly_grows(tmp_path: Path, root: Path) -> None:
    peaks: dict[str, list[int]] = {name: [] for name in MOST}
    for count in COUNTS:
        files = in_folder(tmp_path / f"files{count}", count)
        table = in_table(tmp_path / f"table{count}.parquet", count)
        for name in MOST:
            src = table if name == "parquet" else files
            words = [str(src), f"{src}.out{src.suffix}"]
            made = subprocess.run(
                [sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=True,
                env={**os.environ, "PYTHONPATH": str(root), "CATCH11_SHAPES": "0"},
            )  # fmt: skip
            found, peak = map(int, made.stdout.split())
            assert found == count
            peaks[name].append(peak)
            print(f"{name}, {count}: {peak / 1e6:.0f} MB", flush=True)
    for name, (few, many) in peaks.items():
        growth = (many - few) / (COUNTS[1] - COUNTS[0])
        print(f"{name}: {growth:.0f} bytes more for each item more")
        assert growth < MOST[name]


def test_lists_do_not_remember_what_a_run_adds(tmp_path: Path, key: Key) -> None:
    rows = 400
    with (
        Lines(tmp_path / "l.jsonl", mode=0o600) as private,
        Lines(tmp_path / "m.jsonl", mode=0o600) as public,
    ):
        ledger, manifest = Ledger(private, key=key), ManifestWriter(public, key=key, header={})
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(rows):
            name, sha = f"{number:06}.png", f"{number:064}"
            row = Row(source=name, outcome="released", mac=sha, pixels=sha, file=name, sha256=sha)
            ledger.add([row])
            manifest.add([Entry(file=name, sha256=sha)])
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (after - before) / rows < 300
