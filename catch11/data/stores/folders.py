"""A folder of files, here or behind an address."""

from pathlib import Path
from typing import Any

from catch11.data.folder import walk
from catch11.data.pictures import read_source
from catch11.data.stores.frame import Source, member_problem, too_large
from catch11.errors import UnreadableSource


class FolderSource(Source):
    """Every regular file below a folder. Raises InvalidArgument where there is none."""

    def __init__(self, root: Path) -> None:
        found = walk(root)
        self._root = found.root
        self.names, self.problems = found.files, found.problems

    def data(self, name: str) -> bytes:
        return read_source(self._root / name)


class RemoteFolder(Source):
    """Every file below an address of fsspec. files: fsspec's system; root: its path there."""

    def __init__(self, files: Any, root: str, found: dict[str, dict[str, Any]]) -> None:
        self._files = files
        self._places = {
            path.removeprefix(root).lstrip("/"): (path, int(facts.get("size") or 0))
            for path, facts in found.items()
        }
        names = sorted(self._places)
        reasons = [(name, member_problem(name)) for name in names]
        self.problems = tuple((name, reason) for name, reason in reasons if reason)
        self.names = tuple(name for name, reason in reasons if not reason)

    def data(self, name: str) -> bytes:
        if name not in self._places:
            raise UnreadableSource(name, "no such file lies there")
        path, size = self._places[name]
        too_large(name, size)
        try:
            data: bytes = self._files.cat_file(path)
        except Exception as error:  # noqa: BLE001 - each system raises its own
            raise UnreadableSource(name, f"it cannot be fetched ({type(error).__name__})") from None
        if not data:
            raise UnreadableSource(name, "it is empty")
        return data
