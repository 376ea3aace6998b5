"""Ray: the same bytes and records as this process gives, whatever is killed; the key in no log and no argument."""

import logging
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

import tests.world
from catch11.attacks.effort import Effort
from catch11.attacks.session import attack_release
from catch11.copies.seal import SealSecret
from catch11.errors import InvalidArgument, ReleaseError, SecondStrength, UnreadableSource
from catch11.evaluation.verify import verify
from catch11.keys.file import save_key
from catch11.keys.key import build_key
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.ledger import read_ledger
from catch11.releases.pool import Pool, answers
from catch11.releases.whole import release
from tests.releases.conftest import CANVAS
from tests.releases.worlds import WORLDS, shot
from tests.world import build_world

ray = pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

Fill = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes]]
_STORE = 80 << 20  # bytes of the object store
NAMES = tuple(f"{n // 4}/{n}.png" for n in range(10))


@pytest.fixture(scope="module")
def cluster(root: Path) -> Iterator[Path]:
    """One cluster of two workers for all tests, with little room before it spills; the folder of its logs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    held = ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        object_store_memory=_STORE, runtime_env={"env_vars": {"PYTHONPATH": str(root)}},
    )  # fmt: skip
    yield Path(ray._private.worker._global_node.get_session_dir_path())
    del held
    ray.shutdown()


def test_sealed_the_same_bytes_and_the_key_in_no_log_and_on_no_disk(
    cluster: Path, tmp_path: Path, fill: Fill, tree: Tree
) -> None:
    src = fill(tmp_path / "src", *NAMES)
    (src / "bad.png").write_bytes(b"no picture")
    key = build_key(
        nn.Conv2d(3, 10, 4, 4), canvas=CANVAS
    )  # a secret that is in no table of a program
    copy = SealSecret(secret=os.urandom(32), canvas=key.canvas, original=key.front_fingerprint)
    sealed = SpectralRecoder(key, psnr=12.0, copy=copy)
    sealed.domain.batch = 2
    filling: list[Any] = []

    def spill(done: int, total: int, name: str) -> None:
        """Everything that lies idle in the object store goes to the disk."""
        if done == 3:
            filling.extend(ray.put(np.ones(_STORE // 8, np.uint8)) for _ in range(12))

    for engine, progress in (("local", None), ("ray", spill)):
        out = tmp_path / engine / "out"
        done = release(src, out, sealed, engine=engine, workers=2, progress=progress)
        assert (done.written, done.skipped) == (10, 1)
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    files = [path for path in cluster.rglob("*") if path.is_file()]
    assert any("spill" in str(path) for path in files)
    assert any(path.suffix == ".out" or path.suffix == ".log" for path in files)
    secrets = [key.secret, copy.secret]
    for path in files:
        data = path.read_bytes()
        for secret in secrets:
            assert secret not in data, path
            assert secret.hex().encode() not in data, path
    # What Ray keeps of tasks, their arguments and metadata lies in the memory of its own server.
    assert not any(secret in memory("gcs_server") for secret in secrets)


@pytest.mark.usefixtures("cluster")
def test_a_data_set_that_streams(tmp_path: Path, tree: Tree, small: SpectralRecoder) -> None:
    """Parts of three rows, chunks of two: the files, lists and ledgers of the local engine."""
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(7):
            yield {"image": {"bytes": shot(number), "path": f"{number}.jpg"}, "label": number % 3}

    features = hub.Features({"image": hub.Image(), "label": hub.ClassLabel(names=list("xyz"))})
    stream = hub.IterableDataset.from_generator(rows, features=features)
    for engine in ("local", "ray"):
        done = release(stream, tmp_path / engine / "out", small, engine=engine, workers=2, rows=3)
        assert done.written == 7
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")


def memory(name: str) -> bytes:
    """What a process of the cluster holds in memory that it can write."""
    for facts in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parts = facts.read_text().rsplit(")", 1)
            if name.startswith(parts[0].split("(")[1]) and int(parts[1].split()[1]) == os.getpid():
                return b"".join(regions(facts.parent))
    pytest.skip(f"no {name} of ours can be looked into")


def regions(process: Path) -> Iterator[bytes]:
    with (process / "mem").open("rb") as file:
        for line in (process / "maps").read_text().splitlines():
            place, rights, *_ = line.split()
            first, last = (int(one, 16) for one in place.split("-"))
            if rights.startswith("rw") and last - first < 1 << 28:
                with suppress(OSError, ValueError, OverflowError):
                    file.seek(first)
                    yield file.read(last - first)


def test_a_stopped_run_resumes_on_either(
    cluster: Path, tmp_path: Path, fill: Fill, tree: Tree, small: SpectralRecoder
) -> None:
    src = fill(tmp_path / "src", *NAMES)
    release(src, tmp_path / "whole" / "out", small)

    def stop(done: int, total: int, name: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    for first, second in (("ray", "local"), ("local", "ray")):
        out = tmp_path / first / "out"
        with pytest.raises(KeyboardInterrupt):
            release(src, out, small, engine=first, workers=2, progress=stop)
        done = release(src, out, small, engine=second, workers=2)
        assert done.reused >= 4
        assert done.reused + done.written == 10
        assert tree(tmp_path / first) == tree(tmp_path / "whole")
    again = release(src, out, small, engine="ray", workers=2)
    assert (again.written, again.reused) == (0, 10)
    assert tree(tmp_path / first) == tree(tmp_path / "whole")


DRIVER = """
import os, signal, sys
from pathlib import Path

