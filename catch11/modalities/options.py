"""The options of the commands, of whatever kind of data: what is None is for that kind to say."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from catch11.copies.secretfile import Secret
from catch11.errors import InvalidArgument
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key

Named = str | Authorized
"""A model: loaded, or what it is loaded by."""
Folder = str | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """device, allow_code: of models that are named by what they are loaded by."""

    device: str = "cpu"
    allow_code: bool = False

    def taken(self, known: Collection[str], *, kind: str) -> dict[str, Any]:
        """The options that were given, by their names.

        Raises InvalidArgument for one that means nothing to a kind of data, which is not among
        `known`.
        """
        found = {}
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if value == field.default or name in Options.__slots__:
                continue
            if name not in known:
                raise InvalidArgument(name, expected=f"no such option for {kind}", found="it")
            found[name] = value
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions(Options):
    """What a key is made by; see `build_key`. probe: sample pictures, or feature files, to estimate
    the front from. tune: pictures to choose the rule and the strength on. also: further models that
    shall read the files."""

    energy: float | None = None
    tau: float | None = None
    cumulative: float | None = None
    rank: int | None = None
    layer: str | None = None
    probe: Folder | None = None
    tune: Folder | None = None
    also: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecodeOptions(Options):
    """How sources are recoded. keep, tolerance: what files keep; see `recoding.keep`. copy: the secret
    of the personalised copy that the key is of, or of the sealed copy that the files are for. check:
    run the model on every file. also, against: further models, that shall and shall not read the
    files. to: the store that is written. engine, address: by what it is done. columns, of texts, and of pictures and sounds in a table; long,
    half: of texts. The others are those of recoders and of `catch11.release`.
    """

    keep: str | None = None
    tolerance: float | None = None
    method: str | None = None
    model: Named | None = None
    copy: Secret | None = None
    format: str | None = None
    check: bool = False
    names: str = "keep"
    ledger: Folder | None = None
    workers: int | None = None
    resume: bool = True
    psnr: float | None = None
    noise: str | None = None
    client: str = ""
    shared: bool = False
    at: str | None = None
    start: str | None = None
    steps: int | None = None
    quiet: int | None = None
    radius: str | float | None = None
    agreement: str | None = None
    margin: float | None = None
    look: str | None = None
    survive: str | None = None
    also: tuple[Named, ...] = ()
    against: tuple[Named, ...] = ()
    precision: str | None = None
    to: str | None = None
    engine: str = "local"
    address: str | None = None
    columns: tuple[str, ...] = ()
    long: str | None = None
    half: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions(Options):
    """What a release is scored by; see `catch11.verify`."""

    rivals: tuple[Named, ...] = ()
    source: Folder | None = None
    labels: Folder | Mapping[str, int] | None = None
    target: str | None = None
    key: Key | None = None
    copy: Secret | None = None
    keep: str | None = None
    tolerance: float | None = None
    ledger: Folder | None = None
    prompt: str | None = None
    max_drop: float | None = None
    max_rival: float | None = None
    limit: int | None = None
    batch: int | None = None
    seed: int | None = None
    engine: str = "local"
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackOptions(Options):
    """What attackers have; see `catch11.attack`."""

    rivals: tuple[Named, ...] = ()
    model: Named | None = None
    copy: Secret | None = None
    attacks: tuple[str, ...] = ()
    source: Folder | None = None
    key: Key | None = None
    public: Folder | None = None
    others: tuple[Folder, ...] = ()
    labels: Folder | Mapping[str, int] | None = None
    learn: Folder | None = None
    records: Folder | None = None
    ledger: Folder | None = None
    target: str | None = None
    question: str | None = None
    limit: int | None = None
    training: int | None = None
    control: bool = False
    seed: int | None = None
    minutes: float | None = None
    quick: bool = False
    engine: str = "local"
    workers: int | None = None
    address: str | None = None
