"""Addresses of fsspec (s3://, gs://, memory://, ...): fetched before work begins, sent when it is done."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from catch11.errors import Catch11Error, InvalidArgument, ReleaseError

Where = str | os.PathLike[str]
# Where the first part of a path is a bucket, which `makedirs` would make of a slip of the pen; folders need no making.
_BUCKETS = frozenset(["s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci"])


def is_remote(path: Where) -> bool:
    """Whether a path is an address, not one of this machine."""
    return isinstance(path, str) and "://" in path and not path.startswith("file://")


def local(path: Where) -> Path:
    """A path of this machine, which may be written as file://. Raises InvalidArgument for one that is not whole."""
    if not (isinstance(path, str) and path.startswith("file://")):
        return Path(path)
    host, slash, rest = path.removeprefix("file://").partition("/")
    if host not in ("", "localhost") or not slash:
        raise InvalidArgument(
            path, expected="file:// and a whole path, as file:///data/in", found=host or "no path",
            remedy="a path from here is written without file://",
        )  # fmt: skip
    return Path(f"/{unquote(rest)}")


def name_of(address: str) -> str:
    """The last part of an address; what follows a ? in one of the web is none of its name."""
    path = address.partition("?")[0] if address.startswith("http") else address
    return path.rstrip("/").rpartition("/")[2]


def system(address: str) -> tuple[Any, str]:
    """fsspec's file system and the path on it. Raises InvalidArgument."""
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        kind = address.partition("://")[0]
        raise InvalidArgument(
            shown(address), expected=f"the package that reads {kind}://", found="none",
            remedy=" ".join(str(error).split())[:80].rstrip("."),
        ) from None  # fmt: skip
    except ValueError as error:
        if not str(error).startswith("Protocol not known"):
            raise _unreachable(address, error) from None
        raise InvalidArgument(
            shown(address), expected="an address of a kind that fsspec knows (s3://, gs://, ...)",
            found=f"{address.partition('://')[0]}://",
        ) from None  # fmt: skip
    except Exception as error:  # noqa: BLE001 - each system raises its own
        raise _unreachable(address, error) from None
    return files, path


@contextmanager
def reached(address: str) -> Iterator[None]:
    """Trouble with an address, said once; its text may hold credentials, so its kind alone is told."""
    try:
        yield
    except Catch11Error:
        raise
    except Exception as error:  # noqa: BLE001 - each system raises its own
        raise _unreachable(address, error) from None


def kind_at(address: str) -> str:
    """What is there: "file", "folder" or "none". Raises ReleaseError."""
    files, path = system(address)
    with reached(address):
        try:
            kind = files.info(path)["type"]  # exists() takes a refusal for nothing being there
        except FileNotFoundError:
            return "none"
        return "file" if kind == "file" else "folder" if files.find(path) else "none"


def check_place(address: str) -> None:
    """Raises ReleaseError where nothing can be sent to: it is not reached, or there is no such bucket."""
    kind_at(address)
    files, path = system(address)
    bucket = path.partition("/")[0]
    if _has_buckets(files):
        try:
            files.info(bucket)
        except FileNotFoundError:
            reason = f"there is no bucket {bucket}"
            raise ReleaseError(shown(address), reason, "make it, or look at the address") from None
        except Exception:  # noqa: BLE001 - who may write below need not be allowed to look at all of it
            return


def below(address: str) -> dict[str, dict[str, Any]]:
    """Every file below an address, with its facts."""
    files, path = system(address)
    with reached(address):
        found: dict[str, dict[str, Any]] = files.find(path, detail=True)
    return found


def overlap(one: str, other: str) -> bool:
    """Whether two addresses are the same, or one lies below the other."""
    (files, path), (others, place) = system(one), system(other)
    ways = [f"{each.rstrip('/')}/" for each in (path, place)]
    return files == others and (ways[0].startswith(ways[1]) or ways[1].startswith(ways[0]))


def fetch(address: str, folder: Path) -> Path:
    """A copy of a file, or of a folder with what is below, in a folder of this machine."""
    files, path = system(address)
    target = folder / name_of(address)
    with reached(address):
        if files.isfile(path):
            files.get_file(path, str(target))
            return target
        found = files.find(path)
        if not found:
            raise ReleaseError(shown(address), "nothing is there", "look at the address")
        for one in found:
            inner = target / one.removeprefix(path).lstrip("/")
            if target not in inner.parents or ".." in inner.parts:
                raise ReleaseError(shown(address), "it names a file outside of it")
            inner.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(one, str(inner))
    return target


def send(path: Path, address: str) -> None:
    """Put a file, or a folder's files, at an address; the list of a release comes last."""
    files, root = system(address)
    with reached(address):
        if path.is_file():
            _put(files, path, root)
            return
        found = sorted(one for one in path.rglob("*") if one.is_file())
        for one in sorted(found, key=lambda one: one.name == "manifest.jsonl"):
            _put(files, one, f"{root}/{one.relative_to(path).as_posix()}")


def _put(files: Any, path: Path, place: str) -> None:
    if not _has_buckets(files):
        files.makedirs(place.rpartition("/")[0], exist_ok=True)
    files.put_file(str(path), place)


def _has_buckets(files: Any) -> bool:
    kinds = files.protocol
    return not _BUCKETS.isdisjoint([kinds] if isinstance(kinds, str) else kinds)


def _unreachable(address: str, error: Exception) -> ReleaseError:
    reason = f"it cannot be reached ({type(error).__name__})"
    return ReleaseError(shown(address), reason, "look at the address and at the credentials for it")


def shown(address: str) -> str:
    """An address without the credentials that it may hold; a path as it is."""
    kind, mark, rest = address.partition("://")
    return f"{kind}://{rest.rpartition('@')[2].partition('?')[0]}" if mark else address
