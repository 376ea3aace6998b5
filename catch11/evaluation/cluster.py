"""Batches of a release answered on Ray: files and sources are read here, decoded and answered by workers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from catch11.data.stores.frame import Bytes, Given, bytes_at
from catch11.evaluation.score import Tally
from catch11.releases.manifest import Entry
from catch11.releases.pool import Pool, check_engine, pool

Answered = Callable[[Iterable[Sequence[Entry]]], Iterator[tuple[int, Tally]]]


@contextmanager
def answering(
    windows: Any, *, engine: str, workers: int | None, address: str | None
) -> Iterator[Answered]:
    """By what batches are answered: the windows of `verify` themselves, or workers of Ray. Raises InvalidArgument,
    MissingExtra."""
    if not check_engine(engine, address, workers):
        yield windows.answered
        return
    release, sources = replace(windows.release, files=_none, others=None), windows.sources
    sources = None if sources is None else replace(sources, files=Given())
    make = partial(Answering, replace(windows, release=release, sources=sources))
    device = next(iter(windows.models.values())).device
    with pool(make, workers=workers, address=address, device=device) as held:
        yield partial(_answered, held, windows)


class Answering:
    """Answers batches whose files and sources come with them."""

    def __init__(self, windows: Any) -> None:
        self._windows = windows

    def __call__(
        self, entries: Sequence[Entry], files: Sequence[Bytes], sources: Mapping[str, Bytes]
    ) -> Tally:
        held = self._windows
        found = Given({one.file: data for one, data in zip(entries, files, strict=True)})
        release = replace(held.release, files=lambda entry: found.data(entry.file))
        own = None if held.sources is None else replace(held.sources, files=Given(sources))
        ((_, tally),) = replace(held, release=release, sources=own).answered([entries])
        return tally


def _answered(
    held: Pool, windows: Any, parts: Iterable[Sequence[Entry]]
) -> Iterator[tuple[int, Tally]]:
    calls = ((len(entries), _call(windows, entries)) for entries in parts)
    return held.each(calls, lambda _: "verify")


def _call(windows: Any, entries: Sequence[Entry]) -> tuple[Any, ...]:
    files = [bytes_at(windows.release.data, one) for one in entries]
    sources = windows.sources
    known = [] if sources is None else [one.file for one in entries if one.file in sources.paths]
    names = {sources.paths[file] for file in known}
    return list(entries), files, {name: bytes_at(sources.files.data, name) for name in names}


def _none(entry: Entry) -> bytes:
    raise AssertionError(entry)
