"""Where nets that studies train are kept between runs: the user's own cache, outside every checkout."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """A folder below XDG_CACHE_HOME, or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "catch11" / name
