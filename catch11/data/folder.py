"""The files below a folder, in one fixed order, with what could not be walked and why."""

import os
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from catch11.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What lies below `root`; paths are relative to it, with forward slashes, sorted.

    problems: (path, reason) of what is no file to read: unreadable folders, links that lead
    nowhere or to a folder already walked, pipes and devices.
    """

    root: Path
    files: tuple[str, ...]
    problems: tuple[tuple[str, str], ...] = ()


def walk(root: str | os.PathLike[str]) -> Folder:
    """Every regular file below a folder. Links are followed, each folder is walked once, and real
    folders come before links to them, so that loops end and names do not depend on links.

    Raises InvalidArgument where `root` is not a readable folder.
    """
    base = Path(root)
    if not base.is_dir():
        raise InvalidArgument("source", expected="a folder", found=str(base))
    if not os.access(base, os.R_OK | os.X_OK):
        raise InvalidArgument("source", expected="a folder that may be read", found=str(base))
    files: list[str] = []
    problems: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    folders, links = deque([""]), deque[str]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            facts = os.stat(base / folder)
            if (facts.st_dev, facts.st_ino) in seen:
                problems.append((folder, "this link leads to a folder already walked"))
                continue
            seen.add((facts.st_dev, facts.st_ino))
            names = sorted(os.listdir(base / folder))
        except OSError as error:
            problems.append((folder, f"this folder cannot be read ({error.strerror})"))
            continue
        for name in names:
            path = f"{folder}/{name}" if folder else name
            try:
                mode = os.stat(base / path).st_mode
            except OSError as error:
                problems.append((path, f"it cannot be reached ({error.strerror})"))
                continue
            if stat.S_ISDIR(mode):
                (links if os.path.islink(base / path) else folders).append(path)
            elif stat.S_ISREG(mode):
                files.append(path)
            else:
                problems.append((path, "it is not a regular file"))
    return Folder(root=base, files=tuple(sorted(files)), problems=tuple(sorted(problems)))
