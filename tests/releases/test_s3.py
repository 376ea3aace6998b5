"""Buckets of S3, by s3fs, from a server of this machine: `make test-s3` brings both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catch11.errors import ReleaseError
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.read import read_release
from catch11.releases.whole import release
from tests.releases.test_stores import COUNT, folder, in_parquet, in_zip, shards

pytest.importorskip("s3fs", reason="needs s3fs: make test-s3")
server = pytest.importorskip("moto.server", reason="needs moto[server]: make test-s3")
pytestmark = pytest.mark.filterwarnings(
    "ignore"
)  # what the server and its clients warn of is theirs


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "open", "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    for bucket in ("given", "made"):
        client.create_bucket(Bucket=bucket)
    yield client
    s3fs.S3FileSystem.clear_instance_cache()


def put(client: Any, path: Path, name: str) -> None:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    for one in files:
        below = "" if path.is_file() else f"/{one.relative_to(path).as_posix()}"
        client.upload_file(str(one), "given", f"{name}{below}")


def held(client: Any, prefix: str) -> dict[str, bytes]:
    found = client.list_objects_v2(Bucket="made", Prefix=f"{prefix}/").get("Contents", [])
    return {
        one["Key"].removeprefix(f"{prefix}/"): client.get_object(Bucket="made", Key=one["Key"])["Body"].read()
        for one in found
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "src", "dst"),
    [
        (folder, "photos", "photos"),
        (folder, "some", "some.zip"),
        (in_zip, "b.zip", "b"),
        (shards, "c", "c"),
        (in_parquet, "d.parquet", "d.parquet"),
    ],
)
def test_a_release_from_a_bucket_into_a_bucket(
    make: Callable[[Path], Path], src: str, dst: str, s3: Any, tmp_path: Path,
    recoder: SpectralRecoder, tree: Callable[[Path], dict[str, bytes]],
) -> None:  # fmt: skip
    here = make(tmp_path / src.partition(".")[0])
    put(s3, here, src)
    address, book = f"s3://made/{src}-{dst}/{dst}", tmp_path / "book"
    done = release(f"s3://given/{src}", address, recoder, ledger=book)
    assert done.written == COUNT
    named = f"{src}-{dst}/{done.address.removeprefix(f's3://made/{src}-{dst}/')}"
    assert s3.list_objects_v2(Bucket="made", Prefix=named)["KeyCount"], done.address
    release(here, tmp_path / "local" / dst, recoder, ledger=tmp_path / "other")
    sent = held(s3, f"{src}-{dst}")
    assert sent == {
        name: data for name, data in tree(tmp_path / "local").items() if "ledger" not in name
    }
    assert len(read_release(address)) == COUNT
    again = release(f"s3://given/{src}", address, recoder, ledger=book)
    assert (again.written, again.reused) == (0, COUNT)
    assert held(s3, f"{src}-{dst}") == sent


def test_no_bucket_is_made_of_a_slip_of_the_pen(
    s3: Any, tmp_path: Path, recoder: SpectralRecoder
) -> None:
    src = folder(tmp_path / "in")
    with pytest.raises(ReleaseError, match="there is no bucket mdae; make it, or look at"):
        release(src, "s3://mdae/x", recoder, ledger=tmp_path / "book")
    with pytest.raises(ReleaseError, match="s3://given/nothing: nothing is there"):
        release("s3://given/nothing", "s3://made/x", recoder, ledger=tmp_path / "book")
    assert {one["Name"] for one in s3.list_buckets()["Buckets"]} == {"given", "made"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_without_credentials_or_an_answer(
    s3: Any, tmp_path: Path, recoder: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    src = folder(tmp_path / "in")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ReleaseError, match=r"cannot be reached \(EndpointConnectionError\)") as bad:
        release(src, "s3://made/y", recoder, ledger=tmp_path / "book")
    assert "hidden" not in str(bad.value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(ReleaseError, match=r"cannot be reached \(NoCredentialsError\); look at"):
        release(src, "s3://made/y", recoder, ledger=tmp_path / "book")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
