"""Names of released files: the source's tree mirrored, or keyed ids that say nothing."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from itertools import chain, count
from pathlib import PurePosixPath
from typing import Literal

from catch11.errors import InvalidArgument, ReleaseError
from catch11.keys.key import Key
from catch11.releases import manifest

Naming = Literal["keep", "opaque"]
WORKROOM = ".catch11"  # folder of unfinished files inside a release
_LONGEST = 255  # bytes a name may have on common file systems
# What some file system, or our own reader, takes for something else than a part of a name.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff<>:"|?*\\]|[. ]+\Z')
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|\Z)", re.IGNORECASE
)


class Names:
    """Gives every released file a free name; two sources never share one.

    "keep": a/b.jpg becomes a/b.png, or a/b.jpg.png where that is taken. "opaque": a keyed id of the
    path, all in one folder, because names and class folders can identify people and labels.
    Names that differ only in case or Unicode form count as equal: some file systems think so. What
    no name may hold everywhere (backslashes, colons, line breaks, what is no UTF-8, a device of Windows) becomes "_".
    keyed: what stands before the first dot is a key, to be told apart by: a/B.x.jpg after a/b.x.jpg becomes a/B~1.x.png.
    """

    def __init__(
        self, naming: str, *, key: Key, suffix: str, sources: Iterable[str], keyed: bool = False
    ) -> None:
        if naming not in ("keep", "opaque"):
            raise InvalidArgument("names", expected="keep or opaque", found=naming)
        self.naming, self._key, self._suffix, self._keyed = naming, key, suffix, keyed
        self._taken: dict[str, str] = {}
        for source in sources if naming == "keep" else ():
            for folder in _portable(source).parents:
                self._taken[_fold(str(folder))] = ""
        for name in (manifest.NAME, WORKROOM):
            if _fold(name) in self._taken:
                raise ReleaseError(name, "the source has a folder of this name", "rename it")

    def claim(self, name: str, source: str) -> bool:
        """Take a name for a source; False if another has it."""
        return self._taken.setdefault(_fold(name), source) == source

    def choose(self, source: str) -> str:
        """A free name for a source, taken."""
        if self.naming == "opaque":
            name = self.order(source) + self._suffix
            self.claim(name, source)
            return name
        path = _portable(source)
        stem = path.with_suffix("") if path.suffix else path
        tails = chain([f"{stem}", f"{path}"], (f"{path}~{number}" for number in count(1)))
        if self._keyed:
            first, dot, rest = stem.name.partition(".")
            others = (f"{stem.with_name(f'{first}~{number}{dot}{rest}')}" for number in count(1))
            tails = chain([f"{stem}"], others)
        free = (name for tail in tails if self.claim(name := _short(tail, self._suffix), source))
        chosen = next(free)
        assert manifest.safe_path(chosen), chosen
        return chosen

    def order(self, source: str) -> str:
        """What a release is sorted by: the order of opaque lines must not give the tree away."""
        if self.naming == "keep":
            return source
        stream = self._key.stream(source.encode("utf-8", "surrogateescape"), purpose="opaque name")
        return stream.bytes(16).hex()


def _portable(source: str) -> PurePosixPath:
    parts = (_UNSAFE.sub("_", part) for part in PurePosixPath(source.lstrip("/")).parts)
    return PurePosixPath(*(f"_{part}" if _DEVICE.match(part) else part for part in parts))


def _short(base: str, suffix: str) -> str:
    """base + suffix, with the last part cut to what a file system takes, and a hash of the rest."""
    path = PurePosixPath(base + suffix)
    if len(path.name.encode("utf-8", "surrogateescape")) <= _LONGEST:
        return str(path)
    mark = hashlib.sha256(base.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    room = _LONGEST - len(suffix) - len(mark) - 1
    cut = path.name.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore")
    return str(path.with_name(f"{cut}~{mark}{suffix}"))


def _fold(name: str) -> str:
    folded = unicodedata.normalize("NFC", name).casefold()
    return name if folded == name else folded  # one text, held once
