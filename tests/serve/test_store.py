"""The database: made by its migrations, opened by one master secret, holding nothing secret in the plain."""

import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked

from catch11.errors import Catch11Error, InvalidArgument
from catch11.serve.master import read_master
from catch11.serve.store import Store, open_store
from catch11.serve.tables import Base
from tests.serve.conftest import MASTER


def test_migrations_make_the_tables_that_the_code_reads(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opens_again_with_its_master_secret_alone(tmp_path: Path, store: Store) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    assert open_store(url, MASTER, cost=10).data_key == store.data_key
    with pytest.raises(Catch11Error, match="the vault does not open"):
        open_store(url, "another master secret", cost=10)


def test_the_file_is_its_owners_and_the_repr_says_nothing(tmp_path: Path, store: Store) -> None:
    assert stat.S_IMODE((tmp_path / "gateway.db").stat().st_mode) == 0o600
    assert repr(store) == "Store(sqlite)"


@pytest.mark.parametrize("url", ["nonsense", "nodb://x", "mysql://user:hidden@host/db"])
def test_bad_urls_are_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(InvalidArgument, match="db: expected sqlite:") as caught:
        open_store(url, MASTER, cost=10)
    assert "hidden" not in str(caught.value)


def test_master_from_file_environment_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "master"
    made = read_master(path, make=True)
    assert read_master(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv("CATCH11_MASTER", MASTER)
    assert read_master() == MASTER
    monkeypatch.setenv("CATCH11_MASTER_FILE", str(path))
    assert read_master() == made
    monkeypatch.delenv("CATCH11_MASTER_FILE")
    monkeypatch.setenv("CATCH11_MASTER", "short")
    with pytest.raises(InvalidArgument, match="16 characters or more, found 5"):
        read_master()
    monkeypatch.delenv("CATCH11_MASTER")
    keyring.set_keyring(null.Keyring())
    with pytest.raises(InvalidArgument, match="expected one in CATCH11_MASTER"):
        read_master()
    keyring.set_keyring(fail.Keyring())  # a machine without any
    with pytest.raises(InvalidArgument, match="expected one in CATCH11_MASTER"):
        read_master()
    keyring.set_keyring(Ring())
    keyring.set_password("catch11", "gateway", MASTER)
    assert read_master() == MASTER
    monkeypatch.setattr(Ring, "get_password", locked)
    with pytest.raises(InvalidArgument, match="found a keyring that is locked"):
        read_master()


class Ring(KeyringBackend):
    """A keyring of this process."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


def locked(ring: Ring, service: str, username: str) -> str | None:
    raise KeyringLocked("it is locked")


@pytest.fixture(autouse=True)
def own_keyring() -> Iterator[None]:
    """No test sees the keyring of whoever runs it."""
    before = keyring.get_keyring()
    keyring.set_keyring(null.Keyring())
    yield
    keyring.set_keyring(before)
