"""A release by a gateway is the release that the library makes, whatever stopped on the way."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra serve")

import uvicorn

from catch11.cli import app
from catch11.client import Gateway as Door
from catch11.client import GatewayError
from catch11.client.recode import recode
from catch11.errors import InvalidArgument, ReleaseError
from catch11.keys.key import build_key
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import recode as here
from catch11.releases.read import read_release, sources_of
from catch11.serve.grants import add_grant
from catch11.serve.tokens import create_token
from catch11.serve.vault import Models, add_key, list_keys
from tests.releases.worlds import WORLDS
from tests.serve.gateway import Gateway, gateway, png, pngs
from tests.serve.test_stops import free_port, wait_for
from tests.world import World, build_world


@contextmanager
def listening(made: Gateway) -> Iterator[str]:
    """The gateway on a port of this machine."""
    port = free_port()
    config = uvicorn.Config(made.client.app, port=port, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, str, str, World]]:
    world = build_world(tmp_path_factory.mktemp("world"), count=16)
    with (
        gateway(world, tmp_path_factory.mktemp("home"), quota=1000) as made,
        listening(made) as url,
    ):
        yield made, url, str(made.client.headers["authorization"]).split()[1], world


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, data in pngs(6, 30).items():
        path = folder / ("a" if name < "003" else "b") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "notes.txt").write_text("no picture")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_release_on_disk(served: Any, source: Path, tmp_path: Path) -> None:
    _made, url, token, world = served
    options = RecodeOptions(method="spectral", keep="all")
    with Door(url, token) as door:
        done = recode(door, source, tmp_path / "out", options)
        assert repr(door) == f"Gateway('{url}')"
    assert done.written + done.withheld == 6
    assert (done.skipped, done.refused[-1].first) == (1, "notes.txt")
    local = RecodeOptions(method="spectral", model=world.model, check=True, workers=1)
    (source / "notes.txt").unlink()
    here(source, tmp_path / "local", world.key, local)
    assert files(tmp_path / "out") == files(tmp_path / "local")
    rows = sources_of(read_release(tmp_path / "out"), tmp_path / "out.ledger.jsonl")
    assert sorted(row.source for row in rows.values()) == sorted(f"{p.parent.name}/{p.name}" for p in source.rglob("*.png"))[: len(rows)]  # fmt: skip


def test_stopped_on_the_way_it_goes_on(
    served: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made, url, token, _world = served
    out, options = tmp_path / "out", RecodeOptions(method="spectral", keep="all")

    class Stopped(Exception):
        pass

    calls = {"upload": 0, "fetch": 0}

    def stopping(name: str, after: int) -> None:
        real = getattr(Door, name)

        def held(*args: Any, **said: Any) -> Any:
            calls[name] += 1
            if calls[name] == after:
                raise Stopped
            return real(*args, **said)

        monkeypatch.setattr(Door, name, held)

    with Door(url, token) as door:
        for name in ("upload", "fetch"):
            stopping(name, 4)
            with pytest.raises(Stopped):
                recode(door, source, out, options)
        done = recode(door, source, out, options)
        again = recode(door, source, out, options)
    assert calls["upload"] == 4 + 4, "what had arrived was not sent again"
    assert (again.written, again.reused) == (0, done.written + done.reused)
    release = read_release(out)
    assert release.complete
    assert all(release.data(entry) for entry in release.entries)
    assert not (out / ".catch11").exists()


def test_a_changed_file_is_fetched_again(served: Any, source: Path, tmp_path: Path) -> None:
    _made, url, token, _world = served
    out, options = tmp_path / "out", RecodeOptions(method="spectral", keep="all")
    with Door(url, token) as door:
        recode(door, source, out, options)
        before = files(out)
        broken = next(out.rglob("*.png"))
        broken.write_bytes(b"other bytes")
        done = recode(door, source, out, options)
    assert done.written == 1
    assert files(out) == before


def test_by_the_command(served: Any, source: Path, tmp_path: Path) -> None:
    _made, url, token, _world = served
    words = ["recode", str(source), str(tmp_path / "out"), "--server", url, "--keep", "all"]
    run = CliRunner().invoke
    done = run(app, [*words, "--key", "ours", "--json"], env={"CATCH11_TOKEN": token})
    assert done.exit_code == 0, done.stderr
    assert '"skipped": 1' in done.stdout
    for more, env, sentence in (
        ([], {}, "token: expected the gateway's token in CATCH11_TOKEN"),
        ([], {"CATCH11_TOKEN": "c11_none"}, "expected a valid token"),
        (["--radius", "4"], {"CATCH11_TOKEN": token}, "--radius: expected none with --server"),
        (["--device", "cuda"], {"CATCH11_TOKEN": token}, "--device: expected none with --server"),
        (["--allow-code"], {"CATCH11_TOKEN": token}, "--allow-code: expected none with --server"),
        (["--dry-run"], {"CATCH11_TOKEN": token}, "--dry-run: expected no --server"),
        (["--key", "other"], {"CATCH11_TOKEN": token}, "no grant of yours names such a key"),
    ):  # fmt: skip
        failed = run(app, [*words[:2], str(tmp_path / "new"), *words[3:], *more], env=env)
        assert (failed.exit_code, sentence in " ".join(failed.stderr.split())) == (2, True), failed.stderr  # fmt: skip
        assert token not in failed.stderr
    missing = run(app, ["recode", str(source), str(tmp_path / "new")])
    assert (missing.exit_code, "--key: expected a key file, or --server URL" in missing.stderr) == (2, True)  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"), [("zip", "zip"), ("tar", ""), ("", "tar"), ("", "zip")]
)
def test_archives_are_opened_and_packed_as_here(
    served: Any, tmp_path: Path, before: str, after: str
) -> None:
    """The same bytes, whatever the source and the release lie in; and again, where it stands."""
    _made, url, token, world = served
    folder = tmp_path / "few"
    for name, data in pngs(3, 60).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "empty.png").touch()
    src = Path(shutil.make_archive(str(folder), before, folder)) if before else folder
    out, local = (tmp_path / f"{name}.{after}".rstrip(".") for name in ("out", "local"))
    options = RecodeOptions(method="spectral", keep="all")
    with Door(url, token) as door:
        done = recode(door, src, out, options)
        again = recode(door, src, out, options)
    assert (done.written + done.withheld, done.skipped) == (3, 1)
    assert (again.written, again.reused) == (0, done.written)
    here(src, local, world.key, replace(options, model=world.model, check=True, workers=1))
    assert (out.is_file(), out.is_dir()) == (bool(after), not after)
    assert (out.read_bytes() == local.read_bytes()) if after else (files(out) == files(local))
    held = read_release(out)
    assert len(sources_of(held, tmp_path / f"{out.name}.ledger.jsonl")) == done.written
    assert not [*tmp_path.glob("*.part")]


def test_what_cannot_be_the_same_is_refused(served: Any, source: Path, tmp_path: Path) -> None:
    made, url, token, world = served
    pytest.importorskip("pyarrow", reason="needs the extra data")
    import pyarrow
    import pyarrow.parquet

    table = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": [png(1, 1)]}), table)
    add_key(made.service.store, "bare", build_key(world.model, energy=1e-2), models=Models())
    add_grant(made.service.store, "bare", "c", keep=("all",), quota=10)
    with Door(url, token) as door, pytest.raises(InvalidArgument, match="expected a folder, a file, a zip or a tar with --server, found parquet"):  # fmt: skip
        recode(door, table, tmp_path / "out.parquet", key="ours")
    bare = create_token(made.service.store, "c", ["recode"])
    with Door(url, bare) as door, pytest.raises(InvalidArgument, match="check: expected a key whose model the gateway has, found bare"):  # fmt: skip
        recode(door, source, tmp_path / "out", RecodeOptions(check=True))
    assert not [*tmp_path.glob("out*")]


@pytest.mark.parametrize("url", ["http://example.org", "ftp://127.0.0.1", "nonsense", ""])
def test_tokens_go_nowhere_in_the_plain(url: str) -> None:
    with pytest.raises(InvalidArgument, match="expected https://HOST"):
        Door(url, "c11_x")


def test_nobody_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catch11.client.gateway._WAIT", 0.001)
    with Door(f"http://127.0.0.1:{free_port()}", "c11_x") as door, pytest.raises(GatewayError, match="cannot be reached"):  # fmt: skip
        door.granted_keys()


def test_a_folder_of_other_files_is_refused(served: Any, source: Path, tmp_path: Path) -> None:
    _made, url, token, _world = served
    out = tmp_path / "out"
    out.mkdir()
    (out / "other").write_bytes(png(1, 1))
    with Door(url, token) as door, pytest.raises(ReleaseError, match="other files and no release"):
        recode(door, source, out)


def test_other_places_and_forms_as_here(served: Any, source: Path, tmp_path: Path) -> None:
    """From and to an address, and with --to: the same bytes as of a run here, and again, where it stands."""
    fsspec = pytest.importorskip("fsspec", reason="needs the extra data")
    _made, url, token, world = served
    (source / "notes.txt").unlink()
    bucket = fsspec.filesystem("memory")
    for name, data in files(source).items():
        bucket.pipe(f"/gateway/photos/{name}", data)
    options = RecodeOptions(method="spectral", keep="all", to="tar")
    with Door(url, token) as door:
        for src, dst in (
            (source, tmp_path / "out"),
            ("memory://gateway/photos", "memory://gateway/out"),
        ):
            asked = replace(options, ledger=tmp_path / f"{type(dst).__name__}.jsonl")
            done = recode(door, src, dst, asked, key="ours")
            again = recode(door, src, dst, asked, key="ours")
            assert (again.written, again.reused) == (0, done.written) == (0, 6)
    local = replace(options, model=world.model, check=True, workers=1)
    here(source, tmp_path / "local", world.key, local)
    wanted = (tmp_path / "local").read_bytes()
    assert (tmp_path / "out").read_bytes() == wanted
    assert bucket.cat("/gateway/out") == wanted


@pytest.mark.parametrize(
    ("src", "dst", "more", "sentence"),
    [
        ("", "out", ["--to", "webdataset"], "--to: expected folder or zip or tar"),
        ("", "out.parquet", [], "--to: expected folder or zip or tar"),
        ("memory://gateway/none", "out", [], "memory://gateway/none: nothing is there"),
        ("", "memory://gateway/new", [], "--ledger: expected a file of this machine"),
        ("s3://bucket/photos", "out", [], "s3://bucket/photos: expected the package that reads s3://"),
        ("", "gs://bucket/new", [], "gs://bucket/new: expected the package that reads gs://"),
        ("memory://gateway/t.csv", "out", ["--key", "rows"], "SRC: expected a place on this machine for a key of table"),
        ("rows", "memory://gateway/new", ["--key", "rows"], "DST: expected a place on this machine"),
        ("rows", "out", ["--key", "rows", "--to", "zip"], "--to: expected folder for a key of table"),
    ],
)  # fmt: skip
def test_other_places_and_forms_that_cannot_be(
    served: Any, source: Path, tmp_path: Path, src: str, dst: str, more: list[str], sentence: str
) -> None:
    made, url, token, _world = served
    if "rows" in more:
        rows = WORLDS["tables"](tmp_path / "rows")
        if not any(one["name"] == "rows" for one in list_keys(made.service.store)):
            add_key(made.service.store, "rows", rows.recoder.key, models=Models())
            add_grant(made.service.store, "rows", "a", keep=("all",), quota=100)
    where = dst if "://" in dst else str(tmp_path / dst)
    named = [] if "--key" in more else ["--key", "ours"]
    words = ["recode", str(tmp_path / src) if src == "rows" else src or str(source), where, "--server", url, *named, "--keep", "all"]  # fmt: skip
    failed = CliRunner().invoke(app, [*words, *more], env={"CATCH11_TOKEN": token})
    assert (failed.exit_code, sentence in " ".join(failed.stderr.split())) == (2, True), failed.stderr  # fmt: skip
    assert not [*tmp_path.glob("out*")]
