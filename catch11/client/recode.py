"""recode by a gateway: the same release on disk as one that was made here, and resumable like it.

Beside the release lies a private note of the job that it comes from. Run again, with the same sources and
options, the same job is gone on with: files that arrived stand, by their hash.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from catch11.client.gateway import Gateway, GatewayError, told_once
from catch11.data.folder import walk
from catch11.errors import InvalidArgument
from catch11.modalities.options import RecodeOptions
from catch11.recoding.keep import EVERYTHING
from catch11.releases.commit import Refusal
from catch11.releases.durable import sync_file
from catch11.releases.engine import Summary
from catch11.releases.manifest import NAME, listed_bytes
from catch11.releases.places import Places, places
from catch11.releases.read import read_release

Progress = Callable[[int, int, str], None]
# What a client has a say in; see the gateway's Ask.
_ASKED = (
    "keep", "tolerance", "method", "psnr", "survive", "look", "format", "names", "columns", "long", "half",
)  # fmt: skip
_HERE = ("ledger", "resume", "check", "device", "allow_code")  # of which nothing goes out
_SKIPPED = (413, 415, 422)  # of a file that the gateway cannot use


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to be sent."""

    name: str
    path: Path

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()


def recode(
    gateway: Gateway,
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    options: RecodeOptions | None = None,
    *,
    key: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Have a gateway recode `src` into the release folder `dst`.

    key: by its name there; may be left out where the token has one. What was stopped goes on when it is
    called again. Raises GatewayError, ReleaseError, InvalidArgument.
    """
    options = RecodeOptions() if options is None else options
    ask = asked(options, key)
    where = places(src, dst, options.ledger, resume=options.resume, files=True)
    sources = _sources(Path(os.path.realpath(src)))
    tick = progress or (lambda done, total, what: None)
    with told_once(str(where.release)):
        job, skipped = _sent(gateway, where, ask, sources, tick)
        found = _waited(gateway, job, tick)
        return _fetched(gateway, where, found, skipped)


def asked(options: RecodeOptions, key: str | None) -> dict[str, Any]:
    """What goes to the gateway of the options. Raises InvalidArgument for those that are its own."""
    ask: dict[str, Any] = {} if key is None else {"key": key}
    for item in fields(RecodeOptions):
        value = getattr(options, item.name)
        if value == item.default or item.name in _HERE:
            continue
        if item.name not in _ASKED:
            expected = "none with --server, as the gateway has its own"
            raise InvalidArgument(item.name, expected=expected, found="one")
        ask[item.name] = list(value) if isinstance(value, tuple) else value
    return ask


def _sources(source: Path) -> list[_Source]:
    if source.is_file():
        return [_Source(source.name, source)]
    return [_Source(name, source / name) for name in walk(source).files]


def _note_of(where: Places) -> Path:
    return where.release.with_name(f"{where.release.name}.gateway.json")


def _sent(
    gateway: Gateway, where: Places, ask: Mapping[str, Any], sources: list[_Source], tick: Progress
) -> tuple[str, dict[str, str]]:
    """The job with all files in it, begun now or before; why some could not be used."""
    digest = hashlib.sha256(json.dumps([gateway.url, ask], sort_keys=True).encode())
    for one in sources:
        digest.update(
            f"\0{one.name}\0{hashlib.sha256(one.data).hexdigest()}".encode(
                "utf-8", "surrogateescape"
            )
        )
    named = digest.hexdigest()
    known = _known(gateway, where, named)
    if known is not None and known[0]["state"] != "open":
        return known[0]["id"], known[1]
    again = f"{named[:40]}.{os.urandom(8).hex()}"
    job = known[0]["id"] if known is not None else gateway.create(ask, again=again)
    skipped: dict[str, str] = {} if known is None else known[1]
    _write_note(where, {"request": named, "job": job, "skipped": skipped})
    there = set() if known is None else {part["name"] for part in known[0]["parts"]}
    for number, one in enumerate(sources):
        tick(number, 2 * len(sources), one.name)
        if one.name not in there:
            try:
                gateway.upload(job, one.name, one.data)
            except GatewayError as error:
                if error.status not in _SKIPPED:
                    raise
                skipped[one.name] = str(error)
    _write_note(where, {"request": named, "job": job, "skipped": skipped})
    if len(skipped) == len(sources):
        first = next(iter(skipped.values()), "the source holds no files")
        gateway.cancel(job)
        raise GatewayError(f"no file can be used: {first}")
    gateway.start(job)
    return job, skipped


def _known(
    gateway: Gateway, where: Places, named: str
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """The job of an earlier run, if it was asked the same and still stands."""
    try:
        note = json.loads(_note_of(where).read_text(encoding="utf-8"))
        if note["request"] != named:
            return None
        found = gateway.job(note["job"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    except GatewayError as error:
        if error.status == 404:
            return None
        raise
    return None if found["state"] in ("failed", "cancelled") else (found, dict(note["skipped"]))


def _write_note(where: Places, facts: Mapping[str, Any]) -> None:
    where.release.parent.mkdir(parents=True, exist_ok=True)
    path = _note_of(where)
    rough = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    handle = os.open(rough, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(dict(facts), file)
    os.replace(rough, path)


def _waited(gateway: Gateway, job: str, tick: Progress) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for found in gateway.moves(job):
        tick(found["total"] + found["done"], 2 * found["total"] or 1, found["state"])
    if found["state"] != "done":
        raise GatewayError(found["error"] or f"the job is {found['state']}.")
    return found


def _fetched(
    gateway: Gateway, where: Places, found: Mapping[str, Any], skipped: Mapping[str, str]
) -> Summary:
    """What is not here yet to the workroom, then list and files to their places, then the ledger."""
    job, release, room = found["id"], where.release, where.workroom
    gateway.fetch(job, NAME, room / NAME)
    held = read_release(room, signer=_signer(gateway, found["key"]))
    new = [entry for entry in held.entries if not _same(release / entry.file, entry.sha256)]
    for entry in new:
        if not _same(room / entry.file, entry.sha256):
            gateway.fetch(job, entry.file, room / entry.file)
        listed_bytes(room, entry)
        sync_file(room / entry.file)
    os.replace(room / NAME, where.manifest)
    for entry in new:
        (release / entry.file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(room / entry.file, release / entry.file)
    shutil.rmtree(room)
    where.ledger.write_bytes(gateway.ledger(job))
    os.chmod(where.ledger, 0o600)
    lost = [*_lost(found), *((name, "skipped", why) for name, why in skipped.items())]
    count = Counter(outcome for _, outcome, _ in lost)
    return Summary(
        written=len(new), reused=len(held) - len(new), withheld=count["withheld"], skipped=count["skipped"],
        manifest=where.manifest, ledger=where.ledger, refused=tuple(_refusals(lost)),
        keep=held.keep or EVERYTHING,
    )  # fmt: skip


def _signer(gateway: Gateway, key: str) -> str | None:
    """The public key that the list must be signed with: the gateway's own word on it."""
    return next((one["public_key"] for one in gateway.granted_keys() if one["name"] == key), None)


def _same(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _lost(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for part in found["parts"]:
        if part["outcome"] != "released":
            yield part["name"], part["outcome"], part["reason"]


def _refusals(lost: list[tuple[str, str, str]]) -> Iterator[Refusal]:
    count = Counter((outcome, reason) for _, outcome, reason in lost)
    for (outcome, reason), number in count.most_common():
        first = next(name for name, o, r in lost if (o, r) == (outcome, reason))
        yield Refusal(outcome=outcome, reason=reason, first=first, count=number)  # type: ignore[arg-type]