import catch11
from catch11.modalities.image.release import read_picture
from catch11.releases.whole import release

src, out, key, marks = map(Path, sys.argv[1:])

def fatal(data, path, canvas):
    mark = marks / path.replace("/", "-")
    if path == "0/1.png" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return read_picture(data, path, canvas)

def die(done, total, name):
    if done == 6:
        os.kill(os.getpid(), signal.SIGKILL)

recoder = catch11.SpectralRecoder(catch11.load_key(key), psnr=12.0)
recoder.domain.batch = 2
release(src, out, recoder, engine="ray", workers=2, read=fatal, progress=die)
"""


def test_a_killed_worker_and_then_the_killed_driver_cost_nothing(
    cluster: Path, root: Path, tmp_path: Path, fill: Fill, tree: Tree, small: SpectralRecoder
) -> None:
    """kill -9 of a worker, then of the process that keeps the lists, on a Ray of its own; then the same again."""
    src = fill(tmp_path / "src", *NAMES)
    release(src, tmp_path / "whole" / "out", small)
    save_key(small.key, tmp_path / "my.key")
    (tmp_path / "marks").mkdir()
    (tmp_path / "ray").mkdir()
    out, marks = tmp_path / "ray" / "out", tmp_path / "marks"
    words = [str(one) for one in (src, out, tmp_path / "my.key", marks)]
    environment = {**os.environ, "PYTHONPATH": str(root), "CATCH11_SHAPES": "0"}
    environment.pop("RAY_ADDRESS", None)
    said = tmp_path / "said"
    with said.open("wb") as file:  # no pipe, which what is left of that Ray would hold open
        ended = subprocess.run(
            [sys.executable, "-c", DRIVER, *words], env=environment, stdout=file, stderr=file,
            check=False,
        )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, said.read_text()
    assert len(list(marks.iterdir())) == 1
    listed = (out / "manifest.jsonl").read_bytes().count(b'"kind":"file"')
    assert 4 <= listed < 10
    assert tree(tmp_path / "ray") != tree(tmp_path / "whole")
    done = release(src, out, small, engine="ray", workers=2)
    assert (done.reused, done.reused + done.written) == (listed, 10)
    assert tree(tmp_path / "ray") == tree(tmp_path / "whole")
    rows = read_ledger(tmp_path / "ray" / "out.ledger.jsonl")
    assert len({row.source for row in rows}) == len(rows) == 10


class Lost:
    """Ray whose workers die as they start."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def wait(self, tickets: list[Any], **given: Any) -> tuple[list[Any], list[Any]]:
        return tickets, []

    def get(self, ticket: Any) -> Any:
        raise self._real.exceptions.ActorDiedError


@pytest.mark.usefixtures("cluster")
def test_workers_that_never_come_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Pool(ray, lambda: print, workers=5, gpu=False)
    asked._packed = [None]
    asked._ray = Lost(ray)
    asked._start()
    with pytest.raises(ReleaseError, match=r"lost more than 3 times \(ActorDiedError\)"):
        asked.begin()
    monkeypatch.setattr("catch11.releases.pool._PATIENCE", 0.01)
    full = Pool(ray, lambda: print, workers=1, gpu=True)
    with pytest.raises(
        ReleaseError, match=r"no worker found room in 0\.01 s; look at `ray status`"
    ):
        full.begin()
    asked.close()
    full.close()


def test_what_a_worker_refuses_is_one_sentence(
    cluster: Path, tmp_path: Path, fill: Fill, small: SpectralRecoder
) -> None:
    src = fill(tmp_path / "src", *NAMES[:2])
    release(src, tmp_path / "out", small)
    stronger = SpectralRecoder(small.key, psnr=6.0)
    book = tmp_path / "out.ledger.jsonl"
    with pytest.raises(ReleaseError, match="two strengths of one picture"):
        release(src, tmp_path / "other", stronger, engine="ray", workers=1, ledger=book)

    def broken(data: bytes, path: str, canvas: Any) -> Any:
        raise ZeroDivisionError("a fault of the reader")

    with pytest.raises(ZeroDivisionError, match="a fault of the reader"):
        release(src, tmp_path / "third", small, engine="ray", workers=1, read=broken)


