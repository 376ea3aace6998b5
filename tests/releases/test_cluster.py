"""Ray: the same bytes as this process gives, whatever becomes of workers; the key in no log and no argument."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catch11.copies.seal import SealSecret
from catch11.errors import InvalidArgument, ReleaseError
from catch11.modalities.image.release import read_picture
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.ledger import read_ledger
from catch11.releases.whole import release
from tests.releases.worlds import WORLDS

ray = pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

Fill = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes]]
NAMES = tuple(f"{n // 4}/{n}.png" for n in range(10))


@pytest.fixture(scope="module")
def cluster(root: Path) -> Iterator[Path]:
    """One cluster of two workers for all tests; the folder of its logs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    held = ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(root)}},
    )  # fmt: skip
    yield Path(ray._private.worker._global_node.get_session_dir_path())
    del held
    ray.shutdown()


@pytest.fixture
def small(recoder: SpectralRecoder) -> SpectralRecoder:
    """Chunks of two pictures."""
    made = SpectralRecoder(recoder.key, psnr=12.0)
    made.domain.batch = 2
    return made


def test_the_same_bytes(
    cluster: Path, tmp_path: Path, fill: Fill, tree: Tree, small: SpectralRecoder
) -> None:
    src = fill(tmp_path / "src", *NAMES)
    (src / "bad.png").write_bytes(b"no picture")
    key = small.key
    copy = SealSecret(secret=bytes(32), canvas=key.canvas, original=key.front_fingerprint)
    sealed = SpectralRecoder(key, psnr=12.0, copy=copy)
    for engine in ("local", "ray"):
        release(src, tmp_path / f"{engine}-sealed", sealed, engine=engine, workers=2)
    assert tree(tmp_path / "ray-sealed") == tree(tmp_path / "local-sealed") != {}
    for engine in ("local", "ray"):
        done = release(src, tmp_path / engine / "out", small, engine=engine, workers=2)
        assert (done.written, done.skipped) == (10, 1)
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    again = release(src, tmp_path / "ray" / "out", small, engine="ray", workers=2)
    assert (again.written, again.reused) == (0, 10)
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    release(src, tmp_path / "ray.zip", small, engine="ray", workers=2)
    release(src, tmp_path / "local.zip", small)
    assert (tmp_path / "ray.zip").read_bytes() == (tmp_path / "local.zip").read_bytes()


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


def test_a_killed_worker_costs_nothing(
    cluster: Path, tmp_path: Path, fill: Fill, tree: Tree, small: SpectralRecoder
) -> None:
    src = fill(tmp_path / "src", *NAMES)
    release(src, tmp_path / "whole" / "out", small)
    marks = tmp_path / "marks"
    marks.mkdir()

    def fatal(data: bytes, path: str, canvas: Any) -> Any:
        """Kills its own process at the second and the sixth picture, once each."""
        mark = marks / path.replace("/", "-")
        if path in (NAMES[1], NAMES[5]) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read_picture(data, path, canvas)

    done = release(src, tmp_path / "ray" / "out", small, engine="ray", workers=2, read=fatal)
    assert len(list(marks.iterdir())) == 2
    assert done.written == 10
    assert tree(tmp_path / "ray") == tree(tmp_path / "whole")
    rows = read_ledger(tmp_path / "ray" / "out.ledger.jsonl")
    assert len({row.source for row in rows}) == len(rows) == 10


def test_the_key_is_in_no_log(
    cluster: Path, tmp_path: Path, fill: Fill, small: SpectralRecoder
) -> None:
    src = fill(tmp_path / "src", *NAMES[:4])
    (src / "bad.png").write_bytes(b"no picture")
    release(src, tmp_path / "out", small, engine="ray", workers=2)
    secret, found = small.key.secret, 0
    for path in cluster.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += 1
            assert secret not in data, path
            assert secret.hex().encode() not in data, path
    assert found > 3


def test_what_a_worker_refuses_is_one_sentence(
    cluster: Path, tmp_path: Path, fill: Fill, small: SpectralRecoder
) -> None:
    src = fill(tmp_path / "src", *NAMES[:2])
    release(src, tmp_path / "out", small, engine="ray", workers=1)
    stronger = SpectralRecoder(small.key, psnr=6.0)
    book = tmp_path / "out.ledger.jsonl"
    with pytest.raises(ReleaseError, match="two strengths of one picture"):
        release(src, tmp_path / "other", stronger, engine="ray", workers=1, ledger=book)

    def broken(data: bytes, path: str, canvas: Any) -> Any:
        raise ZeroDivisionError("a fault of the reader")

    with pytest.raises(ZeroDivisionError, match="a fault of the reader"):
        release(src, tmp_path / "third", small, engine="ray", workers=1, read=broken)


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
    for address in ("127.0.0.1:1", "nowhere"):
        with pytest.raises(InvalidArgument, match="HOST:PORT of a Ray cluster that answers, found"):
            release(src, tmp_path / "out", small, engine="ray", address=address)
    assert not (tmp_path / "out").exists()
