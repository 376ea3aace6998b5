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
from dataclasses import fields
from pathlib import Path
from typing import Any

from catch11.client.gateway import Gateway, GatewayError, told_once
from catch11.data.stores.folders import FolderSource
from catch11.data.stores.frame import Source
from catch11.data.stores.remote import Where
from catch11.errors import InvalidArgument, UnreadableSource
from catch11.kinds import fetched, kind_of
from catch11.modalities.options import RecodeOptions
from catch11.recoding.keep import EVERYTHING
from catch11.releases.commit import Refusal
from catch11.releases.durable import sync_file
from catch11.releases.engine import Summary
from catch11.releases.manifest import NAME, listed_bytes
from catch11.releases.places import Places, places
from catch11.releases.plan import PART, Shard
from catch11.releases.read import read_release
from catch11.releases.shards import made_of
from catch11.releases.whole import stored

Progress = Callable[[int, int, str], None]
# What a client has a say in; see the gateway's Ask.
_ASKED = (
    "keep", "tolerance", "method", "psnr", "survive", "look", "format", "names", "columns", "long", "half",
)  # fmt: skip
_HERE = ("ledger", "resume", "check", "to")  # of which nothing goes out
_SKIPPED = (413, 415, 422)  # of a file that the gateway cannot use


class _OneFile(Source):
    """A source that is one file, of any kind of data."""

    def __init__(self, path: Path) -> None:
        self._path, self.names = path, (path.name,)

    def data(self, name: str) -> bytes:
        return self._path.read_bytes()


def recode(
    gateway: Gateway,
    src: Where,
    dst: Where,
    options: RecodeOptions | None = None,
    *,
    key: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Have a gateway recode `src` into `dst`: folders, files, zips and tars, which are opened and packed here.

    key: by its name there; may be left out where the token has one. What was stopped goes on when it is
    called again. Raises GatewayError, ReleaseError, InvalidArgument.
    """
    options = RecodeOptions() if options is None else options
    ask = asked(options, key)
    held = _key_of(gateway, key, options)
    to, ledger, resume = options.to, options.ledger, options.resume
    tick = progress or (lambda done, total, what: None)
    packed = fetched(kind_of(held["modality"], argument="key").pipeline).suffixes
    columns = options.columns if packed else ()
    with stored(src, dst, held["modality"], to=to, ledger=ledger, columns=columns) as plan:
        if plan is None:
            where = places(src, dst, ledger, resume=resume, files=True)
            root = Path(os.path.realpath(src))
            source = _OneFile(root) if root.is_file() else FolderSource(root)
            return _made(gateway, source, where, ask, tick)
        for store in (plan.source, plan.sink):
            if store is not None and store.keeps != "files":
                raise InvalidArgument(
                    "SRC", expected="a folder, a file, a zip or a tar with --server", found=store.name,
                    remedy="write its pictures into a folder, or recode it on the machine that has the key",
                )  # fmt: skip

        def made(source: Source, shard: Shard) -> Summary:
            where = places(None, shard.room, shard.ledger, resume=True)
            return _made(gateway, source, where, ask, tick)

        return made_of(plan, made, resume=resume)


def _made(
    gateway: Gateway, source: Source, where: Places, ask: Mapping[str, Any], tick: Progress
) -> Summary:
    """A release folder by the gateway."""
    with told_once(str(where.release)):
        job, skipped = _sent(gateway, where, ask, source, tick)
        found = _waited(gateway, job, tick)
        return _fetched(gateway, where, found, skipped)


def _key_of(gateway: Gateway, key: str | None, options: RecodeOptions) -> dict[str, Any]:
    """What the gateway says of the key that is meant. Raises InvalidArgument, GatewayError."""
    known = gateway.granted_keys()
    if key is not None:
        known = [one for one in known if key in (one["id"], one["name"]) or (len(key) >= 8 and one["fingerprint"].startswith(key))]  # fmt: skip
    if not known:
        raise GatewayError("no grant of yours names such a key; GET /v1/keys lists those that do.")
    if len(known) > 1:
        names = ", ".join(one["name"] for one in known)
        raise InvalidArgument("key", expected=f"one of {names}", found=key or "none")
    if options.check and not known[0]["checked"]:
        raise InvalidArgument(
            "check", expected="a key whose model the gateway has", found=f"{known[0]['name']}, which has none there",
            remedy="leave --check out, or have the operator add the key with its --model",
        )  # fmt: skip
    return known[0]


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


def _note_of(where: Places) -> Path:
    return where.release.with_name(f"{where.release.name.removesuffix(PART)}.gateway.json")


def _sent(
    gateway: Gateway, where: Places, ask: Mapping[str, Any], source: Source, tick: Progress
) -> tuple[str, dict[str, str]]:
    """The job with all files in it, begun now or before; why some could not be used."""
    lost = dict(source.problems)
    digest = hashlib.sha256(json.dumps([gateway.url, ask], sort_keys=True).encode())
    for name in source.names:
        held = hashlib.sha256(data).hexdigest() if (data := _read(source, name, lost)) else ""
        digest.update(f"\0{name}\0{held}".encode("utf-8", "surrogateescape"))
    named = digest.hexdigest()
    known = _known(gateway, where, named)
    if known is not None and known[0]["state"] != "open":
        return known[0]["id"], known[1]
    again = f"{named[:40]}.{os.urandom(8).hex()}"
    job = known[0]["id"] if known is not None else gateway.create(ask, again=again)
    skipped = lost if known is None else known[1] | lost
    _write_note(where, {"request": named, "job": job, "skipped": skipped})
    there = set() if known is None else {part["name"] for part in known[0]["parts"]}
    total = 2 * len(source.names)
    for number, name in enumerate(source.names):
        tick(number, total, name)
        if name in there or name in lost or (data := _read(source, name, skipped)) is None:
            continue
        try:
            gateway.upload(job, name, data)
        except GatewayError as error:
            if error.status not in _SKIPPED:
                raise
            skipped[name] = str(error)
        else:
            there.add(name)
    _write_note(where, {"request": named, "job": job, "skipped": skipped})
    if not there:
        first = next(iter(skipped.values()), "the source holds no files")
        gateway.cancel(job)
        raise GatewayError(f"no file can be used: {first}")
    gateway.start(job)
    return job, skipped


def _read(source: Source, name: str, lost: dict[str, str]) -> bytes | None:
    """The bytes of a source; None, and why in `lost`, where there are none."""
    try:
        return source.data(name)
    except UnreadableSource as error:
        lost[name] = error.reason
        return None


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
