"""The options that say where a gateway lives, and opening its store."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catch11.errors import MissingExtra

if TYPE_CHECKING:
    from catch11.serve.store import Store

PACKAGES = (
    "fastapi", "uvicorn", "sqlalchemy", "alembic", "argon2", "sse_starlette", "prometheus_client", "python_multipart",
)  # fmt: skip
Home = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", show_default="~/.local/share/catch11",
        help="The gateway's folder: jobs, and the database. Or in CATCH11_HOME.",
    ),
]  # fmt: skip
Db = Annotated[
    str | None,
    typer.Option(
        metavar="URL", show_default="gateway.db in the folder",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME. Or in CATCH11_DB, for a URL with a password.",
    ),
]  # fmt: skip
Master = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The master secret that the vault is sealed under; made if there is none. Without it, "
        "CATCH11_MASTER or the system's keyring.",
    ),
]


def home_of(home: Path | None) -> Path:
    """The gateway's folder, made if there is none; for its owner alone."""
    given = home or Path(os.environ.get("CATCH11_HOME") or "~/.local/share/catch11").expanduser()
    given.mkdir(parents=True, exist_ok=True, mode=0o700)
    return given


def open_gateway(home: Path | None, db: str | None, master: Path | None) -> "Store":
    """The store of a gateway, made if there is none."""
    need_serve()
    from catch11.serve.master import read_master
    from catch11.serve.store import open_store

    secret = read_master(master, make=True)
    url = db or os.environ.get("CATCH11_DB") or f"sqlite:///{home_of(home) / 'gateway.db'}"
    return open_store(url, secret)


def need_serve() -> None:
    """Raises MissingExtra where a package of the extra is not there."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise MissingExtra(name, "serve")
