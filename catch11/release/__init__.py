"""Releases: NTEs in files that stock pipelines read, a signed public list, a private ledger."""

from catch11.release import png8, png16, tensor, wav  # each adds its form to the registry
from catch11.release.frame import Summary, release
from catch11.release.manifest import Entry, public_key
from catch11.release.read import Release, read_release, sources_of

__all__ = [
    "Entry",
    "Release",
    "Summary",
    "png8",
    "png16",
    "public_key",
    "read_release",
    "release",
    "sources_of",
    "tensor",
    "wav",
]