def test_errors_go_from_process_to_process() -> None:
    for error in (
        InvalidArgument("a", expected="b", found="c", remedy="d"), UnreadableSource("a.png", "it is empty"),
        SecondStrength("x", "it is known", "leave it"),
    ):  # fmt: skip
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_verify_and_attack_come_to_the_same_records(root: Path) -> None:
    """In a process of its own: functions that shapes are checked of go to no other process."""
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "scored_alike"]
    environment = {**os.environ, "CATCH11_SHAPES": "0"}
    done = subprocess.run(
        [sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.skipif(os.environ.get("CATCH11_SHAPES") != "0", reason="the test before it runs it")
def test_scored_alike(cluster: Path, tmp_path: Path) -> None:
    """A file that was changed and a source that is gone are told alike too; attacks that train stay here. Deep files are answered alike."""
    ray.cloudpickle.register_pickle_by_value(
        tests.world
    )  # how its models prepare, which workers cannot import
    world = build_world(tmp_path, count=8)
    (world.released / "03.png").write_bytes(b"changed")
    (world.source / "05.png").unlink()
    given: dict[str, Any] = {"source": world.source, "key": world.key, "labels": world.labels}
    on_ray: dict[str, Any] = {"engine": "ray", "workers": 2}
    found = [
        verify(world.released, world.model, rivals=[world.rival], batch=3, **given, **by)
        for by in ({}, on_ray)
    ]
    assert found[0].to_dict() == found[1].to_dict()
    assert {file for file, _ in found[0].problems} == {"03.png", "05.png"}
    shutil.rmtree(world.released)
    release(world.source, world.released, SpectralRecoder(world.key, psnr=9.0))
    names = ("none", "blur", "project-out", "linear-reconstruction")
    given |= {"model": world.model, "effort": Effort(judged=4, training=3)}
    made = []
    for number, by in enumerate(({}, on_ray)):
        kept = tmp_path / f"{number}.jsonl"
        attack_release(world.released, [world.rival], attacks=names[1:2], records=kept, **given)
        found_ = attack_release(
            world.released, [world.rival], attacks=names, records=kept, **given, **by
        )
        made.append(found_.to_dict())
    assert made[0] == made[1]
    assert {record["attack"] for record in made[0]["records"]} >= {"blur", "project-out"}
    deep = DeepRecoder(world.model, world.key, keep="scores")
    answers = []
    ways: list[tuple[str, dict[str, Any]]] = [("here", {}), ("ray", on_ray)]
    for name, by in ways:
        done = release(world.source, tmp_path / name / "out", deep, check=world.model, **by)
        files = sorted((tmp_path / name / "out").glob("*.png"))
        assert done.written == len(files) == 7
        pictures = world.model.preprocess([Image.open(file) for file in files])
        answers.append(world.model.answers(pictures).tolist())
    assert answers[0] == answers[1]
    assert len(set(answers[0])) > 1


def test_bad_engines_and_addresses(tmp_path: Path, fill: Fill, small: SpectralRecoder) -> None:
    src = fill(tmp_path / "src", "a.png")
    with pytest.raises(InvalidArgument, match="engine: expected local or ray, found spark"):
        release(src, tmp_path / "out", small, engine="spark")
    with pytest.raises(InvalidArgument, match="address: expected none without --engine ray"):
        release(src, tmp_path / "out", small, address="127.0.0.1:6379")
    world = WORLDS["tables"](tmp_path / "rows")
    with pytest.raises(InvalidArgument, match="engine: expected local for a"):
        release(world.source, tmp_path / "out", world.recoder, engine="ray", **world.beside)
    assert not (tmp_path / "out").exists()


def test_an_address_that_does_not_answer(
    tmp_path: Path, fill: Fill, small: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    src = fill(tmp_path / "src", "a.png")
    silent = socket.create_server(("127.0.0.1", 0))
    page = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=page.handle_request, daemon=True).start()
    monkeypatch.setattr("catch11.releases.pool._SECONDS", 1.0)
    for address in (
        "127.0.0.1:1",
        "nowhere",
        *(f"127.0.0.1:{one}" for one in (silent.getsockname()[1], page.server_port)),
    ):
        with pytest.raises(InvalidArgument, match="HOST:PORT of a Ray cluster that answers, found"):
            release(src, tmp_path / "out", small, engine="ray", address=address)
    assert not (tmp_path / "out").exists()
    silent.close()
    page.server_close()


def test_a_cluster_answers(cluster: Path) -> None:
    assert answers(ray.get_runtime_context().gcs_address)


def test_without_an_address_it_is_a_cluster_of_its_own(
    tmp_path: Path, fill: Fill, small: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that RAY_ADDRESS or this machine knows, which would get the key."""
    asked: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        asked.append(options)
        raise InvalidArgument("engine", expected="this far", found="here")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    src = fill(tmp_path / "src", "a.png")
    with pytest.raises(InvalidArgument, match="this far"):
        release(src, tmp_path / "out", small, engine="ray", workers=2)
    assert (asked[0]["address"], asked[0]["num_cpus"]) == ("local", 2)
    for workers in (0, -1):
        with pytest.raises(InvalidArgument, match=f"at least 1, found {workers}"):
            release(src, tmp_path / "out", small, engine="ray", workers=workers)
