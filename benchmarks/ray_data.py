"""Ray Data against the actors of `--engine ray`: the same pictures, the same work, two workers, in one run.

python benchmarks/ray_data.py FOLDER [PICTURES, above 20] [ROUNDS]. Needs pandas and pyarrow. Each run is a process with a Ray of its own; the two take
turns. Printed: time of whole runs, of their second halves and to the first picture; peak memory of the process that keeps the lists; pictures
done twice when a worker is killed; pictures begun while the reader took one and waited 20 s.
"""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import numpy as np
import ray
import torch
from cluster import CANVAS

import catch11.releases.cluster as actors
from catch11.data.stores.frame import bytes_at
from catch11.keys.key import build_key
from catch11.modalities.image.release import read_picture
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.whole import release

WAYS, DIES = ("actors", "data"), 20  # the picture at which a worker is killed


class Block:
    """A worker of Ray Data: it reads chunks and recodes them."""

    def __init__(self, packed: list[Any]) -> None:
        make, self.read = pickle.loads(ray.get(packed[0]))
        self.tool = make()

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        number, names, settings = pickle.loads(block["chunk"][0])
        data = [bytes_at(self.read, name) for name in names]
        made = pickle.dumps((number, self.tool(number, names, data, settings)))
        return {"made": np.array([made], dtype=object)}


def by_data(pool: Any, task: Any, chunks: Any) -> Any:
    """What `cluster` does with actors, done with a data set whose order is kept."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    made = ray.cloudpickle.dumps((pool._make, task.pipeline.data.__self__._source.data))
    packed = ray.put(np.frombuffer(made, np.uint8))
    given = [pickle.dumps((number, names, task.settings)) for number, names in enumerate(chunks)]
    blocks = ray.data.from_items([{"chunk": one} for one in given], override_num_blocks=len(given))
    done = blocks.map_batches(
        Block, fn_constructor_args=([packed],), batch_size=1, batch_format="numpy", num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=pool.workers), max_task_retries=3,
    )  # fmt: skip
    for due, row in enumerate(done.iter_rows()):
        number, answers = pickle.loads(row["made"])
        assert number == due, "the order is not kept"
        yield actors._taken(task, number, answers)


def once(way: str, what: str, source: str, room: str) -> None:
    """One run; writes what is to be known of it. what: speed, kill or wait."""
    marks, times, names = Path(room), [], sorted(os.listdir(source))

    def read(data: bytes, path: str, canvas: Any) -> Any:
        (marks / f"{path}~{time.time_ns()}").touch()
        if what == "kill" and path == names[DIES] and not (marks / "dead").exists():
            (marks / "dead").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read_picture(data, path, canvas)

    def mark(done: int, total: int, name: str) -> None:
        times.append(time.perf_counter() - begun)
        if what == "wait":
            time.sleep(20)
            (marks / "said").write_text(str(len(list(marks.glob("*~*")))))
            sys.exit()

    torch.manual_seed(0)
    front = torch.nn.Conv2d(3, 192, 16, 16)
    recoder = SpectralRecoder(build_key(front, canvas=CANVAS, energy=5e-4), psnr=10.0)
    actors._run = by_data if way == "data" else actors._run
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    begun = time.perf_counter()
    release(source, marks / "out", recoder, engine="ray", workers=2, progress=mark, read=read)
    read_of = [one.name.split("~")[0] for one in marks.glob("*~*")]
    peak, twice = getrusage(RUSAGE_SELF).ru_maxrss / 1024, len(read_of) - len(set(read_of))
    found = [times[-1], times[-1] - times[len(times) // 2 - 1], times[0], peak, twice]
    (marks / "said").write_text(json.dumps(found))


def run(way: str, what: str, source: str) -> Any:
    """`once` in a process of its own."""
    with tempfile.TemporaryDirectory() as room:
        words = [sys.executable, __file__, "once", way, what, source, room]
        subprocess.run(words, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}, check=True)
        return json.loads((Path(room) / "said").read_text())


def main(folder: str, count: str = "192", rounds: str = "3") -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as room:
        for path in sorted(Path(folder).iterdir())[: int(count)]:
            shutil.copy(path, room)
        found = [[run(way, "speed", room) for way in WAYS] for _ in range(int(rounds))]
        for at, name in enumerate(("whole run", "second half", "to the first", "peak MiB")):
            columns = [[one[number][at] for one in found] for number in (0, 1)]
            columns.append([data / actor for actor, data in zip(*columns, strict=True)])
            said = [f"{median(one):.2f} [{min(one):.2f}, {max(one):.2f}]" for one in columns]
            print(f"{name}: actors {said[0]}, Ray Data {said[1]}, ratio {said[2]}, n = {rounds}")
        for way in WAYS:
            again, begun = run(way, "kill", room)[4], run(way, "wait", room)
            print(f"{way}: {again} pictures done twice; {begun} of {count} begun in 20 s")


if __name__ == "__main__":
    once(*sys.argv[2:]) if sys.argv[1] == "once" else main(*sys.argv[1:])
