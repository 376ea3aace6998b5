"""Machines of a Ray cluster that are lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from catch11.keys.file import save_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.whole import release

pytest.importorskip("ray", reason="needs the extra ray")

Fill = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes]]
NAMES = tuple(f"{n // 4}/{n}.png" for n in range(10))

LOSING = """
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import catch11
from catch11.releases.whole import release

src, out, key = map(Path, sys.argv[1:])
held = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
node = held.add_node(num_cpus=1)
ray.init(address=held.address, log_to_driver=False, logging_level="error")

def lose(done, total, name):
    if done == 2:
        held.remove_node(node, allow_graceful=False)

recoder = catch11.SpectralRecoder(catch11.load_key(key), psnr=12.0)
recoder.domain.batch = 1
done = release(src, out, recoder, engine="ray", workers=2, progress=lose)
print(f"\\nwritten: {done.written}")
"""


def test_a_node_that_is_lost_is_not_waited_for(
    root: Path, tmp_path: Path, fill: Fill, tree: Tree, small: SpectralRecoder
) -> None:
    """Its machine goes with its worker, and no other has room for one: what it had at hand is done by what is left."""
    src = fill(tmp_path / "src", *NAMES)
    release(src, tmp_path / "whole" / "out", small)
    save_key(small.key, tmp_path / "my.key")
    (tmp_path / "ray").mkdir()
    words = [str(one) for one in (src, tmp_path / "ray" / "out", tmp_path / "my.key")]
    environment = {**os.environ, "PYTHONPATH": str(root), "RAY_USAGE_STATS_ENABLED": "0"}
    said = tmp_path / "said"
    with said.open("wb") as file:
        subprocess.run(
            [sys.executable, "-c", LOSING, *words], env=environment, stdout=file, stderr=file,
            check=False, timeout=180,
        )  # fmt: skip
    assert "written: 10" in said.read_text().splitlines(), said.read_text()
    assert tree(tmp_path / "ray") == tree(tmp_path / "whole")
