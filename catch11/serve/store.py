"""Store: the gateway's database, brought to this version when it is opened.

SQLite unless a URL says otherwise. Every transaction of SQLite that may write takes the right to at its
beginning, so that two never wait for each other in a circle.
"""

import hashlib
import hmac
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from catch11.crypto.envelope import new_data_key, subkey
from catch11.crypto.passphrase import COST, Unusable, decrypt, encrypt
from catch11.errors import Catch11Error, InvalidArgument
from catch11.serve.tables import AuditHead, KeyRow, TokenRow, VaultRow

MIGRATIONS = Path(__file__).with_name("migrations")
_POOL = 16  # connections that stay open, and as many more at once
_BUSY = 30  # seconds that a transaction waits for another


class Store:
    """An open database and the data key that seals what is secret in it; its repr shows neither."""

    def __init__(self, engine: Engine, data_key: bytes) -> None:
        self.engine, self.data_key = engine, data_key
        self._reads = engine.execution_options(reads=True)

    def __repr__(self) -> str:
        return f"Store({self.engine.dialect.name})"

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction: all of it or, when the block raises, none."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that changes nothing, and waits for nobody who does."""
        with Session(self._reads, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def open_store(url: str, master: str, *, cost: int = COST) -> Store:
    """The database at a URL, made or brought to this version, opened with the master secret.

    cost: log2 of scrypt's N for a new one. Raises InvalidArgument for a URL that is none, or another
    master secret than it was made with.
    """
    engine = connect(url)
    try:
        migrate(engine)
        return Store(engine, _data_key(engine, master, cost))
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())[:160]
        raise InvalidArgument(
            "db", expected="a database that can be reached", found=reason
        ) from None
    except BaseException:
        engine.dispose()
        raise


def connect(url: str) -> Engine:
    """An engine; passwords in the URL appear in no error. Raises InvalidArgument."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        # A lost server shows at the next use; a file is not lost.
        ping = not url.startswith("sqlite")
        engine = create_engine(url, pool_pre_ping=ping, pool_size=_POOL, max_overflow=_POOL)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        expected = "sqlite:///FILE or postgresql://USER@HOST/NAME"
        found = f"one that cannot be used ({type(error).__name__})"
        raise InvalidArgument("db", expected=expected, found=found) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the tables to this version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # BEGIN is said by us, see above
    for line in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY * 1000}"):  # fmt: skip
        connection.execute(f"PRAGMA {line}")
    for path in connection.execute("PRAGMA database_list").fetchall():
        if path[2]:
            os.chmod(path[2], 0o600)


def _data_key(engine: Engine, master: str, cost: int) -> bytes:
    with Session(engine) as session, session.begin():
        row = session.scalar(select(VaultRow))
        if row is None:
            key = new_data_key()
            wrapped = encrypt(key, master, cost=cost)
            session.add(VaultRow(id=1, wrapped=wrapped, created=time.time()))
        else:
            try:
                key = decrypt(row.wrapped, master)
            except Unusable:
                raise WrongMaster from None
        # Nothing was ever done with it: every key and token has its line.
        if not any(session.scalar(select(one).limit(1)) for one in (AuditHead.id, KeyRow.id, TokenRow.id)):  # fmt: skip
            session.add(AuditHead(id=1, number=0, mac=head_mac(key, 0, "")))
        return key


def head_mac(data_key: bytes, number: int, mac: str) -> str:
    """What the audit log's head says of so many lines, of which this is the last one's mac."""
    return audit_mac(data_key, "head", f"{number} {mac}")


def audit_mac(data_key: bytes, purpose: str, text: str) -> str:
    """HMAC-SHA-256 under a subkey of the data key, hex."""
    key = subkey(data_key, "audit", purpose)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class WrongMaster(Catch11Error, ValueError):
    """The master secret is not the one that the vault was made with."""

    def __init__(self) -> None:
        super().__init__(
            "the vault does not open: expected the master secret that it was made with, found another; "
            "give that one in CATCH11_MASTER, --master FILE or the keyring."
        )
