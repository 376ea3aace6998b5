"""Ray Data doing what the actors of `--engine ray` do, and both of them timed, killed and made to wait."""

import json
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np

import catch11.releases.cluster as actors
from benchmarks.lines import show
from benchmarks.photographs import margined
from benchmarks.timing import spread
from catch11 import SpectralRecoder, release
from catch11.data.stores.frame import bytes_at
from catch11.lab import needed
from catch11.modalities.image.release import read_picture

WAYS, DIES = ("actors", "data"), 20  # the picture at which a worker is killed


def beside_data(source: Path, count: int, rounds: int) -> None:
    """Lines of both."""
    found = [[run(way, "speed", source) for way in WAYS] for _ in range(rounds)]
    for at, name in enumerate(("whole run, s", "second half, s", "to the first, s", "peak MiB")):
        actors_, data = ([one[number][at] for one in found] for number in (0, 1))
        ratios = spread([b / a for a, b in zip(actors_, data, strict=True)])
        held = {"actors": sorted(actors_), "Ray Data": sorted(data)}
        show({"what": name, "against": "actors", **ratios, **held, "n": rounds, "items": count})
    for way in WAYS:
        again, begun = run(way, "kill", source)[4], run(way, "wait", source)
        show({"way": way, "done twice": again, "begun in 20 s": begun, "items": count})


def run(way: str, what: str, source: Path) -> Any:
    """`once` in a process of its own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as room:
        spawned = multiprocessing.get_context("spawn")
        child = spawned.Process(target=once, args=(way, what, source, Path(room)))
        child.start()
        child.join()
        return json.loads((Path(room) / "said").read_text())


def by_data(pool: Any, task: Any, chunks: Any) -> Iterator[Any]:
    """What `cluster` does with actors, done with a data set whose order is kept."""
    ray = needed("ray", "ray")
    data = needed("ray.data", "ray")

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

    context = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    made = ray.cloudpickle.dumps((pool._make, task.pipeline.data.__self__._source.data))
    packed = ray.put(np.frombuffer(made, np.uint8))
    given = [pickle.dumps((number, names, task.settings)) for number, names in enumerate(chunks)]
    blocks = data.from_items([{"chunk": one} for one in given], override_num_blocks=len(given))
    done = blocks.map_batches(
        Block, fn_constructor_args=([packed],), batch_size=1, batch_format="numpy", num_cpus=1,
        compute=data.ActorPoolStrategy(size=pool.workers), max_task_retries=3,
    )  # fmt: skip
    for due, row in enumerate(done.iter_rows()):
        number, answers = pickle.loads(row["made"])
        assert number == due, "the order is not kept"
        yield actors._taken(task, number, answers)


def once(way: str, what: str, source: Path, room: Path) -> None:
    """One run; writes what is to be known of it. what: speed, kill or wait."""
    marks, times, names = room, list[float](), sorted(os.listdir(source))

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

    recoder = SpectralRecoder(margined(), psnr=10.0)
    if way == "data":
        actors._run = by_data
    needed("ray", "ray").init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    begun = time.perf_counter()
    release(source, marks / "out", recoder, engine="ray", workers=2, progress=mark, read=read)
    read_of = [one.name.split("~")[0] for one in marks.glob("*~*")]
    peak, twice = getrusage(RUSAGE_SELF).ru_maxrss / 1024, len(read_of) - len(set(read_of))
    found = [times[-1], times[-1] - times[len(times) // 2 - 1], times[0], peak, twice]
    (marks / "said").write_text(json.dumps(found))
