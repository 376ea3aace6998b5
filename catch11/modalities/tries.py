"""Attacks on data besides pictures, tried one by one: which are run, and what a model got."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from catch11.errors import InvalidArgument
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Record, Role, versions
from catch11.evaluation.score import Fingerprinted

Restored = TypeVar("Restored")
# What can be run with what is given, by name: what it knows, and what makes the data of it.
Tries = Mapping[str, tuple[tuple[str, ...], Callable[[], Restored]]]


@runtime_checkable
class Released(Protocol):
    """The facts of a release that a record states."""

    @property
    def key(self) -> str: ...

    @property
    def method(self) -> str: ...


Reader = TypeVar("Reader", bound=Fingerprinted)


def chosen(tries: Tries[Restored], names: Sequence[str] | None) -> Tries[Restored]:
    """The tries that are asked for, in their order; all unless names are given. Raises InvalidArgument."""
    unknown = set(names or ()) - set(tries)
    if unknown:
        raise InvalidArgument(
            "--attack", expected=f"among {', '.join(tries) or 'none'}, with what is given here",
            found=sorted(unknown)[0],
        )  # fmt: skip
    return {name: one for name, one in tries.items() if names is None or name in names}


def tried(
    tries: Tries[Restored],
    named: Mapping[str, Reader],
    *,
    restored: Callable[[Reader, Restored], Sequence[int]],
    own: Callable[[Reader], Sequence[int]],
    role: Callable[[Reader], Role],
    truth: Sequence[int | None],
    release: Released,
    seed: int,
    command: str | None,
    progress: Callable[[str, int, int], None] | None,
) -> list[Record]:
    """What every model answers to the release as it is and after each try.

    restored: a model's answers to what a try made; own: its answers to the originals, which are the
    truth where there is no other. truth: a class for each item, or None.
    """
    found: list[Record] = []
    known = [index for index, label in enumerate(truth) if label is not None]
    clean = {title: own(one) for title, one in named.items()}
    for number, (name, (knowledge, run)) in enumerate(tries.items()):
        if progress is not None:
            progress(name or "no attack", number, len(tries))
        made = run()
        for title, one in named.items():
            said = restored(one, made)
            right = truth if known else clean[title]
            share = accuracy([said[i] == right[i] for i in known or range(len(said))])
            found.append(
                Record(
                    model=title,
                    role=role(one),
                    condition="attack" if name else "nte",
                    attack=name or None,
                    knowledge=knowledge,
                    metric="accuracy" if known else "agreement",
                    value=share.estimate,
                    low=share.low,
                    high=share.high,
                    n=len(known) or len(said),
                    model_fingerprint=one.fingerprint,
                    key_fingerprint=release.key,
                    seed=seed,
                    command=command,
                    settings={"method": release.method},
                    versions=versions(),
                )
            )
    return found
